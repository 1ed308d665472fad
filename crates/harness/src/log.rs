//! Where iterations are written.

use atomr_agents_strategy::{HarnessState, LoopStep};

use crate::{HarnessError, HarnessOutcome};

/// Where the iterations of one run are written, if anywhere.
pub(crate) enum Log {
    /// Nowhere: the run ends with its process.
    None,
}

impl Log {
    /// An iteration is about to be run.
    #[allow(clippy::unused_async)]
    pub(crate) async fn intend(&self, _iteration: u64) -> Result<(), HarnessError> {
        Ok(())
    }

    /// It has ended with this; `state` is the one after it.
    #[allow(clippy::unused_async)]
    pub(crate) async fn record(&self, _step: &LoopStep, _state: &HarnessState) -> Result<(), HarnessError> {
        Ok(())
    }

    /// The run has ended well.
    #[allow(clippy::unused_async)]
    pub(crate) async fn finish(&self, _outcome: &HarnessOutcome) -> Result<(), HarnessError> {
        Ok(())
    }

    /// The run has failed.
    #[allow(clippy::unused_async)]
    pub(crate) async fn fail(&self, _error: &HarnessError) {}
}
