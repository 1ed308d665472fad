//! What can go wrong between a request and the end of its stream.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{Kind, Phase};
use serde_json::Value;
use thiserror::Error;

/// What can go wrong between a request and the end of its stream.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum InferenceError {
    /// There is no credential.
    #[error("no API key for {provider}: set the environment variable {variable} or pass api_key")]
    MissingKey {
        /// The provider.
        provider: String,
        /// The variable that was looked at.
        variable: String,
    },
    /// A setting makes no sense.
    #[error("{setting} is wrong: {message}")]
    Config {
        /// The setting.
        setting: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// The request cannot be expressed in this provider's format.
    #[error("{provider} cannot be sent this request: {message}")]
    Unsupported {
        /// The provider.
        provider: String,
        /// What it cannot express.
        message: String,
    },
    /// The host could not be reached.
    #[error("cannot reach {host}")]
    Connect {
        /// Host and port.
        host: String,
        /// The transport's error.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The TLS handshake failed.
    #[error("no secure connection to {host}: its certificate or protocol was not accepted")]
    Tls {
        /// Host and port.
        host: String,
        /// The transport's error.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// A deadline passed.
    #[error("{phase} took longer than {after:?}")]
    Timeout {
        /// Which wait.
        phase: Phase,
        /// The limit.
        after: Duration,
    },
    /// The provider answered with an error, as a status or inside the stream.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The stream ended before its terminal event.
    #[error("the stream ended before its terminal event ({message})")]
    Interrupted {
        /// How it ended.
        message: String,
        /// The transport's error, if it was one.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// The provider broke its protocol.
    #[error("{provider} broke its protocol: {message}")]
    Protocol {
        /// The provider.
        provider: String,
        /// What was wrong, with its place.
        message: String,
        /// The decoder's error, if it was one.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// Something was larger than its limit.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A bounded queue of this process is full.
    #[error("the queue of {queue} is full: {limit} wait in it")]
    Overloaded {
        /// The queue.
        queue: String,
        /// How many it holds.
        limit: usize,
    },
    /// The call was cancelled.
    #[error("the model call was cancelled")]
    Cancelled,
    /// A run was recorded, or is played again, and that failed: it asks for something else than was recorded.
    #[error("{message}")]
    Replay {
        /// What does not fit, with its place.
        message: String,
        /// The recording's own error.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// A client written by the user failed.
    #[error("{message}")]
    Guest {
        /// In words.
        message: String,
        /// What it raised.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
}

/// A provider's own error.
#[derive(Clone, Debug, Default)]
pub struct ApiError {
    /// What it amounts to.
    pub class: Option<Kind>,
    /// HTTP status; 200 for an error inside a stream.
    pub status: u16,
    /// The provider's word for the type.
    pub error_type: Option<String>,
    /// The provider's code; numbers as text.
    pub code: Option<String>,
    /// The provider's message.
    pub message: String,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether the provider itself says that the call may be made again.
    pub should_retry: Option<bool>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// The error object (or the whole body) as it was sent.
    pub body: Value,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status == 200 {
            write!(f, "the provider reported an error in its stream: {}", self.message)?;
        } else {
            write!(f, "the provider answered {}: {}", self.status, self.message)?;
        }
        if let Some(code) = &self.code {
            write!(f, " (code {code})")?;
        }
        Ok(())
    }
}

impl StdError for ApiError {}

impl InferenceError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::MissingKey { .. } | Self::Config { .. } | Self::Replay { .. } => Kind::Config,
            Self::Unsupported { .. } => Kind::InvalidRequest,
            Self::Connect { .. } => Kind::Connect,
            Self::Tls { .. } => Kind::Tls,
            Self::Timeout { .. } => Kind::Timeout,
            Self::Api(error) => error.class.unwrap_or(Kind::ServerError),
            Self::Interrupted { .. } => Kind::StreamInterrupted,
            Self::Protocol { .. } => Kind::Protocol,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Overloaded { .. } => Kind::Overloaded,
            Self::Cancelled => Kind::Cancelled,
            Self::Guest { .. } => Kind::Guest,
        }
    }

    /// Whether the same call may succeed if it is made again later: the provider's own word, where it has one.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Api(error) => error.should_retry.unwrap_or_else(|| self.kind().retryable()),
            // Trying again at once is what fills a queue; whoever filled it decides.
            Self::Overloaded { .. } => false,
            _ => self.kind().retryable(),
        }
    }

    /// The provider's id of the request, where it sent one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Api(error) => error.request_id.as_deref(),
            _ => None,
        }
    }

    /// How long the provider asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after,
            _ => None,
        }
    }
}

impl From<ApiError> for InferenceError {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}
