//! One call of the model: its stream becomes events for whoever listens and a reply for the machine.

use std::sync::Arc;
use std::time::Instant;

use atomr_agents_core::{CallCtx, EventKind, ModelEvent, ModelRequest};
use atomr_agents_inference::{InferenceError, ModelReply, ReplyBuilder};
use futures_util::StreamExt;

use crate::driver::{Driver, millis};
use crate::engine::Prepared;

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
pub(crate) async fn call_model(
    driver: &Driver,
    prepared: &Prepared,
    request: Arc<ModelRequest>,
    Number { iteration, prompt_hash }: Number,
    ctx: &CallCtx,
) -> Result<ModelReply, InferenceError> {
    let started = Instant::now();
    let engine = &prepared.engine;
    let client = &engine.client;
    ctx.emit(EventKind::ModelRequested {
        model: request.model.clone(),
        iteration,
        messages: request.messages.len(),
        tools: request.tools.len(),
        prompt_hash,
    });
    driver.transcript.lock().streaming = Some(ReplyBuilder::new(client.provider()));
    let mut announcer = Announcer::default();
    let mut stream = client.stream(request, ctx.clone());
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
        if let Some(builder) = &mut driver.transcript.lock().streaming {
            builder.push(event);
        }
    }
    let builder = {
        let mut state = driver.transcript.lock();
        match state.streaming.take() {
            Some(builder) if builder.is_finished() => builder,
            // What it said stays in the state, what it called is not run.
            unfinished => {
                state.streaming = unfinished;
                let message = "no finish reason arrived".to_owned();
                return Err(InferenceError::Interrupted { message, source: None });
            }
        }
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
