//! What can go wrong in a call.

use std::any::Any;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind};
use thiserror::Error;

/// What can go wrong in a call.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CallableError {
    /// The callable itself failed.
    #[error("{label} failed: {message}")]
    Failed {
        /// Which callable.
        label: String,
        /// What it amounts to.
        kind: Kind,
        /// In words.
        message: String,
        /// What it ran into.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// A time limit or the context's deadline passed.
    #[error("{label} took longer than {after:?}")]
    Timeout {
        /// Which callable.
        label: String,
        /// How long it was given.
        after: Duration,
    },
    /// A composition cannot be made like this.
    #[error("{setting} is wrong: {message}")]
    Invalid {
        /// The setting.
        setting: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// A callable answered with something that its place does not allow.
    #[error("{label} broke its contract: {message}")]
    Contract {
        /// Which callable.
        label: String,
        /// What was expected and what came.
        message: String,
    },
    /// The call was cancelled.
    #[error("{label} was cancelled")]
    Cancelled {
        /// Which callable.
        label: String,
    },
    /// The callable panicked.
    #[error("{label} panicked: {message}")]
    Panicked {
        /// Which callable.
        label: String,
        /// What it said.
        message: String,
    },
}

impl CallableError {
    /// A failure of the callable `label`, told from what it ran into.
    pub fn failed(label: impl Into<String>, kind: Kind, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Failed { label: label.into(), kind, message: source.to_string(), source: Some(Arc::new(source)) }
    }

    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Failed { kind, .. } => *kind,
            Self::Timeout { .. } => Kind::Timeout,
            Self::Invalid { .. } => Kind::Config,
            Self::Contract { .. } => Kind::Contract,
            Self::Cancelled { .. } => Kind::Cancelled,
            Self::Panicked { .. } => Kind::Guest,
        }
    }

    /// The callable it happened in; `None` for a composition that was never made.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Failed { label, .. }
            | Self::Timeout { label, .. }
            | Self::Contract { label, .. }
            | Self::Cancelled { label }
            | Self::Panicked { label, .. } => Some(label),
            Self::Invalid { .. } => None,
        }
    }

    pub(crate) fn panicked(label: &str, panic: Box<dyn Any + Send>) -> Self {
        let message = match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => {
                panic.downcast_ref::<&str>().map_or_else(|| "a panic without words".into(), |text| (*text).into())
            }
        };
        Self::Panicked { label: label.to_owned(), message }
    }
}

/// Nothing new is begun under a cancelled context.
pub(crate) fn alive(label: &str, ctx: &CallCtx) -> Result<(), CallableError> {
    if ctx.cancel.is_cancelled() { Err(CallableError::Cancelled { label: label.to_owned() }) } else { Ok(()) }
}
