//! How long a run may take.

use std::time::{Duration, Instant};

use atomr_agents_core::{BudgetExceeded, CallCtx, Resource};

/// The shortest of what limits a run's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// When it is over.
    pub(crate) at: Instant,
    /// How long the run may take, from its beginning.
    pub(crate) whole: Duration,
    /// Whether that is its budget; otherwise it is the deadline of the call.
    pub(crate) budget: bool,
}

impl Limit {
    /// That of a run which has run for `elapsed` already.
    pub(crate) fn of(budget: Option<Duration>, elapsed: Duration, ctx: &CallCtx) -> Option<Self> {
        let now = Instant::now();
        let own = budget
            .and_then(|whole| Some(Self { at: now.checked_add(whole.saturating_sub(elapsed))?, whole, budget: true }));
        let given = ctx.deadline.map(|at| Self { at, whole: at.saturating_duration_since(now), budget: false });
        [own, given].into_iter().flatten().min_by_key(|limit| limit.at)
    }

    pub(crate) fn has_passed(&self) -> bool {
        Instant::now() >= self.at
    }

    /// The budget of time that is used up.
    pub(crate) fn exceeded(&self) -> BudgetExceeded {
        let limit = millis(self.whole);
        BudgetExceeded { resource: Resource::Time, limit, spent: limit, reserved: 0, asked: 0 }
    }
}

/// Waits until the time is up; for ever without a limit.
pub(crate) async fn wait(limit: Option<Limit>) -> Limit {
    match limit {
        Some(limit) => {
            tokio::time::sleep_until(limit.at.into()).await;
            limit
        }
        None => std::future::pending().await,
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
