//! What came of a run.

use std::time::Duration;

use atomr_agents_core::{Amount, Value};
use serde::{Deserialize, Serialize};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HarnessOutcome {
    /// The run's name: what the user called it, or the text of its id.
    pub run: String,
    /// What the loop strategy gave when it was done; otherwise the working memory.
    pub output: Value,
    /// How it ended.
    pub ended: Ended,
    /// How many iterations have ended.
    pub iterations: u64,
    /// What was used, by everything below too.
    pub spent: Amount,
    /// How long it ran, over all processes.
    pub elapsed: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ended {
    /// The loop strategy was done.
    Done {
        /// What it called its last iteration; may be empty.
        label: String,
    },
    /// It was ended before that.
    Terminated {
        /// Why: the word of the termination, such as `iteration_cap`, or `budget: ` and what of it is used up.
        reason: String,
    },
}

impl Ended {
    /// It was ended for this reason.
    #[must_use]
    pub fn terminated(reason: impl Into<String>) -> Self {
        Self::Terminated { reason: reason.into() }
    }

    /// Whether the loop strategy was done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// Why it was ended before that.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Done { .. } => None,
            Self::Terminated { reason } => Some(reason),
        }
    }
}
