//! What can go wrong between a request and the end of its body.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{Kind, Phase};
use thiserror::Error;

use crate::SecretError;

type Source = Arc<dyn StdError + Send + Sync>;

/// What can go wrong between a request and the end of its body. No variant holds a URL's path, query or credentials.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The base URL cannot be used.
    #[error("{url:?} cannot be used as a base URL: {message}")]
    InvalidUrl {
        /// The URL, without its credentials.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// A setting makes no sense.
    #[error("{setting} is wrong: {message}")]
    Config {
        /// The setting.
        setting: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A secret could not be loaded or used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The host could not be reached.
    #[error("cannot reach {host}")]
    Connect {
        /// Host and port.
        host: String,
        /// The transport's error.
        #[source]
        source: Source,
    },
    /// The TLS handshake failed.
    #[error("no secure connection to {host}: its certificate or protocol was not accepted")]
    Tls {
        /// Host and port.
        host: String,
        /// The transport's error.
        #[source]
        source: Source,
    },
    /// A deadline passed.
    #[error("{phase} took longer than {after:?}")]
    Timeout {
        /// Which wait.
        phase: Phase,
        /// The limit.
        after: Duration,
    },
    /// The connection was lost before the answer was complete.
    #[error("the connection to {host} was lost before the answer was complete")]
    Interrupted {
        /// Host and port.
        host: String,
        /// The transport's error.
        #[source]
        source: Source,
    },
    /// The peer does not speak HTTP as it must.
    #[error("{host} broke the protocol: {message}")]
    Protocol {
        /// Host and port.
        host: String,
        /// What was wrong.
        message: String,
        /// The transport's error, if it was one.
        #[source]
        source: Option<Source>,
    },
    /// Something was larger than its limit.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The peer wants the request to be made elsewhere; credentials are bound to their host, so it is not.
    #[error(
        "{host} answered {status} and points to {to}: redirects are not followed, set the base URL to the real host"
    )]
    Redirect {
        /// Host and port that were asked.
        host: String,
        /// The status.
        status: u16,
        /// Scheme and host it points to.
        to: String,
    },
    /// Too many requests wait for their turn already.
    #[error("the queue of requests to {host} is full: {limit} wait in it")]
    Overloaded {
        /// Host and port.
        host: String,
        /// How many it holds.
        limit: usize,
    },
    /// The call was cancelled.
    #[error("the HTTP call was cancelled")]
    Cancelled,
    /// There is no runtime to do the work on.
    #[error("HTTP calls need a running tokio runtime")]
    NoRuntime,
}

impl HttpError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::InvalidUrl { .. } | Self::Config { .. } | Self::Secret(_) => Kind::Config,
            Self::Connect { .. } => Kind::Connect,
            Self::Tls { .. } => Kind::Tls,
            Self::Timeout { .. } => Kind::Timeout,
            Self::Interrupted { .. } => Kind::StreamInterrupted,
            // A redirect is the peer's answer to a wrong base URL; asking again does not help.
            Self::Protocol { .. } | Self::Redirect { .. } => Kind::Protocol,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Overloaded { .. } => Kind::Overloaded,
            Self::Cancelled => Kind::Cancelled,
            Self::NoRuntime => Kind::Runtime,
        }
    }
}
