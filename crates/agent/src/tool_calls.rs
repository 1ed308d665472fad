//! The tool calls of one turn, run at once up to a limit.

use std::collections::VecDeque;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, EventKind, Part, ToolCall, ToolControl, ToolReturn, Value};
use atomr_agents_tool::{Execution, Grants, ToolError, Toolbox, execute, parse_arguments};
use tokio::task::JoinSet;

use crate::budget::ToolCharge;
use crate::driver::Driver;
use crate::engine::Prepared;
use crate::limit::millis;
use crate::middleware::{ToolOutcome, tool_chain};
use crate::turn::{CallResult, Then};
use crate::{AgentError, ToolTask};

/// The most bytes of an error's text that the model is shown.
const MAX_ERROR_TEXT: usize = 16 << 10;

/// Runs the calls; each feeds its result to the machine as it comes. An error of a tool is a result that the model
/// sees; an error that ends the run cancels the siblings and waits until they have stopped.
pub(crate) async fn call_tools(
    driver: &Arc<Driver>,
    prepared: &Arc<Prepared>,
    tasks: Vec<ToolTask>,
) -> Result<(), AgentError> {
    let charge = Arc::new(ToolCharge::reserve(&driver.ctx, tasks.len())?);
    let mut siblings = driver.ctx.scoped();
    if let Some(grants) = &prepared.engine.options.grants {
        siblings = grants.enter(&siblings);
    }
    let mut waiting: VecDeque<_> = tasks.into();
    let mut running = JoinSet::new();
    let outcome = loop {
        while running.len() < prepared.engine.options.max_parallel_tools
            && let Some(task) = waiting.pop_front()
        {
            let (driver, prepared) = (Arc::clone(driver), Arc::clone(prepared));
            running.spawn(One { driver, prepared, ctx: siblings.clone(), charge: Arc::clone(&charge) }.run(task));
        }
        let Some(joined) = running.join_next().await else { break Ok(()) };
        // The body catches panics of tools itself; what is left are those of middleware, and a task that was aborted
        // with the runtime.
        let ended = joined.unwrap_or_else(|error| {
            Err(if error.is_panic() {
                let (hook, message) = ("a hook around a tool call".to_owned(), "it panicked".to_owned());
                AgentError::Middleware { hook, message, source: None }
            } else {
                AgentError::Cancelled
            })
        });
        if let Err(error) = ended {
            siblings.cancel.cancel();
            running.shutdown().await;
            break Err(error);
        }
    };
    drop(charge);
    outcome
}

/// One call and what it needs.
struct One {
    driver: Arc<Driver>,
    prepared: Arc<Prepared>,
    ctx: CallCtx,
    charge: Arc<ToolCharge>,
}

impl One {
    /// Runs the call, or has it wait for somebody's word.
    async fn run(self, task: ToolTask) -> Result<(), AgentError> {
        let ToolTask { index, mut call, approved } = task;
        let middleware = &self.prepared.engine.options.middleware;
        if !approved {
            for each in middleware {
                each.before_tool(&mut call, &self.ctx).await?;
            }
            if must_be_approved(self.prepared.tools(), &call, &self.ctx) {
                return self.wait(index, call);
            }
        }
        self.charge.begin();
        self.execute(index, call, approved).await
    }

    fn wait(&self, index: usize, call: ToolCall) -> Result<(), AgentError> {
        let (call_id, name, arguments) = (call.id.as_str().into(), call.name.as_str().into(), call.raw.clone());
        self.driver.transcript.lock().machine.wait(index, call)?;
        let call_index = position(index);
        self.ctx.emit(EventKind::ApprovalRequested { call_index, call_id, name, arguments });
        Ok(())
    }

    /// Runs one call and puts its result into the transcript before anybody is told, so that what was done is not lost
    /// when the run ends while the others still run.
    async fn execute(&self, index: usize, call: ToolCall, approved: bool) -> Result<(), AgentError> {
        let (call_id, name): (Arc<str>, Arc<str>) = (call.id.as_str().into(), call.name.as_str().into());
        let (id, called) = (Arc::clone(&call_id), Arc::clone(&name));
        let call_index = position(index);
        self.ctx.emit(EventKind::ToolStarted { call_index, call_id: id, name: called, arguments: call.raw.clone() });
        let started = std::time::Instant::now();
        let mut outcome = self.through(call.clone(), approved).await?;
        if let Ok(ToolReturn::Command(ToolControl::Handoff { target, .. })) = &outcome
            && let Err(error) = self.driver.may_hand_to(&self.prepared, target)
        {
            outcome = Err(error);
        }
        let (ok, error) = match &outcome {
            Ok(_) => (true, None),
            Err(error) => (false, Some(error.kind())),
        };
        let (fed, result) = match outcome {
            Err(ToolError::Cancelled) => (Err(AgentError::Cancelled), "the tool call was cancelled".to_owned()),
            Err(error) if error.ends_the_run() => {
                let said = error.to_string();
                (Err(AgentError::Tool(error)), said)
            }
            outcome => {
                let seen = seen_by_model(&call, outcome);
                let said = text_of(&seen.parts);
                (self.driver.transcript.lock().machine.feed_tool(index, seen).map_err(AgentError::from), said)
            }
        };
        let elapsed_ms = millis(started.elapsed());
        self.ctx.emit(EventKind::ToolInvoked { call_index, call_id, name, ok, error, result, elapsed_ms });
        fed
    }

    /// The call, through the middleware. What it makes of the call is run only if nobody must be asked about it.
    async fn through(&self, call: ToolCall, approved: bool) -> Result<ToolOutcome, AgentError> {
        let middleware = &self.prepared.engine.options.middleware;
        if middleware.is_empty() {
            return Ok(execute(self.prepared.tools(), &call, &self.ctx).await.result);
        }
        let (toolbox, asked) = (Arc::clone(self.prepared.tools()), approved.then(|| call.clone()));
        let chain = tool_chain(middleware, move |call, ctx| {
            let toolbox = Arc::clone(&toolbox);
            let said_yes = asked.as_ref().is_some_and(|asked| asked.name == call.name && asked.raw == call.raw);
            Box::pin(async move {
                if !said_yes && must_be_approved(&toolbox, &call, &ctx) {
                    return Ok(Err(changed_since(&call)));
                }
                let Execution { result, .. } = execute(&toolbox, &call, &ctx).await;
                Ok(result)
            })
        });
        let mut outcome = chain.run(call.clone(), self.ctx.clone()).await?;
        for each in middleware.iter().rev() {
            each.after_tool(&call, &mut outcome, &self.ctx).await?;
        }
        Ok(outcome)
    }
}

/// Whether somebody must be asked. Only a call that could be run is worth somebody's time.
fn must_be_approved(toolbox: &Toolbox, call: &ToolCall, ctx: &CallCtx) -> bool {
    toolbox.find(&call.name).is_ok_and(|tool| {
        let permissions = &tool.tool().meta().permissions;
        let could_run = |arguments: Value| {
            tool.check(&arguments).is_ok() && Grants::of(ctx).missing(permissions, &arguments).is_empty()
        };
        tool.tool().options().requires_approval && parse_arguments(call).is_ok_and(could_run)
    })
}

fn changed_since(call: &ToolCall) -> ToolError {
    let message = format!(
        "not run: this call of {} needs approval, and a middleware around it made it another one than anybody was \
         asked about; such changes belong before the call",
        call.name
    );
    ToolError::Rejected { message, source: None }
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn seen_by_model(call: &ToolCall, outcome: ToolOutcome) -> CallResult {
    match outcome {
        Ok(ToolReturn::Content { parts }) => CallResult { parts, ..CallResult::default() },
        Ok(ToolReturn::ContentAndArtifact { parts, artifact }) => {
            CallResult { parts, artifact: Some(artifact), ..CallResult::default() }
        }
        Ok(ToolReturn::Command(ToolControl::Handoff { target, payload })) => {
            let note = match payload {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(note) => format!(" {note}"),
                payload => format!(" {payload}"),
            };
            let said = CallResult::text(format!("Handed over to {target}.{note}"));
            CallResult { then: Some(Then::Handoff { target }), ..said }
        }
        Ok(ToolReturn::Command(ToolControl::Done { value })) => {
            CallResult { then: Some(Then::Done { value }), ..CallResult::text("Done.") }
        }
        Ok(ToolReturn::Command(ToolControl::Update { parts, values })) => {
            CallResult { parts, then: Some(Then::Update { values }), ..CallResult::default() }
        }
        // A kind of return that a later version knows: the model is told that it could not be read.
        Ok(_) => CallResult::error(format!("{} returned something this version cannot read", call.name)),
        Err(error) => CallResult::error(shortened(error.to_string())),
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

fn text_of(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Text { text } => Some(text.clone()),
        _ => None,
    };
    parts.iter().filter_map(text).collect()
}
