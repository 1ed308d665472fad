//! One call of the model: its stream becomes events for whoever listens and a reply for the machine.

use std::sync::Arc;
use std::time::Instant;

use atomr_agents_core::{CallCtx, EventKind, ModelEvent, ModelRequest};
use atomr_agents_inference::{InferenceError, ModelReply};
use futures_util::StreamExt;

use crate::AgentError;
use crate::bill::Call;
use crate::budget::Charge;
use crate::driver::Driver;
use crate::engine::{Engine, Prepared};
use crate::limit::millis;

impl Driver {
    /// One model call, on the budget and on the bill.
    pub(crate) async fn call_model(
        &self,
        prepared: &Prepared,
        mut request: ModelRequest,
        number: Number,
        ctx: &CallCtx,
    ) -> Result<ModelReply, AgentError> {
        let engine = &prepared.engine;
        let charge = Charge::reserve(&engine.options, &mut request, ctx).await?;
        let call = Call::begin(&self.transcript, engine.client.provider(), charge);
        let reply = stream(&call, engine, Arc::new(request), number, ctx).await?;
        call.answered(&reply);
        Ok(reply)
    }
}

/// Which call of its run it is.
#[derive(Clone)]
pub(crate) struct Number {
    /// From 1.
    pub(crate) iteration: u32,
    /// A hash of the prompt, where prompts are watched.
    pub(crate) prompt_hash: Option<String>,
}

/// Calls the model. While it streams, what has arrived is kept in the run's state, so that it is not lost when
/// the run is dropped.
async fn stream(
    call: &Call<'_>,
    engine: &Engine,
    request: Arc<ModelRequest>,
    Number { iteration, prompt_hash }: Number,
    ctx: &CallCtx,
) -> Result<ModelReply, InferenceError> {
    let started = Instant::now();
    ctx.emit(EventKind::ModelRequested {
        model: request.model.clone(),
        iteration,
        messages: request.messages.len(),
        tools: request.tools.len(),
        prompt_hash,
    });
    let mut announcer = Announcer::default();
    let mut stream = engine.client.stream(request, ctx.clone());
    for middleware in engine.options.middleware.iter().rev() {
        stream = middleware.stream(stream, ctx);
    }
    let cancelled = ctx.cancel.cancelled();
    let mut cancelled = std::pin::pin!(cancelled);
    loop {
        let event = tokio::select! {
            event = stream.next() => event,
            () = &mut cancelled => return Err(InferenceError::Cancelled),
        };
        let Some(event) = event else { break };
        let event = event?;
        if let Some(kind) = announcer.announce(&event) {
            ctx.emit(kind);
        }
        call.streamed().push(event);
    }
    let builder = {
        let mut streamed = call.streamed();
        if !streamed.is_finished() {
            // What it said stays in the state, what it called is not run.
            let message = "no finish reason arrived".to_owned();
            return Err(InferenceError::Interrupted { message, source: None });
        }
        std::mem::take(&mut *streamed)
    };
    let reply = builder.finish()?;
    ctx.emit(EventKind::ModelFinished {
        finish: reply.finish_raw.clone(),
        usage: Box::new(reply.usage.clone()),
        tool_calls: reply.message.tool_calls().count(),
        elapsed_ms: millis(started.elapsed()),
    });
    Ok(reply)
}

/// Names the tool calls in the pieces that only have an index.
#[derive(Default)]
struct Announcer {
    calls: Vec<(u32, Arc<str>, Arc<str>)>,
}

impl Announcer {
    fn announce(&mut self, event: &ModelEvent) -> Option<EventKind> {
        match event {
            ModelEvent::Text(text) => Some(EventKind::TextDelta { text: text.clone() }),
            ModelEvent::Thinking(text) => Some(EventKind::ThinkingDelta { text: text.clone() }),
            ModelEvent::Refusal(text) => Some(EventKind::RefusalDelta { text: text.clone() }),
            ModelEvent::Retrying { attempt, wait, reason } => {
                self.calls.clear();
                Some(EventKind::ModelRetried { attempt: *attempt, wait_ms: millis(*wait), reason: reason.clone() })
            }
            ModelEvent::ToolCallStarted { index, id, name } => {
                let (id, name): (Arc<str>, Arc<str>) = (id.as_str().into(), name.as_str().into());
                self.calls.push((*index, Arc::clone(&id), Arc::clone(&name)));
                Some(streamed(*index, &id, &name, ""))
            }
            ModelEvent::ToolCallDelta { index, arguments } => {
                let (_, id, name) = self.calls.iter().rev().find(|(at, ..)| at == index)?;
                Some(streamed(*index, id, name, arguments))
            }
            _ => None,
        }
    }
}

fn streamed(index: u32, id: &Arc<str>, name: &Arc<str>, arguments: &str) -> EventKind {
    EventKind::ToolCallStreamed {
        call_index: index,
        call_id: Arc::clone(id),
        name: Arc::clone(name),
        arguments: arguments.to_owned(),
    }
}
