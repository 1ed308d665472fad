//! What may stand between the loop and what it does.

mod logging;
mod next;
mod rate_limit;
mod redaction;
mod retry;
mod tool_errors;

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, ModelRequest, ToolCall, ToolReturn, TurnInput};
use atomr_agents_inference::{ModelReply, ModelStream};
use atomr_agents_tool::ToolError;
use futures_util::future::BoxFuture;

use crate::{AgentError, RunResult};

pub use logging::Logging;
pub use next::{Next, NextModel, NextTool};
pub(crate) use next::{model_chain, tool_chain};
pub use rate_limit::{RateLimit, RateLimiter, Tenant};
pub use redaction::{Redaction, RedactionError};
pub use retry::Retry;
pub use tool_errors::ToolErrorRecovery;

/// The future of a hook. An error ends the run.
pub type HookFuture<'a, T> = BoxFuture<'a, Result<T, AgentError>>;

/// How a tool call ended.
pub type ToolOutcome = Result<ToolReturn, ToolError>;

/// Something between the loop and what it does. Every hook has a default that changes nothing.
///
/// Of several, the first is the outermost: its `before` hooks and wraps come first, its `after` hooks last. Hooks around
/// the agent run once a run, however often it is suspended; those around the model and the tools once a call, also for
/// agents that took the conversation over, which have middleware of their own.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_agent::{AgentBuilder, AgentMiddleware, AgentOptions, HookFuture};
/// use atomr_agents_core::{CallCtx, Message, ModelRequest};
/// use atomr_agents_testkit::ScriptedModel;
///
/// #[derive(Debug)]
/// struct Dated;
///
/// impl AgentMiddleware for Dated {
///     fn before_model<'a>(&'a self, request: &'a mut ModelRequest, _: &'a CallCtx) -> HookFuture<'a, ()> {
///         request.messages.push(Message::user("Today is Friday."));
///         Box::pin(async { Ok(()) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let model = Arc::new(ScriptedModel::new().text("Good."));
/// let options = AgentOptions { middleware: vec![Arc::new(Dated)], ..AgentOptions::default() };
/// let agent = AgentBuilder::new(model.clone(), "scripted").with_options(options).build().unwrap();
/// agent.run("How is it?", CallCtx::new()).await.unwrap();
/// assert_eq!(model.requests()[0].messages.last().unwrap().text(), "Today is Friday.");
/// # }
/// ```
pub trait AgentMiddleware: fmt::Debug + Send + Sync + 'static {
    /// Before the run: what was asked may be changed.
    fn before_agent<'a>(&'a self, turn: &'a mut TurnInput, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        let _ = (turn, ctx);
        Box::pin(async { Ok(()) })
    }

    /// After a run that ended well: its result may be changed. A suspended run has not ended.
    fn after_agent<'a>(&'a self, result: &'a mut RunResult, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        let _ = (result, ctx);
        Box::pin(async { Ok(()) })
    }

    /// Before a model call: the request may be changed.
    fn before_model<'a>(&'a self, request: &'a mut ModelRequest, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        let _ = (request, ctx);
        Box::pin(async { Ok(()) })
    }

    /// After a model call: the reply may be changed before the loop acts on it.
    fn after_model<'a>(&'a self, reply: &'a mut ModelReply, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        let _ = (reply, ctx);
        Box::pin(async { Ok(()) })
    }

    /// Before a tool call, and before anybody is asked to approve it: the call may be changed.
    fn before_tool<'a>(&'a self, call: &'a mut ToolCall, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        let _ = (call, ctx);
        Box::pin(async { Ok(()) })
    }

    /// After a tool call: its outcome may be changed before the model sees it.
    fn after_tool<'a>(
        &'a self,
        call: &'a ToolCall,
        outcome: &'a mut ToolOutcome,
        ctx: &'a CallCtx,
    ) -> HookFuture<'a, ()> {
        let _ = (call, outcome, ctx);
        Box::pin(async { Ok(()) })
    }

    /// Around a model call: makes it with `next`, once, several times or not at all.
    fn wrap_model<'a>(
        &'a self,
        request: Arc<ModelRequest>,
        ctx: CallCtx,
        next: NextModel,
    ) -> HookFuture<'a, ModelReply> {
        next.run(request, ctx)
    }

    /// Around a tool call: makes it with `next`, once, several times or not at all. A call that it makes another one is
    /// not run where that would need an approval.
    fn wrap_tool<'a>(&'a self, call: ToolCall, ctx: CallCtx, next: NextTool) -> HookFuture<'a, ToolOutcome> {
        next.run(call, ctx)
    }

    /// Around what a model says, piece by piece, before anybody hears it.
    fn stream(&self, events: ModelStream, ctx: &CallCtx) -> ModelStream {
        let _ = ctx;
        events
    }
}
