//! Ends after so much of something.

use std::time::Duration;

use atomr_agents_core::{CallCtx, Money, Value};

use super::{TerminationStrategy, Verdict};
use crate::{HarnessState, StrategyFuture};

macro_rules! limit {
    ($(#[$doc:meta])* $name:ident($limit:ty), $reason:literal, ends: $ends:literal, $state:ident => $used:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub $limit);

        impl TerminationStrategy for $name {
            fn should_terminate<'a>(
                &'a self,
                $state: &'a HarnessState,
                _notes: &'a mut Value,
                _ctx: &'a CallCtx,
            ) -> StrategyFuture<'a, Verdict> {
                Box::pin(async move { Ok(Verdict::stop_if($used >= self.0, $reason)) })
            }

            fn ends_every_loop(&self) -> bool {
                $ends
            }
        }
    };
}

limit! {
    /// Ends after so many iterations; 100 by default. The reason is `iteration_cap`.
    IterationCap(u64), "iteration_cap", ends: true, state => state.iteration
}

limit! {
    /// Ends once so many tokens were used. The reason is `token_limit`. What an iteration uses beyond it is used: a
    /// budget keeps it from that.
    TokenLimit(u64), "token_limit", ends: false, state => state.spent.tokens
}

limit! {
    /// Ends once so much money was spent. The reason is `cost_limit`.
    CostLimit(Money), "cost_limit", ends: false, state => state.spent.cost
}

limit! {
    /// Ends after that time. The reason is `time_limit`. An iteration that is under way is not cut short: a budget does that.
    TimeLimit(Duration), "time_limit", ends: true, state => state.elapsed
}

impl Default for IterationCap {
    fn default() -> Self {
        Self(100)
    }
}
