//! A harness as a step of something larger.

use std::sync::Arc;

use atomr_agents_callable::{BoxFuture, Callable, CallableError, CallableHandle};
use atomr_agents_core::{CallCtx, RunId, Value};

use crate::BoxedHarness;

impl BoxedHarness {
    /// The harness as a [`Callable`]: its input is the run's, and it gives the [`HarnessOutcome`](crate::HarnessOutcome) as
    /// JSON: `output` and, in `ended`, whether that is a result (`{"kind": "done"}`) or where the loop was ended
    /// (`{"kind": "terminated", "reason": ...}`). Each call is a run of its own with the context's run as its parent, or,
    /// inside another run, a part of that.
    #[must_use]
    pub fn as_callable(&self) -> CallableHandle {
        Arc::new(self.clone())
    }
}

impl Callable for BoxedHarness {
    fn label(&self) -> &str {
        &self.engine.spec.id
    }

    fn call(&self, input: Value, mut ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            if ctx.cancel.is_cancelled() {
                return Err(CallableError::Cancelled { label: self.label().to_owned() });
            }
            if !ctx.has_sink() {
                // Several steps of one composition are several runs: an id names one run.
                ctx.parent = Some(std::mem::replace(&mut ctx.run, RunId::new()));
            }
            let outcome = self.run(input, ctx).await.map_err(|failure| {
                let kind = failure.kind();
                CallableError::failed(self.label(), kind, failure)
            })?;
            let broken = |error: serde_json::Error| CallableError::Contract {
                label: self.label().to_owned(),
                message: error.to_string(),
            };
            serde_json::to_value(outcome).map_err(broken)
        })
    }
}
