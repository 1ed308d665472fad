//! `_native.agent`, continued: sessions.

use std::sync::Arc;

use atomr_agents_agent::{self as agent, AgentError, Compaction, HistoryLimit, RunInput, Sending};
use atomr_agents_core::{self as core, CallCtx};
use atomr_agents_py_bridge::{
    Args, BadShape, Guest, GuestError, GuestOptions, KindRow, MethodRow, Verb, arguments, awaitable,
};
use futures_util::future::BoxFuture;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::agent::AgentCore;
use crate::approval::Decision;
use crate::context::{Deps, call_ctx, served, serving};
use crate::core::{Message, messages};
use crate::errors::{Fault, config, from_kinded};
use crate::run::{RunHandle, Start, What};
use crate::seconds;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SessionOptions>()?;
    module.add_class::<Sessions>()?;
    module.add_class::<SessionCore>()
}

/// What makes a history shorter.
static COMPACTION: KindRow = KindRow {
    kind: "compact",
    decorator: "compact",
    adapter: "PythonCompaction",
    methods: &[MethodRow { name: "compact", verb: Verb::Call, required: true, itself: true, params: &["messages"] }],
};

struct PythonCompaction(Guest);

fn shorter(value: &Bound<'_, PyAny>) -> Result<Vec<core::Message>, BadShape> {
    let given: Vec<PyRef<'_, Message>> = value
        .extract()
        .map_err(|_| BadShape::new("expected the messages that are left, as a list of Message".to_owned()))?;
    Ok(given.iter().map(|message| message.0.clone()).collect())
}

impl Compaction for PythonCompaction {
    fn compact<'a>(
        &'a self,
        given: Vec<core::Message>,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<core::Message>, AgentError>> {
        let args = arguments(move |py: Python<'_>| {
            let list = PyList::new(py, messages(&given))?;
            Ok(Args::positional(PyTuple::new(py, [list])?))
        });
        let called = self.0.call("compact", args, shorter, serving(ctx).as_ref());
        Box::pin(async move {
            called.await.map_err(|error| match error {
                GuestError::Cancelled => AgentError::Cancelled,
                error => AgentError::Middleware {
                    hook: "compact".to_owned(),
                    message: error.to_string(),
                    source: Some(Arc::new(error)),
                },
            })
        })
    }
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct SessionOptions(agent::SessionOptions);

#[pymethods]
impl SessionOptions {
    #[new]
    #[pyo3(signature = (*, policy = "queue", queue = 64, wait = 600.0, lease = 30.0, on_unfinished = "resume",
        max_messages = None, max_tokens = None, compact = None, remembered = 100_000))]
    #[allow(clippy::too_many_arguments)] // by keyword
    fn new(
        policy: &str,
        queue: usize,
        wait: f64,
        lease: f64,
        on_unfinished: &str,
        max_messages: Option<usize>,
        max_tokens: Option<u64>,
        compact: Option<&Bound<'_, PyAny>>,
        remembered: usize,
    ) -> PyResult<Self> {
        let compaction = compact
            .map(|target| {
                let guest = Guest::wrap(target.py(), &COMPACTION, "compact", target, GuestOptions::default())?;
                Ok::<_, PyErr>(Arc::new(PythonCompaction(guest)) as Arc<dyn Compaction>)
            })
            .transpose()?;
        Ok(Self(agent::SessionOptions {
            policy: policy.parse().map_err(|error: String| config(error))?,
            queue,
            wait: seconds::duration("wait", wait)?,
            lease: seconds::duration("lease", lease)?,
            on_unfinished: on_unfinished.parse().map_err(|error: String| config(error))?,
            history: HistoryLimit { messages: max_messages, tokens: max_tokens },
            compaction,
            remembered,
            ..agent::SessionOptions::default()
        }))
    }

    #[getter]
    fn policy(&self) -> String {
        format!("{:?}", self.0.policy).to_lowercase()
    }

    fn __repr__(&self) -> String {
        format!("SessionOptions(policy={:?})", self.policy())
    }
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct Sessions(agent::Sessions);

#[pymethods]
impl Sessions {
    #[new]
    fn new(core: &AgentCore, options: &SessionOptions) -> PyResult<Self> {
        Ok(Self(agent::Sessions::new(core.0.clone(), options.0.clone()).map_err(from_kinded)?))
    }

    fn session(&self, name: &str) -> PyResult<SessionCore> {
        Ok(SessionCore { agent: self.0.agent().clone(), session: self.0.session(name).map_err(from_kinded)? })
    }

    fn remembered(&self) -> Vec<String> {
        self.0.remembered()
    }
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct SessionCore {
    agent: agent::BoxedAgent,
    session: agent::Session,
}

fn sending(policy: Option<&str>, id: Option<String>) -> PyResult<Sending> {
    let policy = policy.map(str::parse).transpose().map_err(|error: String| config(error))?;
    Ok(Sending { policy, id })
}

fn input(given: &[PyRef<'_, Message>]) -> RunInput {
    RunInput { messages: given.iter().map(|message| message.0.clone()).collect(), history: Vec::new() }
}

#[pymethods]
impl SessionCore {
    #[getter]
    fn name(&self) -> &str {
        self.session.name()
    }

    fn begin(
        &self,
        py: Python<'_>,
        messages: Vec<PyRef<'_, Message>>,
        deps: Py<PyAny>,
        policy: Option<&str>,
        id: Option<String>,
    ) -> PyResult<RunHandle> {
        let what = What::Session(self.session.clone(), input(&messages), sending(policy, id)?);
        Ok(self.start(py, what, deps))
    }

    fn resume(&self, py: Python<'_>, decisions: Vec<PyRef<'_, Decision>>, deps: Py<PyAny>) -> RunHandle {
        let decisions = decisions.iter().map(|decision| decision.0.clone()).collect();
        self.start(py, What::SessionAgain(self.session.clone(), decisions), deps)
    }

    fn post(
        &self,
        py: Python<'_>,
        messages: Vec<PyRef<'_, Message>>,
        policy: Option<&str>,
        id: Option<String>,
    ) -> PyResult<Py<PyAny>> {
        let (session, input, sending) = (self.session.clone(), input(&messages), sending(policy, id)?);
        awaitable(py, move |_scope| async move { session.post(input, sending).await.map_err(Fault) })
    }

    fn drain(&self, py: Python<'_>, deps: Py<PyAny>) -> PyResult<Py<PyAny>> {
        let session = self.session.clone();
        let deps = (!deps.is_none(py)).then(|| Deps(Arc::new(deps)));
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, deps);
            let _end = ctx.cancel.clone().drop_guard();
            session.drain(&ctx).await.map_err(Fault)
        })
    }

    fn interrupt(&self) -> bool {
        self.session.interrupt()
    }

    #[getter]
    fn is_busy(&self) -> bool {
        self.session.is_busy()
    }

    fn messages(&self, py: Python<'_>, all: bool) -> PyResult<Py<PyAny>> {
        let session = self.session.clone();
        awaitable(py, move |_scope| async move {
            let said = if all { session.all_messages().await } else { session.messages().await };
            said.map(|said| messages(&said)).map_err(Fault)
        })
    }

    fn abandon(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let session = self.session.clone();
        awaitable(py, move |_scope| async move { session.abandon().await.map_err(Fault) })
    }

    fn clear(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let session = self.session.clone();
        awaitable(py, move |_scope| async move { session.clear().await.map_err(Fault) })
    }

    fn fork(&self, py: Python<'_>, name: String) -> PyResult<Py<PyAny>> {
        let (agent, session) = (self.agent.clone(), self.session.clone());
        awaitable(py, move |_scope| async move {
            session.fork(&name).await.map(|session| Self { agent, session }).map_err(Fault)
        })
    }
}

impl SessionCore {
    fn start(&self, py: Python<'_>, what: What, deps: Py<PyAny>) -> RunHandle {
        let deps = (!deps.is_none(py)).then(|| Deps(Arc::new(deps)));
        RunHandle::new(Start { agent: self.agent.clone(), what, deps, outer: served(py) })
    }
}
