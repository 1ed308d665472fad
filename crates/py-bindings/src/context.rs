//! What a guest is told about the call it serves.

use std::sync::Arc;

use atomr_agents_core::CallCtx;
use atomr_agents_py_bridge::Scope;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

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

/// The Python object `RunContext` of a call.
pub(crate) fn run_context<'py>(py: Python<'py>, ctx: &CallCtx, tool: &str, call: &str) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class =
        CLASS.get_or_try_init(py, || py.import("atomr_agents._context")?.getattr("RunContext").map(Bound::unbind))?;
    let deps = match ctx.get::<Deps>() {
        Some(deps) => deps.0.clone_ref(py),
        None => py.None(),
    };
    class.bind(py).call1((deps, ctx.run.to_string(), tool, call, ctx.path()))
}
