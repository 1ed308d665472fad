//! An agent as a step of something larger.

use std::sync::Arc;

use atomr_agents_callable::{BoxFuture, Callable, CallableError, CallableHandle};
use atomr_agents_core::{CallCtx, RunId, Value};
use serde_json::json;

use crate::{ApprovalError, BoxedAgent};

impl BoxedAgent {
    /// The agent as a [`Callable`]: it takes a string or `{"user": string}` and gives
    /// `{"text", "input_tokens", "output_tokens"}`, and `"value"` when an output schema is set. Each call is a run of
    /// its own with the context's run as its parent, or, inside another agent's run, a part of that. A run that would wait
    /// for approvals fails: a step has nobody to ask.
    #[must_use]
    pub fn as_callable(&self) -> CallableHandle {
        Arc::new(self.clone())
    }
}

impl Callable for BoxedAgent {
    fn label(&self) -> &str {
        self.name()
    }

    fn call(&self, input: Value, mut ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            if !ctx.has_sink() {
                // Several steps of one composition are several runs: an id names one run.
                ctx.parent = Some(std::mem::replace(&mut ctx.run, RunId::new()));
            }
            let user = input.as_str().or_else(|| input.get("user").and_then(Value::as_str));
            let Some(user) = user else {
                let message = format!("an agent takes a string or {{\"user\": string}}, not {input}");
                return Err(CallableError::Contract { label: self.name().to_owned(), message });
            };
            let result = self.run(user, ctx).await.map_err(|error| {
                let kind = error.kind();
                CallableError::failed(self.name(), kind, error)
            })?;
            if let Some(pending) = &result.pending {
                let error = ApprovalError::Undecided {
                    waiting: pending.calls().iter().map(|call| call.name.clone()).collect(),
                };
                return Err(CallableError::failed(self.name(), error.kind(), error));
            }
            let mut output = json!({
                "text": result.output,
                "input_tokens": result.usage.input_tokens,
                "output_tokens": result.usage.output_tokens,
            });
            if let Some(value) = result.value {
                output["value"] = value;
            }
            Ok(output)
        })
    }
}
