//! One call of a run, from its context to how it is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use atomr_agents_core::{CallCtx, Event, EventKind, RunId, Usage, Value};
use atomr_agents_observability::RunEvents;
use atomr_agents_state::{Journal, RunStatus, StateView, StoredError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::engine::{Course, Engine, Leave, Stand};
use super::hot::{Hot, HotTable};
use super::parts::Part;
use super::shared::RunShared;
use crate::{Graph, GraphError, GraphFault, Interrupt, RunOptions, RunnerOptions, WorkflowError};

/// How a call of a run was left.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    /// The run's name.
    pub run: String,
    /// How it is doing: [`RunStatus::Finished`], [`RunStatus::Suspended`], or [`RunStatus::Paused`] when it was drained.
    pub status: RunStatus,
    /// The last super-step that is done, counted over all turns.
    pub step: u64,
    /// The state after it.
    pub state: StateView,
    /// What it waits for, when it is suspended.
    pub interrupts: Vec<Interrupt>,
}

/// What a suspended run notes at its end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Suspension {
    pub(crate) interrupts: Vec<Interrupt>,
    /// The mark of the frames that a process keeps.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) frames: String,
}

/// What a call needs besides the run itself.
pub(crate) struct Call {
    pub(crate) course: Course,
    /// The events of the run, unless they are part of another's.
    pub(crate) events: Option<Arc<RunEvents>>,
    pub(crate) began: Instant,
}

impl Call {
    pub(crate) fn new(graph: &Graph, runner: &RunnerOptions, options: &RunOptions) -> Result<Self, WorkflowError> {
        let course = Course {
            max_steps: options.max_steps.unwrap_or(runner.max_steps),
            before: options.interrupt_before.clone().unwrap_or_else(|| runner.interrupt_before.clone()),
            after: options.interrupt_after.clone().unwrap_or_else(|| runner.interrupt_after.clone()),
            drain: options.drain.clone().unwrap_or_default(),
        };
        let places = &graph.0.wiring.places;
        let mut faults = Vec::new();
        for (place, names) in [("interrupt_before", &course.before), ("interrupt_after", &course.after)] {
            for name in names.iter().filter(|name| *name != "*" && !places.contains_key(name.as_str())) {
                faults.push(GraphFault::Unknown { name: name.clone(), place: place.to_owned() });
            }
        }
        if !faults.is_empty() {
            return Err(GraphError { graph: graph.name().to_owned(), faults }.into());
        }
        Ok(Self { course, events: None, began: Instant::now() })
    }

    /// The context of the run: events go where the caller's go, or to the runner's buses.
    pub(crate) fn context(
        &mut self,
        journal: &Journal,
        id: RunId,
        runner: &RunnerOptions,
        options: &RunOptions,
    ) -> CallCtx {
        let mut ctx = match &options.ctx {
            Some(outer) => {
                let mut ctx = outer.scoped();
                ctx.parent = outer.has_sink().then_some(outer.run);
                ctx
            }
            None => CallCtx::new(),
        };
        ctx.run = id;
        if !ctx.has_sink() {
            let mut events = RunEvents::new(runner.buses.iter().chain(&options.buses).cloned());
            if runner.record_events {
                let own = journal.clone();
                // An event that JSON has no form for is not stored; there is none.
                let record = move |event: &Event| drop(own.stage_event(event));
                events = events.recorded(journal.next_seq(), Box::new(record));
            } else if runner.buses.is_empty() && options.buses.is_empty() {
                return ctx;
            }
            let events = Arc::new(events);
            self.events = Some(Arc::clone(&events));
            ctx = ctx.with_sink(events);
        }
        ctx
    }
}

impl Engine {
    /// Goes on with a run until it ends or stops, and writes how.
    pub(crate) async fn drive(
        &self,
        run: &Arc<RunShared>,
        mut stand: Stand,
        call: &Call,
        hot: &HotTable,
    ) -> Result<RunOutcome, WorkflowError> {
        let live = run.live();
        let left = self.go(run, &mut stand, call).await;
        let elapsed_ms = u64::try_from(call.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let result = match left {
            Ok(leave) => {
                // What is told of the end is told once it is written.
                let hold = call.events.as_ref().map(RunEvents::hold);
                let left = self.leave(run, &mut stand, leave, elapsed_ms, hot).await;
                if let (Some(hold), Err(_)) = (hold, &left) {
                    hold.discard();
                }
                left
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            let (error_kind, message) = (error.kind(), error.to_string());
            live.ctx.emit(EventKind::RunFailed { error: error_kind, message: message.clone(), elapsed_ms });
            // Written where that is still possible: the error itself is what the caller gets.
            if !error.is_fenced() {
                let stored = StoredError { kind: error_kind, message };
                let _ = live.journal.end(error.status(), None, Some(stored)).await;
            }
        }
        // Where the store cannot be told just now, the lease runs out.
        let _ = live.journal.release().await;
        if let Some(events) = &call.events {
            events.close();
        }
        result
    }

    /// Writes how a run was left, together with its last checkpoint.
    async fn leave(
        &self,
        run: &Arc<RunShared>,
        stand: &mut Stand,
        leave: Leave,
        elapsed_ms: u64,
        hot: &HotTable,
    ) -> Result<RunOutcome, WorkflowError> {
        let live = run.live();
        let name = live.journal.run().to_owned();
        if stand.untold {
            Self::tell(&live, stand, "step");
        }
        let (status, interrupts) = match leave {
            Leave::Finished => {
                live.ctx.emit(EventKind::RunFinished { usage: Box::new(Usage::default()), cost: None, elapsed_ms });
                (RunStatus::Finished, Vec::new())
            }
            Leave::Drained => {
                live.ctx.emit(EventKind::RunSuspended { pending: 0, elapsed_ms });
                (RunStatus::Paused, Vec::new())
            }
            Leave::Suspended(interrupts) => {
                live.ctx.emit(EventKind::RunSuspended { pending: interrupts.len(), elapsed_ms });
                (RunStatus::Suspended, interrupts)
            }
        };
        let frames = std::mem::take(&mut stand.frames);
        let mark = if frames.is_empty() { String::new() } else { Uuid::now_v7().to_string() };
        let note = match status {
            RunStatus::Suspended => {
                let suspension = Suspension { interrupts: interrupts.clone(), frames: mark.clone() };
                Some(live.journal.body(&suspension)?)
            }
            _ => None,
        };
        live.journal.end(status, note, None).await?;
        if stand.untold {
            Self::show(&live, stand);
        }
        if let Some(parts) = live.parts.as_ref().filter(|_| !interrupts.is_empty()) {
            parts.push(Part::Interrupts(interrupts.clone()));
        }
        if !frames.is_empty() {
            hot.keep(name.clone(), Hot::new(Arc::clone(run), frames, mark));
        }
        Ok(RunOutcome { run: name, status, step: stand.step, state: stand.view(), interrupts })
    }
}

/// An object of channels and values, as writes.
pub(crate) fn writes_of(what: &'static str, value: Value) -> Result<Vec<(String, Value)>, WorkflowError> {
    let found = match value {
        Value::Object(map) => return Ok(map.into_iter().collect()),
        Value::Null => return Ok(Vec::new()),
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
    };
    Err(WorkflowError::NoObject { what, found })
}

/// Answers by the ids of their interrupts.
pub(crate) type Answers = BTreeMap<String, Value>;
