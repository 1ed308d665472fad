//! When a loop that goes on is ended all the same.

mod combined;
mod limits;
mod no_progress;
mod predicate;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use serde::{Deserialize, Serialize};

pub use combined::{All, Any, Not};
pub use limits::{CostLimit, IterationCap, TimeLimit, TokenLimit};
pub use no_progress::NoProgress;
pub use predicate::{Never, Predicate};

use crate::{HarnessState, StrategyFuture};

/// Says before each iteration whether the loop shall be ended.
///
/// It decides by what it is given and by nothing else, so that a run that another process goes on with ends where it
/// would have ended here. Implementations run [`crate::conformance::check_termination`] in their tests.
pub trait TerminationStrategy: Send + Sync + 'static {
    /// Whether the loop ends here. `notes` is this strategy's own: null at first, and then what it left there the last
    /// time; it is kept with the run.
    fn should_terminate<'a>(
        &'a self,
        state: &'a HarnessState,
        notes: &'a mut Value,
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, Verdict>;

    /// Whether it ends every loop at some time, whatever the loop does. One that nothing ends is refused.
    fn ends_every_loop(&self) -> bool {
        false
    }
}

/// Whether a loop ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes on.
    Continue,
    /// It ends, for this reason: a short word such as `iteration_cap`.
    Stop(String),
}

impl Verdict {
    /// It ends for `reason` if this is so.
    #[must_use]
    pub fn stop_if(stop: bool, reason: &str) -> Self {
        if stop { Self::Stop(reason.to_owned()) } else { Self::Continue }
    }
}

impl<S: TerminationStrategy + ?Sized> TerminationStrategy for Arc<S> {
    fn should_terminate<'a>(
        &'a self,
        state: &'a HarnessState,
        notes: &'a mut Value,
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, Verdict> {
        (**self).should_terminate(state, notes, ctx)
    }

    fn ends_every_loop(&self) -> bool {
        (**self).ends_every_loop()
    }
}
