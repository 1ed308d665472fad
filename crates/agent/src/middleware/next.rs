//! The rest of a chain of middleware.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, ModelRequest, ToolCall};
use atomr_agents_inference::ModelReply;
use futures_util::future::BoxFuture;

use super::{AgentMiddleware, ToolOutcome};
use crate::AgentError;

/// The rest of the chain around a model call.
pub type NextModel = Next<Arc<ModelRequest>, Result<ModelReply, AgentError>>;

/// The rest of the chain around a tool call.
pub type NextTool = Next<ToolCall, Result<ToolOutcome, AgentError>>;

type Step<I, O> = fn(Arc<dyn AgentMiddleware>, I, CallCtx, Next<I, O>) -> BoxFuture<'static, O>;

type End<I, O> = Box<dyn Fn(I, CallCtx) -> BoxFuture<'static, O> + Send + Sync>;

/// The rest of a chain of middleware, and at its end the call itself. Cheap to clone; each run of it is a call.
pub struct Next<I, O> {
    chain: Arc<Chain<I, O>>,
    at: usize,
}

struct Chain<I, O> {
    middleware: Vec<Arc<dyn AgentMiddleware>>,
    step: Step<I, O>,
    end: End<I, O>,
}

impl<I, O> Next<I, O> {
    /// Makes the call.
    #[must_use]
    pub fn run(&self, input: I, ctx: CallCtx) -> BoxFuture<'static, O> {
        match self.chain.middleware.get(self.at) {
            Some(middleware) => {
                let rest = Self { chain: Arc::clone(&self.chain), at: self.at + 1 };
                (self.chain.step)(Arc::clone(middleware), input, ctx, rest)
            }
            None => (self.chain.end)(input, ctx),
        }
    }
}

impl<I, O> Clone for Next<I, O> {
    fn clone(&self) -> Self {
        Self { chain: Arc::clone(&self.chain), at: self.at }
    }
}

impl<I, O> fmt::Debug for Next<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("left", &(self.chain.middleware.len() - self.at)).finish()
    }
}

pub(crate) fn model_chain(
    middleware: &[Arc<dyn AgentMiddleware>],
    end: impl Fn(Arc<ModelRequest>, CallCtx) -> BoxFuture<'static, Result<ModelReply, AgentError>> + Send + Sync + 'static,
) -> NextModel {
    let step: Step<_, _> =
        |middleware, request, ctx, next| Box::pin(async move { middleware.wrap_model(request, ctx, next).await });
    Next { chain: Arc::new(Chain { middleware: middleware.to_vec(), step, end: Box::new(end) }), at: 0 }
}

pub(crate) fn tool_chain(
    middleware: &[Arc<dyn AgentMiddleware>],
    end: impl Fn(ToolCall, CallCtx) -> BoxFuture<'static, Result<ToolOutcome, AgentError>> + Send + Sync + 'static,
) -> NextTool {
    let step: Step<_, _> =
        |middleware, call, ctx, next| Box::pin(async move { middleware.wrap_tool(call, ctx, next).await });
    Next { chain: Arc::new(Chain { middleware: middleware.to_vec(), step, end: Box::new(end) }), at: 0 }
}
