//! What a harness is made of.

use std::fmt;
use std::sync::Arc;

use atomr_agents_strategy::{LoopStrategy, TerminationStrategy};

use crate::{HarnessError, HarnessOptions, HarnessSpec};

/// What a harness is made of.
pub(crate) struct Engine {
    pub(crate) spec: HarnessSpec,
    pub(crate) body: Arc<dyn LoopStrategy>,
    pub(crate) termination: Arc<dyn TerminationStrategy>,
    pub(crate) options: HarnessOptions,
}

impl Engine {
    pub(crate) fn check(&self) -> Result<(), HarnessError> {
        let wrong = |setting, message: &str| Err(HarnessError::Config { setting, message: message.to_owned() });
        let HarnessSpec { id, version, budget } = &self.spec;
        if id.is_empty() || id.contains('/') {
            return wrong("id", "a harness has a name, and there is no / in it");
        }
        if version.is_empty() {
            return wrong("version", "it is needed to tell a run of another version apart; any text will do");
        }
        let ends = self.termination.ends_every_loop() || budget.iterations.is_some() || budget.time.is_some();
        if !ends {
            return wrong(
                "termination",
                "nothing ends every loop: it might run for ever. Join it with a cap on iterations or on time (any of it and \
                 an iteration cap), or give a budget of iterations or time",
            );
        }
        Ok(())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("spec", &self.spec).field("options", &self.options).finish_non_exhaustive()
    }
}
