//! Terminations made of terminations.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};

use super::{TerminationStrategy, Verdict};
use crate::{HarnessState, StrategyError, StrategyFuture};

type Part = Arc<dyn TerminationStrategy>;

/// Ends as soon as one of them does, for its reason. None of none.
#[derive(Clone, Default)]
pub struct Any(Vec<Part>);

/// Ends when all of them do, for all their reasons. None of none.
#[derive(Clone, Default)]
pub struct All(Vec<Part>);

/// Ends when the other one does not.
#[derive(Clone)]
pub struct Not {
    reason: String,
    part: Part,
}

macro_rules! several {
    ($($name:ident),+) => { $(
        impl $name {
            /// Of no parts yet.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// The same with one more.
            #[must_use]
            pub fn with(mut self, part: impl TerminationStrategy) -> Self {
                self.0.push(Arc::new(part));
                self
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} parts)", stringify!($name), self.0.len())
            }
        }
    )+ };
}

several!(Any, All);

impl Not {
    /// Ends for `reason` while `part` would not.
    #[must_use]
    pub fn new(reason: impl Into<String>, part: impl TerminationStrategy) -> Self {
        Self { reason: reason.into(), part: Arc::new(part) }
    }
}

impl fmt::Debug for Not {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Not").field(&self.reason).finish()
    }
}

/// Asks every part, each with its own notes: also those whose answer makes no difference, as they count iterations.
async fn ask(
    parts: &[Part],
    state: &HarnessState,
    notes: &mut Value,
    ctx: &CallCtx,
) -> Result<Vec<Verdict>, StrategyError> {
    if notes.as_array().is_none_or(|kept| kept.len() != parts.len()) {
        *notes = Value::Array(vec![Value::Null; parts.len()]);
    }
    let mut verdicts = Vec::with_capacity(parts.len());
    for (part, own) in parts.iter().zip(notes.as_array_mut().into_iter().flatten()) {
        verdicts.push(part.should_terminate(state, own, ctx).await?);
    }
    Ok(verdicts)
}

impl TerminationStrategy for Any {
    fn should_terminate<'a>(
        &'a self,
        state: &'a HarnessState,
        notes: &'a mut Value,
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, Verdict> {
        Box::pin(async move {
            let verdicts = ask(&self.0, state, notes, ctx).await?;
            Ok(verdicts.into_iter().find(|verdict| *verdict != Verdict::Continue).unwrap_or(Verdict::Continue))
        })
    }

    fn ends_every_loop(&self) -> bool {
        self.0.iter().any(TerminationStrategy::ends_every_loop)
    }
}

impl TerminationStrategy for All {
    fn should_terminate<'a>(
        &'a self,
        state: &'a HarnessState,
        notes: &'a mut Value,
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, Verdict> {
        Box::pin(async move {
            let mut reasons = Vec::new();
            for verdict in ask(&self.0, state, notes, ctx).await? {
                match verdict {
                    Verdict::Stop(reason) => reasons.push(reason),
                    Verdict::Continue => return Ok(Verdict::Continue),
                }
            }
            Ok(if reasons.is_empty() { Verdict::Continue } else { Verdict::Stop(reasons.join(" and ")) })
        })
    }

    fn ends_every_loop(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(TerminationStrategy::ends_every_loop)
    }
}

impl TerminationStrategy for Not {
    fn should_terminate<'a>(
        &'a self,
        state: &'a HarnessState,
        notes: &'a mut Value,
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, Verdict> {
        Box::pin(async move {
            let verdict = self.part.should_terminate(state, notes, ctx).await?;
            Ok(Verdict::stop_if(verdict == Verdict::Continue, &self.reason))
        })
    }
}
