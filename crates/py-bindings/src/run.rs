//! `_native.agent`, continued: runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atomr_agents_agent::{self as agent, BoxedAgent, ONCE_WITHIN, Run, RunError, RunInput, RunResult, Transcript};
use atomr_agents_core::{self as core, CallCtx, CancellationToken, Money, RunId, Value};
use atomr_agents_py_bridge::{Json, Scope, awaitable, json, runtime, watched};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::approval::{PendingRun, read, written};
use crate::context::{Deps, call_ctx};
use crate::core::{Message, Usage, messages};
use crate::errors::{Fault, from_kinded};
use crate::observability::Subscription;

/// How long the end of a run may take once it was cancelled.
const SETTLE: Duration = Duration::from_secs(1);

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RunHandle>()?;
    module.add_class::<RunOutcome>()?;
    module.add_class::<Partial>()
}

type Outcome = Result<RunResult, RunError>;

/// What a run begins with.
pub(crate) struct Start {
    pub(crate) agent: BoxedAgent,
    pub(crate) what: What,
    pub(crate) deps: Option<Deps>,
    /// The call in which it is begun, if it is begun in a tool.
    pub(crate) outer: Option<CallCtx>,
}

/// A new run, or one that was put away.
pub(crate) enum What {
    /// Under this name, if it has one.
    New(RunInput, Option<String>),
    Resumed(Box<agent::PendingRun>, Vec<agent::Decision>),
    /// One that is kept, by its name.
    Kept(String, Vec<agent::Decision>),
    /// An input of a session.
    Session(agent::Session, RunInput, agent::Sending),
    /// The turn of a session that has not ended.
    SessionAgain(agent::Session, Vec<agent::Decision>),
}

impl What {
    fn messages(&self) -> Vec<core::Message> {
        match self {
            What::New(input, _) => input.history.iter().chain(&input.messages).cloned().collect(),
            What::Resumed(pending, _) => pending.machine().closed_messages(),
            What::Session(_, input, _) => input.messages.clone(),
            What::Kept(..) | What::SessionAgain(..) => Vec::new(),
        }
    }

    /// The name of a run that is kept under one.
    fn name(&self) -> Option<String> {
        match self {
            What::New(_, name) => name.clone(),
            What::Resumed(pending, _) => pending.kept().map(str::to_owned),
            What::Kept(name, _) => Some(name.clone()),
            What::Session(..) | What::SessionAgain(..) => None,
        }
    }
}

/// Where a run is in its life.
enum State {
    /// Nothing was asked of it yet.
    Begun(Box<Start>),
    /// It runs inside the coroutine of [`RunHandle::run`].
    Direct,
    /// It runs in the background; dropping the set stops it.
    Started { _task: JoinSet<()>, ended: watch::Receiver<Option<Arc<Outcome>>>, scope: Scope },
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct RunHandle {
    state: Mutex<State>,
    run: RunId,
    /// The name under which it is kept, if it was given one.
    name: Option<String>,
    /// How long its end may take once it was cancelled.
    settle: Duration,
    /// Where its events are in the stream that it is part of.
    path: String,
    cancel: CancellationToken,
    transcript: Arc<Mutex<Option<Transcript>>>,
}

impl RunHandle {
    pub(crate) fn new(start: Start) -> Self {
        let run = match (&start.what, &start.outer) {
            (What::Resumed(pending, _), _) => pending.run(),
            (What::New(_, None), Some(outer)) => outer.run,
            // One that is kept under a name is a run of its own, wherever it is begun.
            _ => RunId::new(),
        };
        let name = start.what.name();
        let settle = if start.agent.durable().is_some() { SETTLE + ONCE_WITHIN } else { SETTLE };
        let cancel = start.outer.as_ref().map_or_else(CancellationToken::new, |outer| outer.cancel.child_token());
        let path = start.outer.as_ref().map(|outer| outer.child(start.agent.name()).path().to_owned());
        let (path, state) = (path.unwrap_or_default(), Mutex::new(State::Begun(Box::new(start))));
        Self { state, run, name, settle, path, cancel, transcript: Arc::default() }
    }

    /// Takes what is needed to run, once.
    fn take(&self, next: impl FnOnce() -> State) -> PyResult<Start> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Direct) {
            State::Begun(parts) => {
                *state = next();
                Ok(*parts)
            }
            other => {
                *state = other;
                Err(PyRuntimeError::new_err("this run was started before; begin another one"))
            }
        }
    }

    fn held(&self) -> Held {
        Held { run: self.run, cancel: self.cancel.clone(), transcript: Arc::clone(&self.transcript) }
    }

    fn ended(&self) -> PyResult<(watch::Receiver<Option<Arc<Outcome>>>, Scope)> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Started { ended, scope, .. } => Ok((ended.clone(), scope.clone())),
            _ => Err(PyRuntimeError::new_err("this run was not started")),
        }
    }
}

/// What is kept of a run outside of it.
#[derive(Clone)]
struct Held {
    run: RunId,
    cancel: CancellationToken,
    transcript: Arc<Mutex<Option<Transcript>>>,
}

impl Held {
    /// Begins the run in the context of its caller's loop, and keeps its transcript within reach. `heard`: somebody will
    /// listen to this run alone.
    fn begin(&self, scope: &Scope, start: Start, heard: bool) -> Run {
        let Start { agent, what, deps, outer } = start;
        let mut ctx = match outer {
            None => call_ctx(scope, deps),
            Some(outer) => {
                let inner = outer.with(scope.clone());
                let inner = if heard { BoxedAgent::heard(inner) } else { inner };
                match deps {
                    Some(deps) => inner.with(deps),
                    None => inner,
                }
            }
        };
        ctx.run = self.run;
        ctx.cancel = self.cancel.clone();
        let run = match what {
            What::New(input, None) => agent.begin(input, ctx),
            What::New(input, Some(name)) => agent.begin_as(&name, input, ctx),
            What::Resumed(pending, decisions) => agent.resume(*pending, &decisions, ctx),
            What::Kept(name, decisions) => agent.resume_run(&name, &decisions, ctx),
            What::Session(session, input, sending) => session.begin(input, sending, ctx),
            What::SessionAgain(session, decisions) => session.resume(&decisions, ctx),
        };
        *self.transcript.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.transcript());
        run
    }
}

#[pymethods]
impl RunHandle {
    #[getter]
    fn run_id(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.run.to_string())
    }

    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    fn run(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let this = slf.get();
        let parts = this.take(|| State::Direct)?;
        let held = this.held();
        awaitable(slf.py(), move |scope| {
            let run = held.begin(&scope, parts, false);
            async move { run.await.map(RunOutcome).map_err(Fault) }
        })
    }

    fn start(&self, py: Python<'_>) -> PyResult<Subscription> {
        let scope = Scope::current(py)?;
        let runtime = runtime::handle(py)?;
        let (tell, ended) = watch::channel(None);
        let parts = self.take(|| State::Direct)?;
        let run = self.held().begin(&scope, parts, true);
        let subscription = run.subscribe().ok_or_else(|| PyRuntimeError::new_err("this run has no events"))?;
        let mut task = JoinSet::new();
        let work = async move {
            let outcome = run.await;
            tell.send_replace(Some(Arc::new(outcome)));
        };
        task.spawn_on(scope.corked(work), runtime);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Started { _task: task, ended, scope };
        Ok(Subscription::new(subscription))
    }

    fn outcome(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (mut ended, _) = self.ended()?;
        watched(py, async move {
            let outcome = ended.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
            match outcome.as_deref() {
                Some(Ok(result)) => Ok(RunOutcome(result.clone())),
                Some(Err(error)) => Err(from_kinded(error.clone())),
                None => Err(PyRuntimeError::new_err("the run was stopped")),
            }
        })
    }

    fn cancel(&self) {
        self.cancel.cancel();
    }

    fn settled(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (mut ended, scope) = self.ended()?;
        let within = self.settle;
        awaitable(py, move |_scope| async move {
            let settle = async {
                let _ = ended.wait_for(Option::is_some).await;
                scope.settled().await;
            };
            let _ = tokio::time::timeout(within, settle).await;
            Ok::<_, PyErr>(())
        })
    }

    fn partial(&self) -> Partial {
        let transcript = self.transcript.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transcript) = &*transcript {
            return Partial::new(transcript.partial());
        }
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = match &*state {
            State::Begun(start) => start.what.messages(),
            _ => Vec::new(),
        };
        let usage = core::Usage::default();
        Partial::new(agent::Partial { run: self.run, messages, usage, cost: Some(Money::default()) })
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        if !matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Direct) {
            self.cancel.cancel();
        }
    }
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct RunOutcome(RunResult);

#[pymethods]
impl RunOutcome {
    #[staticmethod]
    fn _from_json(text: &str) -> PyResult<Self> {
        read("result of a run", text).map(Self)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("_from_json")?, (written(&slf.get().0)?,)))
    }

    #[getter]
    fn run_id(&self) -> String {
        self.0.kept.clone().unwrap_or_else(|| self.0.run.to_string())
    }

    #[getter]
    fn text(&self) -> &str {
        &self.0.output
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.value.as_ref().map(|value| json::to_py(py, value)).transpose()
    }

    #[getter]
    fn agent(&self) -> &str {
        &self.0.agent
    }

    #[getter]
    fn values(&self) -> Json {
        Json(Value::Object(self.0.values.clone()))
    }

    #[getter]
    fn pending(&self) -> Option<PendingRun> {
        self.0.pending.as_deref().cloned().map(PendingRun)
    }

    #[getter]
    fn messages(&self) -> Vec<Message> {
        messages(&self.0.messages)
    }

    #[getter]
    fn new_messages(&self) -> Vec<Message> {
        messages(&self.0.messages[self.0.history.min(self.0.messages.len())..])
    }

    #[getter]
    fn usage(&self) -> Usage {
        Usage(self.0.usage.clone())
    }

    #[getter]
    fn cost(&self) -> Option<f64> {
        self.0.cost.map(Money::usd)
    }

    #[getter]
    fn finish_reason<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        crate::core::to_py(py, &self.0.finish)
    }

    #[getter]
    fn iterations(&self) -> u32 {
        self.0.iterations
    }

    #[getter]
    fn event_count(&self) -> u64 {
        self.0.events
    }
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct Partial(agent::Partial);

impl Partial {
    pub(crate) fn new(partial: agent::Partial) -> Self {
        Self(partial)
    }
}

#[pymethods]
impl Partial {
    fn __repr__(&self) -> String {
        format!("Partial(run_id={:?}, {} messages)", self.0.run.to_string(), self.0.messages.len())
    }

    #[getter]
    fn run_id(&self) -> String {
        self.0.run.to_string()
    }

    #[getter]
    fn messages(&self) -> Vec<Message> {
        messages(&self.0.messages)
    }

    #[getter]
    fn usage(&self) -> Usage {
        Usage(self.0.usage.clone())
    }

    #[getter]
    fn cost(&self) -> Option<f64> {
        self.0.cost.map(Money::usd)
    }
}
