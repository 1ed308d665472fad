//! What can go wrong in a run of a harness.

use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_state::RunLogError;
use atomr_agents_strategy::{HarnessState, StrategyError};
use thiserror::Error;

/// What can go wrong in a run of a harness.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// A setting makes no sense.
    #[error("{setting} is wrong: {message}")]
    Config {
        /// The setting.
        setting: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// An iteration failed.
    #[error("iteration {iteration} failed: {error}")]
    Step {
        /// Which, from 1.
        iteration: u64,
        /// What the loop strategy failed with.
        #[source]
        error: StrategyError,
    },
    /// The termination failed.
    #[error("the termination failed before iteration {iteration}: {error}")]
    Termination {
        /// Before which iteration, from 1.
        iteration: u64,
        /// What it failed with.
        #[source]
        error: StrategyError,
    },
    /// The run cannot be begun, gone on with or written.
    #[error(transparent)]
    Log(#[from] RunLogError),
    /// Somebody else has taken the run over: nothing is written any more.
    #[error("somebody else goes on with run {run:?}")]
    Lost {
        /// The run.
        run: String,
    },
    /// The deadline of the call passed.
    #[error("the harness did not finish within {after:?}")]
    Timeout {
        /// The limit.
        after: Duration,
    },
    /// The run was cancelled.
    #[error("the run of the harness was cancelled")]
    Cancelled,
}

impl HarnessError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Config { .. } => Kind::Config,
            Self::Step { error, .. } | Self::Termination { error, .. } => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Lost { .. } => Kind::Fenced,
            Self::Timeout { .. } => Kind::Timeout,
            Self::Cancelled => Kind::Cancelled,
        }
    }
}

/// A run that failed, and where it stood: after the last iteration that ended.
#[derive(Clone, Debug, Error)]
#[error("{error}")]
pub struct HarnessFailure {
    /// What went wrong.
    #[source]
    pub error: HarnessError,
    /// The run's name. If it is kept in a store, it can be resumed.
    pub run: String,
    /// Where it stood.
    pub state: Box<HarnessState>,
}

impl HarnessFailure {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.error.kind()
    }
}
