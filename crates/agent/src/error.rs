//! What can go wrong in a run.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{BudgetExceeded, Kind};
use atomr_agents_inference::InferenceError;
use atomr_agents_state::RunLogError;
use atomr_agents_strategy::StrategyError;
use atomr_agents_tool::{ToolDefinitionError, ToolError};
use thiserror::Error;

use crate::{ApprovalError, Failure, MachineError, Partial, SessionError};

/// What can go wrong in a run.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The model could not be called, or its answer broke off.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The run came to an end of its own: refusal, content filter, cut arguments, iteration cap.
    #[error(transparent)]
    Failure(Failure),
    /// A tool stopped the run.
    #[error(transparent)]
    Tool(ToolError),
    /// The tools cannot be offered.
    #[error(transparent)]
    ToolDefinition(#[from] ToolDefinitionError),
    /// A strategy failed.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// The answer does not match the output schema.
    #[error("the answer does not match the output schema: {message}")]
    InvalidOutput {
        /// What is wrong, with its place.
        message: String,
        /// The answer.
        text: String,
    },
    /// A setting makes no sense.
    #[error("{setting} is wrong: {message}")]
    Config {
        /// The setting.
        setting: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// The budget is used up.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
    /// A suspended run is not taken up.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    /// The run's log cannot be written or read, somebody else writes it, or it says that the run cannot go on here.
    #[error(transparent)]
    Log(#[from] RunLogError),
    /// A session did not take the input, or another input took its place.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Too many wait already.
    #[error("the queue of the {queue} is full: {limit} wait in it")]
    Overloaded {
        /// The queue.
        queue: &'static str,
        /// How many it holds.
        limit: usize,
    },
    /// A hook of a middleware failed.
    #[error("{hook} failed: {message}")]
    Middleware {
        /// The hook, e.g. `Audit.before_tool`.
        hook: String,
        /// In words.
        message: String,
        /// What it raised.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// The run took too long.
    #[error("the run did not finish within {after:?}")]
    Timeout {
        /// The limit.
        after: Duration,
    },
    /// The run was cancelled.
    #[error("the run was cancelled")]
    Cancelled,
    /// A bug of this project.
    #[error("internal error: {0}")]
    Machine(#[from] MachineError),
}

impl AgentError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Inference(error) => error.kind(),
            Self::Failure(failure) => match failure {
                Failure::IterationCap { .. } => Kind::IterationCap,
                Failure::IncompleteToolCall { .. } => Kind::IncompleteToolCall,
                Failure::ContentFilter => Kind::ContentFilter,
                Failure::Refusal { .. } => Kind::Refusal,
                Failure::Effect { kind, .. } => *kind,
            },
            Self::Tool(error) => error.kind(),
            Self::ToolDefinition(error) => error.kind(),
            Self::Strategy(error) => error.kind(),
            Self::InvalidOutput { .. } => Kind::InvalidOutput,
            Self::Config { .. } => Kind::Config,
            Self::Budget(exceeded) => exceeded.kind(),
            Self::Approval(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::Overloaded { .. } => Kind::Overloaded,
            Self::Middleware { .. } => Kind::Guest,
            Self::Timeout { .. } => Kind::Timeout,
            Self::Cancelled => Kind::Cancelled,
            Self::Machine(_) => Kind::Internal,
        }
    }
}

/// A run that failed, with everything it had produced by then.
#[derive(Clone, Debug, Error)]
#[error("{error}")]
pub struct RunError {
    /// What went wrong.
    #[source]
    pub error: AgentError,
    /// What had been produced. Its transcript may be sent to a model again.
    pub partial: Box<Partial>,
}

impl RunError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.error.kind()
    }
}
