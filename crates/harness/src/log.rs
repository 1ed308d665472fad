//! Where iterations are written.

use std::sync::Arc;

use atomr_agents_core::{CancellationToken, Value};
use atomr_agents_state::JournalScope;
use atomr_agents_strategy::{HarnessState, IdempotencyKey, LoopStep};

use crate::kept::Kept;
use crate::within::Within;
use crate::{HarnessError, HarnessOutcome};

/// Where the iterations of one run are written, if anywhere.
pub(crate) enum Log {
    /// Nowhere: the run ends with its process.
    Nowhere {
        /// The run.
        run: String,
    },
    /// In a run of its own.
    Own(Kept),
    /// In the run that it is a part of.
    Within(Within),
}

/// An iteration that has ended, as it is written.
pub(crate) struct Written<'a> {
    /// What came of it.
    pub(crate) step: &'a LoopStep,
    /// The working memory before it.
    pub(crate) before: &'a Value,
    /// The state after it.
    pub(crate) state: &'a HarnessState,
    /// What the termination noted before it.
    pub(crate) notes: &'a Value,
}

/// What was written of a run.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Where it stood.
    pub(crate) state: HarnessState,
    /// What the termination had noted.
    pub(crate) notes: Value,
    /// How it was done, if its last iteration said so.
    pub(crate) done: Option<LoopStep>,
    /// What somebody says that came of the iteration after it.
    pub(crate) settled: Option<LoopStep>,
}

impl Log {
    /// The run's name.
    pub(crate) fn run(&self) -> &str {
        match self {
            Self::Nowhere { run } => run,
            Self::Own(kept) => kept.run(),
            Self::Within(within) => within.run(),
        }
    }

    /// Names an iteration, the same in every attempt.
    pub(crate) fn key(&self, iteration: u64) -> IdempotencyKey {
        IdempotencyKey(Arc::from(match self {
            Self::Nowhere { run } => format!("{run}:{iteration}"),
            Self::Own(kept) => kept.idempotency(iteration),
            Self::Within(within) => within.idempotency(iteration),
        }))
    }

    /// The iteration is about to be run.
    pub(crate) async fn intend(&self, iteration: u64) -> Result<(), HarnessError> {
        match self {
            Self::Nowhere { .. } => Ok(()),
            Self::Own(kept) => Ok(kept.intend(iteration).await?),
            Self::Within(within) => Ok(within.intend(iteration).await?),
        }
    }

    /// It has ended. When this returns, another process would go on after it.
    pub(crate) async fn record(&self, written: Written<'_>) -> Result<(), HarnessError> {
        match self {
            Self::Nowhere { .. } => Ok(()),
            Self::Own(kept) => Ok(kept.record(written).await?),
            Self::Within(within) => Ok(within.record(written).await?),
        }
    }

    /// The run has ended well.
    pub(crate) async fn finish(&self, outcome: &HarnessOutcome) -> Result<(), HarnessError> {
        match self {
            Self::Own(kept) => Ok(kept.finish(outcome).await?),
            Self::Nowhere { .. } | Self::Within(_) => Ok(()),
        }
    }

    /// The run has failed.
    pub(crate) async fn fail(&self, error: &HarnessError, state: &HarnessState) {
        if let Self::Own(kept) = self {
            kept.fail(error, state).await;
        }
    }

    /// Where what the iteration does is recorded.
    pub(crate) fn scope(&self, iteration: u64) -> Option<JournalScope> {
        match self {
            Self::Nowhere { .. } => None,
            Self::Own(kept) => Some(kept.scope(iteration)),
            Self::Within(within) => Some(within.scope(iteration)),
        }
    }

    /// Whether what was used in a process before is to be counted above, too: nobody else has.
    pub(crate) fn counts_above(&self) -> bool {
        matches!(self, Self::Within(_))
    }

    /// Cancelled when somebody else has taken the run over.
    pub(crate) fn lost(&self) -> CancellationToken {
        match self {
            Self::Own(kept) => kept.lost(),
            Self::Nowhere { .. } | Self::Within(_) => CancellationToken::new(),
        }
    }
}
