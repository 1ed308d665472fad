//! How long a run may take.

use std::time::Duration;

use atomr_agents_core::{BudgetExceeded, CallCtx, Resource};

use crate::{AgentError, AgentOptions};

/// How long a run may take, and whether that is its budget.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) after: Duration,
    budget: bool,
}

impl Limit {
    /// The shortest of all that limit this run.
    pub(crate) fn of(options: &AgentOptions, ctx: &CallCtx) -> Option<Self> {
        [(options.timeout, false), (options.budget.time, true), (ctx.remaining(), false)]
            .into_iter()
            .filter_map(|(after, budget)| after.map(|after| Self { after, budget }))
            .min_by_key(|limit| limit.after)
    }
}

pub(crate) fn too_late(limit: Option<Limit>) -> AgentError {
    let after = limit.map(|limit| limit.after).unwrap_or_default();
    if !limit.is_some_and(|limit| limit.budget) {
        return AgentError::Timeout { after };
    }
    let limit = millis(after);
    AgentError::Budget(BudgetExceeded { resource: Resource::Time, limit, spent: limit, reserved: 0, asked: 0 })
}

/// Waits until the time is up.
pub(crate) async fn wait(limit: Option<Limit>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit.after).await,
        None => std::future::pending().await,
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
