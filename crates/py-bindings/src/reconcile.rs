//! `_native.tool`, continued: what a tool finds out about a call whose end nobody saw.

use atomr_agents_core::Value;
use atomr_agents_py_bridge::{Args, BadShape, Guest, GuestOptions, KindRow, MethodRow, Verb, arguments, json};
use atomr_agents_tool::{IdempotencyKey, Invocation, ReconcileFuture, Reconciled as Found, ToolError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::context::serving;
use crate::tool_return;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Reconciled>()
}

/// What a function found out that is no result.
#[pyclass(frozen, eq, from_py_object, module = "atomr_agents._native.tool")]
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Reconciled {
    #[pyo3(name = "DID_NOT_HAPPEN")]
    DidNotHappen,
    #[pyo3(name = "UNKNOWN")]
    Unknown,
}

/// A function of an idempotency key and the arguments of the call that had it.
static FINDER: KindRow = KindRow {
    kind: "reconcile",
    decorator: "@tool(reconcile=...)",
    adapter: "PythonTool",
    methods: &[MethodRow {
        name: "find",
        verb: Verb::Call,
        required: true,
        itself: true,
        params: &["key", "arguments"],
    }],
};

pub(crate) fn wrap(key: &str, target: &Bound<'_, PyAny>) -> PyResult<Guest> {
    Ok(Guest::wrap(target.py(), &FINDER, key, target, GuestOptions::default())?)
}

/// Asks the function of a tool, if it has one.
pub(crate) fn find(finder: Option<&Guest>, invocation: Invocation) -> ReconcileFuture<'_> {
    let Invocation { arguments: values, ctx, .. } = invocation;
    let (Some(finder), Some(key)) = (finder, IdempotencyKey::of(&ctx)) else {
        return Box::pin(std::future::ready(Ok(Found::Unknown)));
    };
    let build = arguments(move |py: Python<'_>| asked(py, &key, &values));
    let running = finder.call("find", build, read, serving(&ctx).as_ref());
    Box::pin(async move { running.await.map_err(|error| ToolError::failed(error.to_string())) })
}

fn asked<'py>(py: Python<'py>, key: &str, values: &Value) -> PyResult<Args<'py>> {
    let values = json::to_py(py, values)?;
    Ok(Args::positional(PyTuple::new(py, [key.into_pyobject(py)?.into_any(), values])?))
}

/// Nothing at all says nothing: a function that forgot to return has found out nothing.
fn read(value: &Bound<'_, PyAny>) -> Result<Found, BadShape> {
    if value.is_none() {
        return Ok(Found::Unknown);
    }
    match value.cast::<Reconciled>() {
        Ok(found) => Ok(found.get().found()),
        Err(_) => tool_return::read(value).map(Found::Happened),
    }
}

impl Reconciled {
    fn found(self) -> Found {
        match self {
            Self::DidNotHappen => Found::DidNotHappen,
            Self::Unknown => Found::Unknown,
        }
    }
}
