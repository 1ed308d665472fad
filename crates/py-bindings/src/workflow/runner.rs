//! Runs of a graph: begun, gone on with, looked at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::{CallCtx, Kind, RunId, Value};
use atomr_agents_py_bridge::{Scope, awaitable, stepping};
use atomr_agents_state::{MemoryStore, RunLogError, Store, remove};
use atomr_agents_workflow::{
    Command, Existing, OnChange, RunOptions, RunOutcome, RunnerOptions, StatefulRunner, WorkflowError,
};
use pyo3::prelude::*;

use super::answer::{commands, input};
use super::graph::Graph;
use super::node::UserConfig;
use super::outcome::{Outcome, RunSnapshot};
use super::shape::{RunMirrors, Shape};
use super::stream::{Opening, RunParts, Wanted};
use crate::context::{Deps, call_ctx, served};
use crate::errors::{Fault, config};
use crate::observability::EventBus;
use crate::state::store_of;

#[pyclass(frozen, module = "atomr_agents._native.workflow")]
pub(crate) struct GraphRunner {
    runner: StatefulRunner,
    shape: Arc<Shape>,
    /// Runs that nobody can ask for again; None where they are kept.
    loose: Option<Arc<Loose>>,
}

/// Runs that were left and go with the next call.
#[derive(Default)]
struct Loose(Mutex<Vec<String>>);

/// How a graph is run, as Python says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Course<'py> {
    store: Option<Bound<'py, PyAny>>,
    durability: Option<String>,
    when: Option<String>,
    before: Vec<String>,
    after: Vec<String>,
    max_parallel: Option<usize>,
    record_events: bool,
    buses: Vec<Py<EventBus>>,
}

/// One call of a run, as Python says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Given<'py> {
    /// None for a run of its own.
    thread: Option<String>,
    /// A dict, a `Command`, or None to go on.
    input: Option<Bound<'py, PyAny>>,
    is_command: bool,
    config: Option<Py<PyAny>>,
    context: Option<Py<PyAny>>,
    max_steps: Option<u64>,
    before: Option<Vec<String>>,
    after: Option<Vec<String>>,
    durability: Option<String>,
    when: Option<String>,
    /// The super-step after which it is gone on with; None for the last.
    at: Option<u64>,
    /// Another version of the graph may have begun it.
    accept: bool,
    /// The first turn only: the name must be new.
    fresh: bool,
}

enum What {
    Begin(Value),
    Resume(String, Vec<Command>),
}

/// A call that is ready to be made.
pub(super) struct Call {
    what: What,
    options: RunOptions,
    outer: Option<CallCtx>,
    deps: Option<Deps>,
    user: Option<UserConfig>,
    pub(super) mirrors: RunMirrors,
}

impl Call {
    /// The context of the call, for the loop of its caller.
    fn context(&self, scope: &Scope) -> CallCtx {
        let ctx = match &self.outer {
            None => call_ctx(scope, self.deps.clone()),
            Some(outer) => {
                let ctx = outer.scoped().with(scope.clone());
                match &self.deps {
                    Some(deps) => ctx.with(deps.clone()),
                    None => ctx,
                }
            }
        };
        let ctx = ctx.with(self.mirrors.clone());
        match &self.user {
            Some(user) => ctx.with(user.clone()),
            None => ctx,
        }
    }
}

impl Given<'_> {
    fn call(self, py: Python<'_>) -> PyResult<Call> {
        let said = match (&self.input, self.is_command) {
            (None, _) => Err(vec![Command::Continue]),
            (Some(command), true) => Err(commands(command).map_err(|bad| config(bad.message))?),
            (Some(given), false) => Ok(input(given)?),
        };
        let what = match (said, &self.thread) {
            (Ok(input), _) => What::Begin(input),
            (Err(commands), Some(thread)) => What::Resume(thread.clone(), commands),
            (Err(_), None) => {
                let message = "to go on with a run, say which: config={\"configurable\": {\"thread_id\": ...}}, on a graph \
                               compiled with a checkpointer";
                return Err(config(message));
            }
        };
        let options = RunOptions {
            name: Some(self.thread.unwrap_or_else(|| RunId::new().to_string())),
            existing: if self.fresh { Existing::Refuse } else { Existing::NextTurn },
            ctx: None,
            max_steps: self.max_steps,
            interrupt_before: self.before,
            interrupt_after: self.after,
            drain: None,
            durability: self.durability.map(|text| text.parse().map_err(config)).transpose()?,
            when: self.when.map(|text| when(&text)).transpose()?,
            on_change: if self.accept { OnChange::Accept } else { OnChange::Refuse },
            at: self.at,
            labels: BTreeMap::new(),
            buses: Vec::new(),
        };
        let (deps, user) = (self.context.map(|context| Deps(Arc::new(context))), self.config);
        let user = user.map(|user| UserConfig(Arc::new(user)));
        Ok(Call { what, options, outer: served(py), deps, user, mirrors: RunMirrors::default() })
    }
}

fn when(text: &str) -> PyResult<atomr_agents_state::When> {
    use atomr_agents_state::When;
    match text {
        "sync" => Ok(When::Sync),
        "async" => Ok(When::Async),
        "exit" => Ok(When::Exit),
        other => Err(config(format!("a run is written sync, async or at its exit, not {other:?}"))),
    }
}

/// Notes a run that nobody can ask for when it is left, however that is.
pub(super) struct Left(Option<(Arc<Loose>, String)>);

impl Drop for Left {
    fn drop(&mut self) {
        if let Some((loose, name)) = self.0.take() {
            loose.0.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        }
    }
}

#[pymethods]
impl GraphRunner {
    #[new]
    fn new(graph: &Graph, course: Course<'_>) -> PyResult<Self> {
        let mut options = RunnerOptions {
            interrupt_before: course.before,
            interrupt_after: course.after,
            ..RunnerOptions::default()
        };
        if let Some(text) = course.durability {
            options.durability = text.parse().map_err(config)?;
        }
        if let Some(text) = course.when {
            options.when = when(&text)?;
        }
        if let Some(most) = course.max_parallel {
            options.max_parallel = most;
        }
        options.record_events = course.record_events;
        options.buses = course.buses.iter().map(|bus| bus.get().0.clone()).collect();
        let (store, loose): (Arc<dyn Store>, _) = match &course.store {
            Some(store) => (store_of(store)?, None),
            None => {
                (options.max_suspended, options.record_events) = (0, false);
                (Arc::new(MemoryStore::new()), Some(Arc::default()))
            }
        };
        let runner = StatefulRunner::with_store(graph.graph.clone(), store, options);
        Ok(Self { runner, shape: Arc::clone(&graph.shape), loose })
    }

    #[getter]
    fn suspended(&self) -> usize {
        self.runner.suspended()
    }

    /// Runs until the end, or until the run stops.
    fn run(&self, py: Python<'_>, given: Given<'_>) -> PyResult<Py<PyAny>> {
        let call = given.call(py)?;
        let (runner, shape, loose) = (self.runner.clone(), Arc::clone(&self.shape), self.loose.clone());
        stepping(py, move |scope| async move {
            tidy(&runner, loose.as_deref()).await;
            let mirrors = call.mirrors.clone();
            let (ctx, left) = (call.context(&scope), left(&call, loose));
            let end = ctx.cancel.clone().drop_guard();
            let outcome = begin(&runner, call, ctx).await.map_err(Fault)?;
            // What waits for an answer is not cancelled by the end of the call.
            end.disarm();
            drop(left);
            Ok::<_, Fault<WorkflowError>>(Outcome { outcome, shape, mirrors })
        })
    }

    /// The same, part by part: of the states, the answers of steps, what they write, and events, what is wanted.
    fn parts(&self, py: Python<'_>, given: Given<'_>, wanted: Wanted) -> PyResult<RunParts> {
        let call = given.call(py)?;
        let scope = Scope::current(py)?;
        let (ctx, left) = (call.context(&scope), left(&call, self.loose.clone()));
        let Call { what, mut options, mirrors, .. } = call;
        let mut opening = Opening::new(wanted, Arc::clone(&self.shape), mirrors, left);
        options.buses.extend(opening.listens(&ctx));
        options.ctx = Some(ctx);
        let stream = match what {
            What::Begin(input) => self.runner.stream(input, options),
            What::Resume(name, commands) => self.runner.stream_resume(&name, commands, options),
        };
        Ok(opening.reads(stream))
    }

    /// Where a run stands, or stood after a step; None if there is no such run.
    fn state(&self, py: Python<'_>, thread: String, step: Option<u64>) -> PyResult<Py<PyAny>> {
        let (runner, shape) = (self.runner.clone(), Arc::clone(&self.shape));
        awaitable(py, move |_scope| async move {
            let found = match step {
                Some(step) => runner.state_at(&thread, step).await,
                None => runner.get_state(&thread).await,
            };
            Ok::<_, Fault<WorkflowError>>(there(found)?.map(|snapshot| RunSnapshot { snapshot, shape }))
        })
    }

    fn history(&self, py: Python<'_>, thread: String, limit: usize) -> PyResult<Py<PyAny>> {
        let (runner, shape) = (self.runner.clone(), Arc::clone(&self.shape));
        awaitable(py, move |_scope| async move {
            let all = there(runner.history(&thread, limit).await)?.unwrap_or_default();
            let shown = |snapshot| RunSnapshot { snapshot, shape: Arc::clone(&shape) };
            Ok::<_, Fault<WorkflowError>>(all.into_iter().map(shown).collect::<Vec<_>>())
        })
    }

    fn update(
        &self,
        py: Python<'_>,
        thread: String,
        values: &Bound<'_, PyAny>,
        as_node: Option<String>,
        at: Option<u64>,
    ) -> PyResult<Py<PyAny>> {
        let (runner, shape, values) = (self.runner.clone(), Arc::clone(&self.shape), input(values)?);
        awaitable(py, move |scope| async move {
            let options = RunOptions { ctx: Some(call_ctx(&scope, None)), at, ..RunOptions::default() };
            let snapshot = runner.update_state(&thread, values, as_node.as_deref(), options).await.map_err(Fault)?;
            Ok::<_, Fault<WorkflowError>>(RunSnapshot { snapshot, shape })
        })
    }

    fn fork(
        &self,
        py: Python<'_>,
        thread: String,
        step: u64,
        edits: &Bound<'_, PyAny>,
        name: Option<String>,
    ) -> PyResult<Py<PyAny>> {
        let (runner, edits) = (self.runner.clone(), input(edits)?);
        awaitable(
            py,
            move |_scope| async move { runner.fork(&thread, step, edits, name.as_deref()).await.map_err(Fault) },
        )
    }

    /// What is different from the graph that began a run: what was added, removed and changed; None if nothing is.
    fn compare(&self, py: Python<'_>, thread: String) -> PyResult<Py<PyAny>> {
        let runner = self.runner.clone();
        awaitable(py, move |_scope| async move {
            let found = runner.check_compat(&thread).await.map_err(Fault)?;
            Ok::<_, Fault<WorkflowError>>(found.map(|it| (it.added, it.removed, it.changed)))
        })
    }
}

/// What was found, unless there is no such run.
fn there<T>(found: Result<T, WorkflowError>) -> Result<Option<T>, Fault<WorkflowError>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(WorkflowError::Log(RunLogError::NoSuchRun { .. })) => Ok(None),
        Err(error) => Err(Fault(error)),
    }
}

async fn begin(runner: &StatefulRunner, call: Call, ctx: CallCtx) -> Result<RunOutcome, WorkflowError> {
    let options = RunOptions { ctx: Some(ctx), ..call.options };
    match call.what {
        What::Begin(input) => runner.run(input, options).await,
        What::Resume(name, commands) => runner.resume(&name, commands, options).await,
    }
}

fn left(call: &Call, loose: Option<Arc<Loose>>) -> Left {
    Left(loose.zip(call.options.name.clone()))
}

/// Removes the runs that were left.
async fn tidy(runner: &StatefulRunner, loose: Option<&Loose>) {
    let Some(loose) = loose else { return };
    let names = std::mem::take(&mut *loose.0.lock().unwrap_or_else(PoisonError::into_inner));
    for name in names {
        // A run that was cut off may be let go in a moment; then it goes with the next call.
        match remove(runner.store(), &name).await {
            Err(error) if error.kind() == Kind::Locked => {
                loose.0.lock().unwrap_or_else(PoisonError::into_inner).push(name);
            }
            _ => {}
        }
    }
}
