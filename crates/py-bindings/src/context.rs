//! What a guest is told about the call it serves.

use std::sync::Arc;

use atomr_agents_callable::RunConfig;
use atomr_agents_core::{AgentContext, CallCtx};
use atomr_agents_py_bridge::{Scope, json};
use atomr_agents_tool::IdempotencyKey;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyDict, PyTuple};

use crate::core::Message;
use crate::workflow::NodeGuest;

/// The dependencies that the user gave the run.
#[derive(Clone)]
pub(crate) struct Deps(pub(crate) Arc<Py<PyAny>>);

/// The context of a call that comes from Python: it knows its loop, and the dependencies of the run.
pub(crate) fn call_ctx(scope: &Scope, deps: Option<Deps>) -> CallCtx {
    let ctx = CallCtx::new().with(scope.clone());
    match deps {
        Some(deps) => ctx.with(deps),
        None => ctx,
    }
}

/// What the user gave the run.
pub(crate) fn deps_of(py: Python<'_>, ctx: &CallCtx) -> Py<PyAny> {
    ctx.get::<Deps>().map_or_else(|| py.None(), |deps| deps.0.clone_ref(py))
}

/// Tags and data of a call.
pub(crate) type Config<'py> = Option<(Bound<'py, PyTuple>, Bound<'py, PyDict>)>;

pub(crate) fn config_of<'py>(py: Python<'py>, ctx: &CallCtx) -> PyResult<Config<'py>> {
    let Some(config) = ctx.get::<RunConfig>() else { return Ok(None) };
    let metadata = config.metadata.iter().map(|(name, value)| Ok((name, json::to_py(py, value)?)));
    Ok(Some((PyTuple::new(py, &config.tags)?, metadata.collect::<PyResult<Vec<_>>>()?.into_py_dict(py)?)))
}

/// The Python object `RunContext` of a call.
pub(crate) fn run_context<'py>(py: Python<'py>, ctx: &CallCtx, tool: &str, call: &str) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class =
        CLASS.get_or_try_init(py, || py.import("atomr_agents._context")?.getattr("RunContext").map(Bound::unbind))?;
    let key = IdempotencyKey::of(ctx);
    let about = (deps_of(py, ctx), ctx.run.to_string(), tool, call, ctx.path(), config_of(py, ctx)?, key.as_deref());
    class.bind(py).call1(about)
}

/// The Python object `StrategyContext` of a run.
pub(crate) fn strategy_context<'py>(
    py: Python<'py>,
    about: AgentContext,
    ctx: &CallCtx,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS
        .get_or_try_init(py, || py.import("atomr_agents._context")?.getattr("StrategyContext").map(Bound::unbind))?;
    let messages = |all: Vec<_>| all.into_iter().map(Message).collect::<Vec<_>>();
    let (input, history) = (messages(about.turn.input), messages(about.turn.history));
    let (run, config) = (ctx.run.to_string(), config_of(py, ctx)?);
    class.bind(py).call1((deps_of(py, ctx), run, ctx.path(), about.agent, input, history, config))
}

/// The call that a guest serves, for what it starts itself: a run that is begun in a tool belongs to the tool's run.
#[pyclass(frozen, module = "atomr_agents._native.core")]
pub(crate) struct CurrentCall(Serves);

enum Serves {
    Call(CallCtx),
    /// A step of a graph: what it starts has a place of its own in the step's run each time.
    Node(NodeGuest),
}

/// The context variable that holds it.
fn current(py: Python<'_>) -> PyResult<&Py<PyAny>> {
    static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    VARIABLE.get_or_try_init(py, || {
        let made = py.import("contextvars")?.getattr("ContextVar")?.call1(("atomr_agents_current_call",));
        made.map(Bound::unbind)
    })
}

/// The scope of `ctx`, in which guests know the call that they serve.
pub(crate) fn serving(ctx: &CallCtx) -> Option<Scope> {
    let scope = ctx.get::<Scope>()?;
    let ctx = ctx.clone();
    Some(scope.binding(move |py| {
        let call = Py::new(py, CurrentCall(Serves::Call(ctx.clone())))?;
        Ok((current(py)?.clone_ref(py), call.into_any()))
    }))
}

/// The scope in which a step of a graph runs.
pub(crate) fn serving_node(scope: &Scope, node: &NodeGuest) -> Scope {
    let node = node.clone();
    scope.binding(move |py| {
        let call = Py::new(py, CurrentCall(Serves::Node(node.clone())))?;
        Ok((current(py)?.clone_ref(py), call.into_any()))
    })
}

/// What the calling code serves.
fn serves<T>(py: Python<'_>, look: impl FnOnce(&Serves) -> T) -> Option<T> {
    let value = current(py).ok()?.bind(py).call_method1("get", (py.None(),)).ok()?;
    Some(look(&value.cast::<CurrentCall>().ok()?.get().0))
}

/// The step of a graph that the calling code is, or serves.
pub(crate) fn served_node(py: Python<'_>) -> Option<NodeGuest> {
    serves(py, |serves| match serves {
        Serves::Call(ctx) => ctx.get::<NodeGuest>().map(|node| (*node).clone()),
        Serves::Node(node) => Some(node.clone()),
    })?
}

/// The call that the calling code serves, unless that call is over.
pub(crate) fn served(py: Python<'_>) -> Option<CallCtx> {
    let ctx = serves(py, |serves| match serves {
        Serves::Call(ctx) => ctx.clone(),
        Serves::Node(node) => node.call_ctx(),
    })?;
    (!ctx.cancel.is_cancelled()).then_some(ctx)
}
