//! Model calls that are made again.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, EventKind, ModelRequest};
use atomr_agents_http::{Decision, RetryPolicy, pause};
use atomr_agents_inference::ModelReply;

use super::{AgentMiddleware, HookFuture, NextModel};
use crate::AgentError;
use crate::limit::millis;

/// Makes a model call again when it failed in a way that may pass, also in mid-answer: what was streamed of it is void
/// then, as a `model_retried` event tells. Providers' clients retry on their own before the first word; this is for what
/// comes after it, and for clients that do not.
#[derive(Clone, Debug)]
pub struct Retry {
    policy: RetryPolicy,
}

impl Retry {
    /// By this policy.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new(RetryPolicy::default())
    }
}

impl AgentMiddleware for Retry {
    fn wrap_model<'a>(
        &'a self,
        request: Arc<ModelRequest>,
        ctx: CallCtx,
        next: NextModel,
    ) -> HookFuture<'a, ModelReply> {
        Box::pin(async move {
            let mut attempt = 1;
            loop {
                let error = match next.run(Arc::clone(&request), ctx.clone()).await {
                    Err(AgentError::Inference(error)) => error,
                    outcome => return outcome,
                };
                match self.policy.decide(attempt, error.retryable(), error.retry_after(), ctx.remaining()) {
                    Decision::GiveUp => return Err(error.into()),
                    Decision::Retry { wait } => {
                        attempt += 1;
                        let reason = error.to_string();
                        ctx.emit(EventKind::ModelRetried { attempt, wait_ms: millis(wait), reason });
                        pause(wait, &ctx).await.map_err(|_| AgentError::Cancelled)?;
                    }
                }
            }
        })
    }
}
