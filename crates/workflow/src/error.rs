//! What can go wrong in a run of a graph.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_callable::CallableError;
use atomr_agents_core::Kind;
use atomr_agents_state::{RunLogError, RunStatus, StateError, StoreError};
use thiserror::Error;

use crate::{GraphDifference, GraphError};

/// Why a step failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The step itself failed.
    #[error("{message}")]
    Failed {
        /// What it amounts to.
        kind: Kind,
        /// In words.
        message: String,
        /// What it ran into.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// It took longer than it may.
    #[error("it took longer than {after:?}")]
    Timeout {
        /// How long it was given.
        after: Duration,
    },
    /// It gave no sign of life for longer than it may.
    #[error("it gave no sign of life for {after:?}")]
    Idle {
        /// How long it may.
        after: Duration,
    },
    /// It answered something that its place does not allow.
    #[error("it broke its contract: {message}")]
    Contract {
        /// What was expected and what came.
        message: String,
    },
    /// It panicked.
    #[error("it panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// It was cancelled.
    #[error("it was cancelled")]
    Cancelled,
    /// It asked somebody and left ([`crate::NodeCtx::interrupt_or_leave`]): it is run again when there is an answer. No error for
    /// the engine, and not to be made by others.
    #[error("it waits for an answer")]
    Left,
    /// What it did could not be recorded, or not be read back; among them an effect of which nobody knows whether it
    /// happened.
    #[error(transparent)]
    Log(#[from] RunLogError),
    /// It read the state in a way that it does not have.
    #[error(transparent)]
    State(#[from] StateError),
    /// A graph inside it failed.
    #[error(transparent)]
    Inner(#[from] Box<WorkflowError>),
}

impl NodeError {
    /// A failure of this kind in these words.
    #[must_use]
    pub fn failed(kind: Kind, message: impl Into<String>) -> Self {
        Self::Failed { kind, message: message.into(), source: None }
    }

    /// A failure, told from what the step ran into.
    #[must_use]
    pub fn from_source(kind: Kind, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Failed { kind, message: source.to_string(), source: Some(Arc::new(source)) }
    }

    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Failed { kind, .. } => *kind,
            Self::Timeout { .. } | Self::Idle { .. } => Kind::Timeout,
            Self::Contract { .. } => Kind::Contract,
            Self::Left => Kind::Workflow,
            Self::Panicked { .. } => Kind::Guest,
            Self::Cancelled => Kind::Cancelled,
            Self::Log(error) => error.kind(),
            Self::State(error) => error.kind(),
            Self::Inner(error) => error.kind(),
        }
    }
}

impl From<CallableError> for NodeError {
    fn from(error: CallableError) -> Self {
        match error {
            CallableError::Cancelled { .. } => Self::Cancelled,
            error => Self::from_source(error.kind(), error),
        }
    }
}

/// Why a run could not be begun, gone on with, ended or looked at.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum WorkflowError {
    /// The graph cannot be run.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A step failed. What its siblings had done by then is recorded: a resumed run does not do it again.
    #[error("step {path:?} of run {run:?} failed in super-step {step}: {source}")]
    Step {
        /// The run.
        run: String,
        /// The path of the step.
        path: String,
        /// The super-step.
        step: u64,
        /// Why.
        source: Box<NodeError>,
    },
    /// What the steps of a super-step wrote does not fit the state.
    #[error("super-step {step} of run {run:?}: {source}")]
    State {
        /// The run.
        run: String,
        /// The super-step.
        step: u64,
        /// What does not fit.
        source: Box<StateError>,
    },
    /// A step, a router or a command sends the run where it cannot go.
    #[error("{from:?} of run {run:?} goes to {to:?}, {}", may_go(.may))]
    NoWay {
        /// The run.
        run: String,
        /// Who sends it.
        from: String,
        /// Where to.
        to: String,
        /// Where it may go; `None` if there is no step of that name.
        may: Option<Vec<String>>,
    },
    /// The run took more super-steps than it may in one call.
    #[error(
        "run {run:?} took {limit} super-steps without an end; if that is right, allow more (max_steps) and resume it"
    )]
    StepLimit {
        /// The run.
        run: String,
        /// How many it may take.
        limit: u64,
    },
    /// The run was cancelled. It can be resumed.
    #[error("run {run:?} was cancelled")]
    Cancelled {
        /// The run.
        run: String,
    },
    /// The run's time is up. It can be resumed.
    #[error("the time of run {run:?} is up")]
    Timeout {
        /// The run.
        run: String,
    },
    /// The input, or an edit, is no object of channels.
    #[error("{what} is an object of channels and values, not {found}")]
    NoObject {
        /// What it is for.
        what: &'static str,
        /// What came.
        found: &'static str,
    },
    /// An answer to an interrupt that does not wait for one.
    #[error("run {run:?} has no interrupt {id:?} that waits for an answer; {}", pending_ids(.pending))]
    UnknownInterrupt {
        /// The run.
        run: String,
        /// What was answered.
        id: String,
        /// What waits.
        pending: Vec<String>,
    },
    /// One answer was given without saying which of several interrupts it is for.
    #[error("run {run:?} waits for {} answers; say which one this is for: {}", .pending.len(), .pending.join(", "))]
    WhichInterrupt {
        /// The run.
        run: String,
        /// What waits.
        pending: Vec<String>,
    },
    /// The run was begun by a graph that looks different.
    #[error("run {run:?} was begun by another version of graph {graph:?}: {difference}")]
    Changed {
        /// The run.
        run: String,
        /// The graph.
        graph: String,
        /// What is different in this one.
        difference: GraphDifference,
    },
    /// The run is not one of this graph.
    #[error("run {run:?} is one of {found:?}, not of graph {graph:?}")]
    OtherGraph {
        /// The run.
        run: String,
        /// The graph.
        graph: String,
        /// Whose run it is.
        found: String,
    },
    /// The log of the run: it exists already, does not exist, is over, is damaged, has no such step, is written by somebody
    /// else, or its store failed.
    #[error(transparent)]
    Log(#[from] RunLogError),
}

impl WorkflowError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Graph(error) => error.kind(),
            Self::Step { source, .. } => source.kind(),
            Self::State { source, .. } => source.kind(),
            Self::NoWay { .. } => Kind::Workflow,
            Self::StepLimit { .. } => Kind::IterationCap,
            Self::Cancelled { .. } => Kind::Cancelled,
            Self::Timeout { .. } => Kind::Timeout,
            Self::NoObject { .. } => Kind::State,
            Self::UnknownInterrupt { .. } | Self::WhichInterrupt { .. } => Kind::Conflict,
            Self::Changed { .. } | Self::OtherGraph { .. } => Kind::Incompatible,
            Self::Log(error) => error.kind(),
        }
    }

    /// How the run is left by it.
    pub(crate) fn status(&self) -> RunStatus {
        match self.kind() {
            Kind::OutcomeUnknown => RunStatus::OutcomeUnknown,
            Kind::Cancelled => RunStatus::Cancelled,
            // The store may have room again, or answer again, later.
            Kind::StorageFull | Kind::Storage => RunStatus::Paused,
            _ => RunStatus::Failed,
        }
    }

    /// Whether somebody else writes the run now, so that nothing more can be written.
    pub(crate) fn is_fenced(&self) -> bool {
        let fenced = |error: &RunLogError| matches!(error, RunLogError::Store(StoreError::Fenced { .. }));
        match self {
            Self::Log(error) => fenced(error),
            Self::Step { source, .. } => matches!(&**source, NodeError::Log(error) if fenced(error)),
            _ => false,
        }
    }
}

impl From<StoreError> for WorkflowError {
    fn from(error: StoreError) -> Self {
        Self::Log(error.into())
    }
}

fn may_go(may: &Option<Vec<String>>) -> String {
    match may {
        None => "which is no step of the graph".to_owned(),
        Some(names) if names.is_empty() => "and did not declare that it may go anywhere but along its edges".to_owned(),
        Some(names) => format!("and may go to {} only", names.join(", ")),
    }
}

fn pending_ids(pending: &[String]) -> String {
    match pending {
        [] => "nothing waits".to_owned(),
        ids => format!("these wait: {}", ids.join(", ")),
    }
}
