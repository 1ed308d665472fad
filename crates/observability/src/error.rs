//! What can go wrong while listening.

use std::error::Error as StdError;
use std::sync::Arc;

use atomr_agents_core::Kind;
use thiserror::Error;

/// Why [`crate::Subscription::try_recv_batch`] has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TryRecvError {
    /// Nothing new yet.
    #[error("nothing new yet")]
    Empty,
    /// The bus is closed and everything was received.
    #[error("the bus is closed and everything was received")]
    Closed,
}

/// What can go wrong with a tracer.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TracerError {
    /// The tracer could not take an event, or could not flush. It stays attached.
    #[error("tracer {tracer} failed: {message}")]
    Failed {
        /// The tracer.
        tracer: String,
        /// What it amounts to.
        kind: Kind,
        /// In words.
        message: String,
        /// What it ran into.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// The tracer panicked. It was removed.
    #[error("tracer {tracer} panicked and was removed: {message}")]
    Panicked {
        /// The tracer.
        tracer: String,
        /// What it said.
        message: String,
    },
    /// There is no runtime to drive a tracer.
    #[error("a tracer needs a running tokio runtime")]
    NoRuntime,
    /// The runtime that drove the tracer was shut down.
    #[error("tracer {tracer} is gone: the runtime that drove it was shut down")]
    Gone {
        /// The tracer.
        tracer: String,
    },
}

impl TracerError {
    /// A failure of `tracer`, told from what it ran into.
    pub fn failed(tracer: impl Into<String>, kind: Kind, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Failed { tracer: tracer.into(), kind, message: source.to_string(), source: Some(Arc::new(source)) }
    }

    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Failed { kind, .. } => *kind,
            Self::Panicked { .. } => Kind::Guest,
            Self::NoRuntime | Self::Gone { .. } => Kind::Runtime,
        }
    }
}
