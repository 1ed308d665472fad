//! Ends when a closure says so, or never.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};

use super::{TerminationStrategy, Verdict};
use crate::{HarnessState, StrategyFuture};

/// Ends when a closure says so.
#[derive(Clone)]
pub struct Predicate {
    reason: String,
    holds: Arc<dyn Fn(&HarnessState) -> bool + Send + Sync>,
}

impl Predicate {
    /// Ends for `reason` as soon as `holds` is true.
    #[must_use]
    pub fn new(reason: impl Into<String>, holds: impl Fn(&HarnessState) -> bool + Send + Sync + 'static) -> Self {
        Self { reason: reason.into(), holds: Arc::new(holds) }
    }
}

impl TerminationStrategy for Predicate {
    fn should_terminate<'a>(
        &'a self,
        state: &'a HarnessState,
        _notes: &'a mut Value,
        _ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, Verdict> {
        Box::pin(async move { Ok(Verdict::stop_if((self.holds)(state), &self.reason)) })
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Predicate").field(&self.reason).finish()
    }
}

/// Ends no loop. For one that a budget ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl TerminationStrategy for Never {
    fn should_terminate<'a>(
        &'a self,
        _: &'a HarnessState,
        _: &'a mut Value,
        _: &'a CallCtx,
    ) -> StrategyFuture<'a, Verdict> {
        Box::pin(async { Ok(Verdict::Continue) })
    }
}
