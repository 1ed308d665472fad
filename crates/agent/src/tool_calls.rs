//! The tool calls of one turn, run at once up to a limit.

use std::collections::VecDeque;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, EventKind, Part, ToolCall, ToolReturn};
use atomr_agents_tool::{Execution, ToolError, Toolbox, execute};
use tokio::task::JoinSet;

use crate::driver::{Driver, millis};
use crate::{AgentError, CallResult, Transcript};

/// The most bytes of an error's text that the model is shown.
const MAX_ERROR_TEXT: usize = 16 << 10;

/// Runs the calls; each feeds its result to the machine as it comes. An error of a tool is a result that the model
/// sees; an error that ends the run cancels the siblings and waits until they have stopped.
pub(crate) async fn call_tools(
    driver: &Driver,
    toolbox: &Arc<Toolbox>,
    calls: Vec<(usize, ToolCall)>,
) -> Result<(), AgentError> {
    let siblings = driver.ctx.scoped();
    let mut waiting: VecDeque<_> = calls.into();
    let mut running = JoinSet::new();
    loop {
        while running.len() < driver.engine.options.max_parallel_tools
            && let Some((index, call)) = waiting.pop_front()
        {
            let transcript = driver.transcript.clone();
            running.spawn(call_tool(Arc::clone(toolbox), transcript, index, call, siblings.clone()));
        }
        let Some(joined) = running.join_next().await else { return Ok(()) };
        // The body catches panics of tools itself; what is left is a task that was aborted with the runtime.
        if let Err(error) = joined.unwrap_or(Err(AgentError::Cancelled)) {
            siblings.cancel.cancel();
            running.shutdown().await;
            return Err(error);
        }
    }
}

/// Runs one call and puts its result into the transcript before anybody is told, so that what was done is not lost
/// when the run ends while the others still run.
async fn call_tool(
    toolbox: Arc<Toolbox>,
    transcript: Transcript,
    index: usize,
    call: ToolCall,
    ctx: CallCtx,
) -> Result<(), AgentError> {
    let (call_id, name): (Arc<str>, Arc<str>) = (call.id.as_str().into(), call.name.as_str().into());
    let (id, called) = (Arc::clone(&call_id), Arc::clone(&name));
    let call_index = u32::try_from(index).unwrap_or(u32::MAX);
    ctx.emit(EventKind::ToolStarted { call_index, call_id: id, name: called, arguments: call.raw.clone() });
    let Execution { result: outcome, elapsed } = execute(&toolbox, &call, &ctx).await;
    let (ok, error, result) = match &outcome {
        Ok(returned) => (true, None, text_of(returned)),
        Err(error) => (false, Some(error.kind()), error.to_string()),
    };
    let fed = match outcome {
        Err(ToolError::Cancelled) => Err(AgentError::Cancelled),
        Err(error) if error.ends_the_run() => Err(AgentError::Tool(error)),
        outcome => Ok(transcript.lock().machine.feed_tool(index, seen_by_model(&call, outcome))?),
    };
    ctx.emit(EventKind::ToolInvoked { call_index, call_id, name, ok, error, result, elapsed_ms: millis(elapsed) });
    fed
}

fn seen_by_model(call: &ToolCall, result: Result<ToolReturn, ToolError>) -> CallResult {
    match result {
        Ok(ToolReturn::Content { parts }) => CallResult { parts, is_error: false, artifact: None },
        Ok(ToolReturn::ContentAndArtifact { parts, artifact }) => {
            CallResult { parts, is_error: false, artifact: Some(artifact) }
        }
        // A kind of return that a later version knows: the model is told that it could not be read.
        Ok(_) => CallResult {
            parts: vec![Part::text(format!("{} returned something this version cannot read", call.name))],
            is_error: true,
            artifact: None,
        },
        Err(error) => {
            CallResult { parts: vec![Part::text(shortened(error.to_string()))], is_error: true, artifact: None }
        }
    }
}

/// What a tool raised may hold a whole response body; the model needs its beginning.
fn shortened(mut text: String) -> String {
    if text.len() > MAX_ERROR_TEXT {
        let left_out = text.len() - MAX_ERROR_TEXT;
        text.truncate(text.floor_char_boundary(MAX_ERROR_TEXT));
        text.push_str(&format!("… ({left_out} more bytes)"));
    }
    text
}

fn text_of(returned: &ToolReturn) -> String {
    let (ToolReturn::Content { parts } | ToolReturn::ContentAndArtifact { parts, .. }) = returned else {
        return String::new();
    };
    let text = |part: &Part| match part {
        Part::Text { text } => Some(text.clone()),
        _ => None,
    };
    parts.iter().filter_map(text).collect()
}
