//! How a command ends.

use std::io;

use atomr_agents_state::{RunLogError, Store, StoreError};
use std::sync::Arc;

use crate::BadPlace;

/// How a command ended.
#[derive(Debug)]
pub enum Exit {
    /// With this code.
    Code(u8),
    /// It asks for a replay by an agent, which whoever called has.
    Replay(AgentReplay),
}

/// `runs replay RUN --agent AGENT`.
#[derive(Clone, Debug)]
pub struct AgentReplay {
    /// Where the run is.
    pub store: Arc<dyn Store>,
    /// The run.
    pub run: String,
    /// Where the agent is, as `module:name`.
    pub agent: String,
    /// Whether the answer is to be JSON.
    pub json: bool,
}

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The store that is meant is none.
    #[error(transparent)]
    Place(#[from] BadPlace),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run cannot be read or changed.
    #[error(transparent)]
    Run(#[from] RunLogError),
    /// There is no database at the place.
    #[error("there is no store at {path}")]
    NoStore {
        /// Where it was looked for.
        path: String,
    },
    /// An argument makes no sense.
    #[error("{argument}: {message}")]
    Argument {
        /// Its name.
        argument: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Nothing more can be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// What is written as JSON has no form in it.
    #[error("this cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl CliError {
    /// The code that the process ends with.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Place(_) | Self::Argument { .. } => 2,
            // Whoever read the output has enough of it.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            _ => 1,
        }
    }
}
