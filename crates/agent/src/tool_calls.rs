//! The tool calls of one turn, run at once up to a limit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use atomr_agents_core::{CallCtx, CancellationToken, EventKind, Part, ToolCall, ToolControl, ToolReturn, Value};
use atomr_agents_observability::Hold;
use atomr_agents_tool::{Execution, Grants, IdempotencyKey, ToolError, Toolbox, execute, parse_arguments};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use crate::budget::ToolCharge;
use crate::driver::{Driver, ONCE_WITHIN};
use crate::durable::{Fresh, Halt, Log, effect_of, settle, stage_intents};
use crate::engine::Prepared;
use crate::limit::millis;
use crate::middleware::{ToolOutcome, tool_chain};
use crate::turn::{CallResult, Then};
use crate::{AgentError, EffectClass, ToolTask};

/// The most bytes of an error's text that the model is shown.
const MAX_ERROR_TEXT: usize = 16 << 10;

/// Runs the calls; each feeds its result to the machine as it comes. An error of a tool is a result that the model
/// sees; an error that ends the run cancels the siblings and waits until they have stopped. Those that must not happen
/// twice are not cancelled: how they end is waited for.
pub(crate) async fn call_tools(
    driver: &Arc<Driver>,
    prepared: &Arc<Prepared>,
    tasks: Vec<ToolTask>,
) -> Result<(), AgentError> {
    let log = driver.log.as_ref();
    let iteration = driver.transcript.lock().machine.iteration();
    let fresh = match log {
        None => tasks.into_iter().map(|task| Fresh { task, attempt: 0 }).collect(),
        Some(log) => settle(driver, prepared, log, iteration, tasks).await?,
    };
    if fresh.is_empty() {
        return Ok(());
    }
    let charge = Arc::new(ToolCharge::reserve(&driver.ctx, fresh.len())?);
    let mut siblings = driver.ctx.scoped();
    if let Some(grants) = &prepared.engine.options.grants {
        siblings = grants.enter(&siblings);
    }
    let one = One { driver: Arc::clone(driver), prepared: Arc::clone(prepared), ctx: siblings, charge, iteration };
    let waiting = match log {
        None => fresh.into_iter().map(|fresh| Due { fresh, call: None }).collect(),
        Some(log) => one.intend(log, fresh).await?,
    };
    let once = waiting.iter().any(|due| effect_of(prepared, due.name()) == EffectClass::Once);
    let mut running = Running { one, log, once, tasks: JoinSet::new(), plain: Vec::new() };
    running.all(waiting).await
}

/// A call that is to be made.
struct Due {
    fresh: Fresh,
    /// The call as it is made, once the hooks before it have run and nobody need be asked about it.
    call: Option<ToolCall>,
}

impl Due {
    fn name(&self) -> &str {
        &self.call.as_ref().unwrap_or(&self.fresh.task.call).name
    }
}

/// What ended, if nothing else went wrong: what tells of it waits until it is written.
type Ended = Result<Option<Hold>, AgentError>;

struct Running<'a> {
    one: One,
    log: Option<&'a Log>,
    /// Some of the calls must not happen twice.
    once: bool,
    tasks: JoinSet<Ended>,
    /// Those that are stopped when another one ends the run; collected where there are others.
    plain: Vec<AbortHandle>,
}

impl Running<'_> {
    async fn all(&mut self, mut waiting: VecDeque<Due>) -> Result<(), AgentError> {
        loop {
            while self.tasks.len() < self.one.prepared.engine.options.max_parallel_tools
                && let Some(due) = waiting.pop_front()
            {
                self.spawn(due);
            }
            let Some(joined) = self.tasks.join_next().await else { return Ok(()) };
            if let Err(error) = self.ended(joined).await {
                self.stop().await;
                return Err(error);
            }
        }
    }

    fn spawn(&mut self, due: Due) {
        let once = self.once && effect_of(&self.one.prepared, due.name()) == EffectClass::Once;
        let handle = self.tasks.spawn(self.one.clone().run(due, once));
        if self.once && !once {
            self.plain.push(handle);
        }
    }

    /// A call ended. What ended together with it is written together with it.
    async fn ended(&mut self, first: Result<Ended, JoinError>) -> Result<(), AgentError> {
        let (mut next, mut holds, mut failed) = (Some(first), Vec::new(), None);
        while let Some(joined) = next {
            match joined.unwrap_or_else(|error| Err(gone(&error))) {
                Ok(hold) => holds.extend(hold),
                Err(error) => failed = failed.or(Some(error)),
            }
            next = self.log.and_then(|_| self.tasks.try_join_next());
        }
        if let (Some(log), None) = (self.log, &failed) {
            log.commit().await?;
        }
        drop(holds);
        failed.map_or(Ok(()), Err)
    }

    /// Stops the calls that are under way, and waits for those that must not happen twice.
    async fn stop(&mut self) {
        self.one.ctx.cancel.cancel();
        if self.one.driver.once.load(Ordering::Relaxed) > 0 {
            self.plain.iter().for_each(AbortHandle::abort);
            let rest = async { while self.tasks.join_next().await.is_some() {} };
            // What has not ended by then is dropped; in a run that is kept nobody knows its outcome.
            let _ = tokio::time::timeout(ONCE_WITHIN, rest).await;
        }
        self.tasks.shutdown().await;
    }
}

/// The body of a task catches panics of tools itself; what is left are those of middleware, and a task that was aborted
/// with the runtime.
fn gone(error: &JoinError) -> AgentError {
    if error.is_panic() {
        let (hook, message) = ("a hook around a tool call".to_owned(), "it panicked".to_owned());
        AgentError::Middleware { hook, message, source: None }
    } else {
        AgentError::Cancelled
    }
}

/// One call and what it needs.
#[derive(Clone)]
struct One {
    driver: Arc<Driver>,
    prepared: Arc<Prepared>,
    ctx: CallCtx,
    charge: Arc<ToolCharge>,
    /// The number of the model call that asked for it.
    iteration: u32,
}

impl One {
    /// Looks at all calls before any is made, and writes down which are about to be.
    async fn intend(&self, log: &Log, fresh: Vec<Fresh>) -> Result<VecDeque<Due>, AgentError> {
        let mut waiting = VecDeque::with_capacity(fresh.len());
        for fresh in fresh {
            if let Some(call) = self.look(&fresh.task).await? {
                waiting.push_back(Due { fresh, call: Some(call) });
            }
        }
        let calls = waiting.iter().map(|due| (&due.fresh, due.name()));
        let once = stage_intents(&self.prepared, log, self.iteration, calls);
        if !waiting.is_empty() {
            log.commit_before(once).await?;
        }
        Ok(waiting)
    }

    /// Runs the hooks before a call. Nothing, if somebody must be asked about it.
    async fn look(&self, task: &ToolTask) -> Result<Option<ToolCall>, AgentError> {
        let mut call = task.call.clone();
        if task.approved {
            return Ok(Some(call));
        }
        for each in &self.prepared.engine.options.middleware {
            each.before_tool(&mut call, &self.ctx).await?;
        }
        if must_be_approved(self.prepared.tools(), &call, &self.ctx) {
            self.wait(task.index, call)?;
            return Ok(None);
        }
        Ok(Some(call))
    }

    /// Runs the call, or has it wait for somebody's word.
    async fn run(self, due: Due, once: bool) -> Ended {
        let Due { fresh, call } = due;
        let call = match call {
            Some(call) => call,
            None => match self.look(&fresh.task).await? {
                Some(call) => call,
                None => return Ok(None),
            },
        };
        self.charge.begin();
        let _under_way = once.then(|| UnderWay::begin(&self.driver));
        self.execute(&fresh, call, once).await
    }

    fn wait(&self, index: usize, call: ToolCall) -> Result<(), AgentError> {
        if let Some(log) = &self.driver.log {
            log.stage_wait(self.iteration, index, &call)?;
        }
        let (call_id, name, arguments) = (call.id.as_str().into(), call.name.as_str().into(), call.raw.clone());
        self.driver.transcript.lock().machine.wait(index, call)?;
        let call_index = position(index);
        self.ctx.emit(EventKind::ApprovalRequested { call_index, call_id, name, arguments });
        Ok(())
    }

    /// The context of a call. One that must not happen twice does not end with the run.
    fn context(&self, fresh: &Fresh, name: &str, once: bool) -> CallCtx {
        let mut ctx = self.ctx.clone();
        if once {
            ctx.cancel = CancellationToken::new();
        }
        let Some(log) = &self.driver.log else { return ctx };
        let tool = self.prepared.tools().find(name);
        let version = tool.map_or_else(|_| String::new(), |tool| tool.tool().meta().version.to_string());
        if let Some(key) = log.idempotency(self.iteration, fresh.task.index, &version) {
            ctx = ctx.with(IdempotencyKey::new(key));
        }
        log.enter_call(&ctx, self.iteration, fresh.task.index)
    }

    /// Runs one call and puts its result into the transcript before anybody is told, so that what was done is not lost
    /// when the run ends while the others still run.
    async fn execute(&self, fresh: &Fresh, call: ToolCall, once: bool) -> Ended {
        let (index, approved) = (fresh.task.index, fresh.task.approved);
        let ctx = self.context(fresh, &call.name, once);
        let (call_id, name): (Arc<str>, Arc<str>) = (call.id.as_str().into(), call.name.as_str().into());
        let (id, called) = (Arc::clone(&call_id), Arc::clone(&name));
        let call_index = position(index);
        self.ctx.emit(EventKind::ToolStarted { call_index, call_id: id, name: called, arguments: call.raw.clone() });
        let started = std::time::Instant::now();
        let mut outcome = self.through(call.clone(), approved, ctx).await?;
        if let Ok(ToolReturn::Command(ToolControl::Handoff { target, .. })) = &outcome
            && let Err(error) = self.driver.may_hand_to(&self.prepared, target)
        {
            outcome = Err(error);
        }
        let (ok, error) = match &outcome {
            Ok(_) => (true, None),
            Err(error) => (false, Some(error.kind())),
        };
        let mut hold = None;
        let (fed, result) = match outcome {
            Err(ToolError::Cancelled) => (Err(AgentError::Cancelled), "the tool call was cancelled".to_owned()),
            Err(error) if error.ends_the_run() => {
                let said = error.to_string();
                (Err(AgentError::Tool(error)), said)
            }
            outcome => match self.halted() {
                Some(error) => {
                    let said = error.to_string();
                    (Err(error), said)
                }
                None => {
                    let seen = seen_by_model(&call.name, outcome);
                    let said = text_of(&seen.parts);
                    hold = self.record(fresh, &seen)?;
                    (self.driver.transcript.lock().machine.feed_tool(index, seen).map_err(AgentError::from), said)
                }
            },
        };
        let elapsed_ms = millis(started.elapsed());
        self.ctx.emit(EventKind::ToolInvoked { call_index, call_id, name, ok, error, result, elapsed_ms });
        fed.map(|()| hold)
    }

    /// Why the run cannot go on, if that was found out below this call.
    fn halted(&self) -> Option<AgentError> {
        self.driver.log.as_ref()?;
        self.ctx.get::<Halt>()?.get().cloned().map(AgentError::Log)
    }

    /// Makes how a call ended part of the next commit; what tells of it waits for that.
    fn record(&self, fresh: &Fresh, seen: &CallResult) -> Result<Option<Hold>, AgentError> {
        let Some(log) = &self.driver.log else { return Ok(None) };
        log.stage_result(log.call_key(self.iteration, fresh.task.index, fresh.attempt), seen)?;
        Ok(self.driver.events.as_ref().filter(|_| log.top).map(|events| events.hold()))
    }

    /// The call, through the middleware. What it makes of the call is run only if nobody must be asked about it.
    async fn through(&self, call: ToolCall, approved: bool, ctx: CallCtx) -> Result<ToolOutcome, AgentError> {
        let middleware = &self.prepared.engine.options.middleware;
        if middleware.is_empty() {
            return Ok(execute(self.prepared.tools(), &call, &ctx).await.result);
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
        let mut outcome = chain.run(call.clone(), ctx.clone()).await?;
        for each in middleware.iter().rev() {
            each.after_tool(&call, &mut outcome, &ctx).await?;
        }
        Ok(outcome)
    }
}

/// A call that is waited for if the run ends early.
struct UnderWay(Arc<Driver>);

impl UnderWay {
    fn begin(driver: &Arc<Driver>) -> Self {
        driver.once.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(driver))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.once.fetch_sub(1, Ordering::Relaxed);
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

pub(crate) fn seen_by_model(name: &str, outcome: ToolOutcome) -> CallResult {
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
        Ok(_) => CallResult::error(format!("{name} returned something this version cannot read")),
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
