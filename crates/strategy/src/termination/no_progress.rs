//! Ends when nothing changes any more.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use serde_json::json;

use super::{TerminationStrategy, Verdict};
use crate::fingerprint::fingerprint;
use crate::{HarnessState, StrategyFuture};

type Key = dyn for<'a> Fn(&'a HarnessState, &'a CallCtx) -> StrategyFuture<'a, Value> + Send + Sync;

/// Ends after so many iterations in a row that left the working memory, or a key of the user's own, as it was. The order
/// of the names in an object makes no difference. The reason is `no_progress`.
#[derive(Clone)]
pub struct NoProgress {
    iterations: u64,
    key: Option<Arc<Key>>,
}

impl NoProgress {
    /// Ends after `iterations` without a change of the working memory; 0 is taken for 1.
    ///
    /// ```
    /// use atomr_agents_core::{CallCtx, Value};
    /// use atomr_agents_strategy::{HarnessState, NoProgress, StepEvent, TerminationStrategy, Verdict};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let (ends, mut notes, ctx) = (NoProgress::new(1), Value::Null, CallCtx::new());
    /// let mut state = HarnessState::new(json!({"open": 3}));
    /// assert_eq!(ends.should_terminate(&state, &mut notes, &ctx).await.unwrap(), Verdict::Continue);
    /// state.advance(StepEvent { iteration: 1, ..StepEvent::default() }, None);
    /// let verdict = ends.should_terminate(&state, &mut notes, &ctx).await.unwrap();
    /// assert_eq!(verdict, Verdict::Stop("no_progress".into()));
    /// # }
    /// ```
    #[must_use]
    pub fn new(iterations: u64) -> Self {
        Self { iterations: iterations.max(1), key: None }
    }

    /// Ends after `iterations` without a change of what `key` makes of the state.
    #[must_use]
    pub fn by(iterations: u64, key: impl Fn(&HarnessState) -> Value + Send + Sync + 'static) -> Self {
        Self::by_async(iterations, move |state, _ctx| {
            let value = key(state);
            Box::pin(async move { Ok(value) })
        })
    }

    /// The same with a key that has to be waited for.
    #[must_use]
    pub fn by_async(
        iterations: u64,
        key: impl for<'a> Fn(&'a HarnessState, &'a CallCtx) -> StrategyFuture<'a, Value> + Send + Sync + 'static,
    ) -> Self {
        Self { iterations: iterations.max(1), key: Some(Arc::new(key)) }
    }
}

impl TerminationStrategy for NoProgress {
    fn should_terminate<'a>(
        &'a self,
        state: &'a HarnessState,
        notes: &'a mut Value,
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, Verdict> {
        Box::pin(async move {
            let now = match &self.key {
                Some(key) => fingerprint(&key(state, ctx).await?),
                None => fingerprint(&state.working_memory),
            };
            let since = notes["since"].as_u64().filter(|_| notes["is"] == now.as_str());
            let since = since.unwrap_or(state.iteration);
            *notes = json!({"is": now, "since": since});
            Ok(Verdict::stop_if(state.iteration.saturating_sub(since) >= self.iterations, "no_progress"))
        })
    }
}

impl fmt::Debug for NoProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoProgress").field("iterations", &self.iterations).field("by_key", &self.key.is_some()).finish()
    }
}
