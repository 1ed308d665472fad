//! An error of a call, as it is kept.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_inference::{ApiError, InferenceError, Phase};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An error of a call, as it is kept: sources are kept as their text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
pub(super) enum Failure {
    MissingKey { provider: String, variable: String },
    Config { setting: String, message: String },
    Unsupported { provider: String, message: String },
    Connect { host: String, cause: String },
    Tls { host: String, cause: String },
    Timeout { phase: Wait, after_ms: u64 },
    Api(Box<Api>),
    Interrupted { message: String, cause: Option<String> },
    Protocol { provider: String, message: String, cause: Option<String> },
    TooLarge { what: String, limit: usize },
    Cancelled,
    Other { message: String },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Api {
    class: Option<Kind>,
    status: u16,
    error_type: Option<String>,
    code: Option<String>,
    message: String,
    retry_after_ms: Option<u64>,
    should_retry: Option<bool>,
    request_id: Option<String>,
    body: Value,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wait {
    Connect,
    FirstByte,
    Idle,
    Deadline,
}

/// A source of which only the text is known.
#[derive(Debug)]
struct Told(String);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Told {}

fn told(cause: String) -> Arc<dyn Error + Send + Sync> {
    Arc::new(Told(cause))
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

impl From<&InferenceError> for Failure {
    fn from(error: &InferenceError) -> Self {
        let text = |source: &Option<Arc<dyn Error + Send + Sync>>| source.as_ref().map(ToString::to_string);
        match error.clone() {
            InferenceError::MissingKey { provider, variable } => Failure::MissingKey { provider, variable },
            InferenceError::Config { setting, message } => Failure::Config { setting, message },
            InferenceError::Unsupported { provider, message } => Failure::Unsupported { provider, message },
            InferenceError::Connect { host, source } => Failure::Connect { host, cause: source.to_string() },
            InferenceError::Tls { host, source } => Failure::Tls { host, cause: source.to_string() },
            InferenceError::Timeout { phase, after } => Failure::Timeout {
                phase: match phase {
                    Phase::Connect => Wait::Connect,
                    Phase::FirstByte => Wait::FirstByte,
                    Phase::Idle => Wait::Idle,
                    Phase::Deadline => Wait::Deadline,
                },
                after_ms: millis(after),
            },
            InferenceError::Api(error) => Failure::Api(Box::new(Api {
                class: error.class,
                status: error.status,
                error_type: error.error_type,
                code: error.code,
                message: error.message,
                retry_after_ms: error.retry_after.map(millis),
                should_retry: error.should_retry,
                request_id: error.request_id,
                body: error.body,
            })),
            InferenceError::Interrupted { message, source } => Failure::Interrupted { message, cause: text(&source) },
            InferenceError::Protocol { provider, message, source } => {
                Failure::Protocol { provider, message, cause: text(&source) }
            }
            InferenceError::TooLarge { what, limit } => Failure::TooLarge { what, limit },
            InferenceError::Cancelled => Failure::Cancelled,
            other => Failure::Other { message: other.to_string() },
        }
    }
}

impl From<Failure> for InferenceError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::MissingKey { provider, variable } => Self::MissingKey { provider, variable },
            Failure::Config { setting, message } => Self::Config { setting, message },
            Failure::Unsupported { provider, message } => Self::Unsupported { provider, message },
            Failure::Connect { host, cause } => Self::Connect { host, source: told(cause) },
            Failure::Tls { host, cause } => Self::Tls { host, source: told(cause) },
            Failure::Timeout { phase, after_ms } => Self::Timeout {
                phase: match phase {
                    Wait::Connect => Phase::Connect,
                    Wait::FirstByte => Phase::FirstByte,
                    Wait::Idle => Phase::Idle,
                    Wait::Deadline => Phase::Deadline,
                },
                after: Duration::from_millis(after_ms),
            },
            Failure::Api(api) => ApiError {
                class: api.class,
                status: api.status,
                error_type: api.error_type,
                code: api.code,
                message: api.message,
                retry_after: api.retry_after_ms.map(Duration::from_millis),
                should_retry: api.should_retry,
                request_id: api.request_id,
                body: api.body,
            }
            .into(),
            Failure::Interrupted { message, cause } => Self::Interrupted { message, source: cause.map(told) },
            Failure::Protocol { provider, message, cause } => {
                Self::Protocol { provider, message, source: cause.map(told) }
            }
            Failure::TooLarge { what, limit } => Self::TooLarge { what, limit },
            Failure::Cancelled => Self::Cancelled,
            Failure::Other { message } => Self::Guest { source: told(message.clone()), message },
        }
    }
}
