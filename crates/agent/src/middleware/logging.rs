//! What the loop does, in the log.

use std::sync::Arc;
use std::time::Instant;

use atomr_agents_core::{CallCtx, ModelRequest, ToolCall, TurnInput};
use atomr_agents_inference::ModelReply;

use super::{AgentMiddleware, HookFuture, NextModel, NextTool, ToolOutcome};
use crate::RunResult;

/// Writes what the loop does through `tracing`, target `atomr_agents::run`: names, counts and times at the level `info`,
/// failures at `warn`. What was said and what tools were called with is never written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logging;

impl AgentMiddleware for Logging {
    fn before_agent<'a>(&'a self, turn: &'a mut TurnInput, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        let (run, path) = (ctx.run, ctx.path());
        tracing::info!(target: "atomr_agents::run", %run, path, messages = turn.input.len(), "run started");
        Box::pin(async { Ok(()) })
    }

    fn after_agent<'a>(&'a self, result: &'a mut RunResult, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        let (run, path, usage) = (ctx.run, ctx.path(), &result.usage);
        tracing::info!(
            target: "atomr_agents::run", %run, path, iterations = result.iterations,
            input_tokens = usage.input_tokens, output_tokens = usage.output_tokens, "run ended"
        );
        Box::pin(async { Ok(()) })
    }

    fn wrap_model<'a>(
        &'a self,
        request: Arc<ModelRequest>,
        ctx: CallCtx,
        next: NextModel,
    ) -> HookFuture<'a, ModelReply> {
        Box::pin(async move {
            let (run, model, started) = (ctx.run, request.model.clone(), Instant::now());
            let outcome = next.run(request, ctx).await;
            let elapsed = started.elapsed();
            match &outcome {
                Ok(reply) => tracing::info!(
                    target: "atomr_agents::run", %run, model, ?elapsed, finish = reply.finish_raw, "model answered"
                ),
                Err(error) => tracing::warn!(
                    target: "atomr_agents::run", %run, model, ?elapsed, kind = error.kind().as_str(), "model failed"
                ),
            }
            outcome
        })
    }

    fn wrap_tool<'a>(&'a self, call: ToolCall, ctx: CallCtx, next: NextTool) -> HookFuture<'a, ToolOutcome> {
        Box::pin(async move {
            let (run, tool, started) = (ctx.run, call.name.clone(), Instant::now());
            let outcome = next.run(call, ctx).await?;
            let elapsed = started.elapsed();
            match &outcome {
                Ok(_) => tracing::info!(target: "atomr_agents::run", %run, tool, ?elapsed, "tool ran"),
                Err(error) => tracing::warn!(
                    target: "atomr_agents::run", %run, tool, ?elapsed, kind = error.kind().as_str(), "tool failed"
                ),
            }
            Ok(outcome)
        })
    }
}
