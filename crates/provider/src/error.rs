//! What errors of the transport and of the decoders amount to, and those that all providers have.

use std::sync::Arc;

use atomr_agents_core::Kind;
use atomr_agents_http::{HttpError, SecretError};
use atomr_agents_inference::InferenceError;
use atomr_agents_wire::WireError;

/// An error of the transport, on the way to `provider`.
#[must_use]
pub fn from_http(provider: &str, error: HttpError) -> InferenceError {
    let config = |setting: &str, message: String| InferenceError::Config { setting: setting.into(), message };
    match error {
        HttpError::InvalidUrl { url, message } => config("base_url", format!("{url}: {message}")),
        HttpError::Config { setting, message } => config(&setting, message),
        HttpError::Secret(SecretError::NoVariable { name }) => {
            InferenceError::MissingKey { provider: provider.to_owned(), variable: name }
        }
        HttpError::Secret(error) => config("api_key", error.to_string()),
        HttpError::Connect { host, source } => InferenceError::Connect { host, source },
        HttpError::Tls { host, source } => InferenceError::Tls { host, source },
        HttpError::Timeout { phase, after } => InferenceError::Timeout { phase, after },
        HttpError::Interrupted { host, source } => {
            InferenceError::Interrupted { message: format!("{host} closed the connection"), source: Some(source) }
        }
        HttpError::Protocol { host, message, source } => InferenceError::Protocol { provider: host, message, source },
        HttpError::TooLarge { what, limit } => InferenceError::TooLarge { what: what.to_owned(), limit },
        HttpError::Redirect { host, status, to } => InferenceError::Protocol {
            provider: host,
            message: format!("it answered {status} and points to {to}; redirects are not followed, set base_url"),
            source: None,
        },
        HttpError::Overloaded { host, limit } => {
            InferenceError::Overloaded { queue: format!("requests to {host}"), limit }
        }
        HttpError::Cancelled => InferenceError::Cancelled,
        other => config("http", other.to_string()),
    }
}

/// An error of the decoders, in an answer of `provider`.
#[must_use]
pub fn from_wire(provider: &str, error: WireError) -> InferenceError {
    match error {
        WireError::EventTooLarge { limit, .. } => InferenceError::TooLarge { what: "one event".into(), limit },
        WireError::ArgumentsTooLarge { name, limit, .. } => {
            InferenceError::TooLarge { what: format!("the arguments for {name}"), limit }
        }
        WireError::CallsTooLarge { limit } => {
            InferenceError::TooLarge { what: "the tool calls of one answer".into(), limit }
        }
        error => InferenceError::Protocol {
            provider: provider.to_owned(),
            message: error.to_string(),
            source: Some(Arc::new(error)),
        },
    }
}

/// `provider` cannot be told this.
#[must_use]
pub fn unsupported(provider: &str, message: impl Into<String>) -> InferenceError {
    InferenceError::Unsupported { provider: provider.to_owned(), message: message.into() }
}

/// The answer ended before its end.
#[must_use]
pub fn interrupted(message: &str) -> InferenceError {
    InferenceError::Interrupted { message: message.to_owned(), source: None }
}

/// What a status of HTTP amounts to by itself; what a provider means by it may be more.
#[must_use]
pub fn kind_of_status(status: u16) -> Kind {
    match status {
        401 => Kind::Authentication,
        403 => Kind::Permission,
        404 => Kind::NotFound,
        408 => Kind::Timeout,
        413 => Kind::TooLarge,
        429 => Kind::RateLimited,
        400..=499 => Kind::InvalidRequest,
        _ => Kind::ServerError,
    }
}
