//! What an error of the transport means.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::{HttpError, Phase};

/// What reqwest reports, in our words. It never carries the URL on.
pub(crate) fn classify(error: reqwest::Error, host: &str, connect_timeout: Duration) -> HttpError {
    let error = error.without_url();
    let host = host.to_owned();
    if error.is_connect() {
        return if holds::<rustls::Error>(&error) {
            HttpError::Tls { host, source: Arc::new(error) }
        } else if error.is_timeout() {
            HttpError::Timeout { phase: Phase::Connect, after: connect_timeout }
        } else {
            HttpError::Connect { host, source: Arc::new(error) }
        };
    }
    if let Some(message) = broken_protocol(&error) {
        return HttpError::Protocol { host, message, source: Some(Arc::new(error)) };
    }
    HttpError::Interrupted { host, source: Arc::new(error) }
}

/// What the peer did wrong, if it did; everything else is a connection that was lost.
fn broken_protocol(error: &reqwest::Error) -> Option<String> {
    if error.is_builder() {
        return Some("the request cannot be written".into());
    }
    if let Some(error) = find::<hyper::Error>(error)
        && error.is_parse()
    {
        return Some(error.to_string());
    }
    let error = find::<io::Error>(error)?;
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput).then(|| error.to_string())
}

fn holds<E: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    find::<E>(error).is_some()
}

/// The first error of type `E` in the chain. An I/O error hides the error it wraps from `source()`, so look inside.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
