//! `_native.callable_`: everything is a callable.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_callable::{
    self as callable, BoxFuture, Callable as _, CallableError, CallableHandle, PipelineBuilder, RetryPolicy, RunConfig,
};
use atomr_agents_core::{CallCtx, Value};
use atomr_agents_py_bridge::{
    Args, GuestCallable, GuestError, GuestOptions, Json, Scope, arguments, awaitable, json, original, to_json,
};
use pyo3::exceptions::{
    PyAssertionError, PyAttributeError, PyImportError, PyNameError, PyNotImplementedError, PySyntaxError, PyTypeError,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::context::{call_ctx, run_context};
use crate::errors::{Fault, from_kinded, guest_kind};

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Callable>()?;
    module.add_class::<Pipeline>()?;
    module.add_function(wrap_pyfunction!(branch, module)?)?;
    module.add_function(wrap_pyfunction!(fan_out, module)?)?;
    module.add_function(wrap_pyfunction!(passthrough, module)?)?;
    module.add_function(wrap_pyfunction!(with_config, module)?)?;
    module.add_function(wrap_pyfunction!(with_fallbacks, module)?)?;
    module.add_function(wrap_pyfunction!(with_retry, module)?)?;
    module.add_function(wrap_pyfunction!(with_timeout, module)?)
}

/// A callable written in Python.
struct PythonCallable {
    guest: GuestCallable,
    label: String,
    takes_context: bool,
}

impl callable::Callable for PythonCallable {
    fn label(&self) -> &str {
        &self.label
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        let scope = ctx.get::<Scope>();
        let cancel = ctx.cancel.clone();
        let takes_context = self.takes_context;
        let build = arguments(move |py: Python<'_>| {
            let mut positional = vec![json::to_py(py, &input)?];
            if takes_context {
                positional.push(run_context(py, &ctx, "", "")?);
            }
            Ok(Args::positional(PyTuple::new(py, positional)?))
        });
        let running = self.guest.invoke(build, to_json, scope.as_deref());
        Box::pin(async move {
            let failed = |error: GuestError| CallableError::failed(&self.label, guest_kind(&error), error);
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(CallableError::Cancelled { label: self.label.clone() }),
                result = running => result.map_err(failed),
            }
        })
    }
}

#[pyclass(frozen, from_py_object, module = "atomr_agents._native.callable_")]
#[derive(Clone)]
pub(crate) struct Callable(pub(crate) CallableHandle);

#[pymethods]
impl Callable {
    #[staticmethod]
    fn wrap(target: &Bound<'_, PyAny>, label: String, takes_context: bool) -> PyResult<Self> {
        let guest = GuestCallable::wrap(target.py(), &label, target, GuestOptions::default())?;
        Ok(Self(Arc::new(PythonCallable { guest, label, takes_context })))
    }

    #[staticmethod]
    fn identity() -> Self {
        Self(Arc::new(callable::Passthrough))
    }

    #[getter]
    fn label(&self) -> &str {
        self.0.label()
    }

    #[pyo3(signature = (input = None))]
    fn call(&self, py: Python<'_>, input: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let input = input.map(json::from_py).transpose()?.unwrap_or_default();
        let handle = Arc::clone(&self.0);
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            let _end = ctx.cancel.clone().drop_guard();
            handle.call(input, ctx).await.map(Json).map_err(Fault)
        })
    }

    fn __repr__(&self) -> String {
        format!("Callable({:?})", self.0.label())
    }
}

/// The branches of a mapping, in its order.
fn branches(mapping: &Bound<'_, PyDict>) -> PyResult<Vec<(String, CallableHandle)>> {
    mapping.iter().map(|(name, step)| Ok((name.extract::<String>()?, step.extract::<Callable>()?.0))).collect()
}

#[pyclass(frozen, module = "atomr_agents._native.callable_")]
pub(crate) struct Pipeline(PipelineBuilder);

#[pymethods]
impl Pipeline {
    #[staticmethod]
    fn from_(first: Callable) -> Self {
        Self(callable::Pipeline::from(first.0))
    }

    fn then(&self, step: Callable) -> Self {
        Self(self.0.clone().then(step.0))
    }

    fn assign(&self, key: &str, step: Callable) -> Self {
        Self(self.0.clone().assign(key, step.0))
    }

    fn passthrough(&self) -> Self {
        Self(self.0.clone().passthrough())
    }

    fn fan_out_with(&self, branches: &Bound<'_, PyDict>) -> PyResult<Self> {
        Ok(Self(self.0.clone().fan_out_with(self::branches(branches)?)))
    }

    fn build(&self) -> PyResult<Callable> {
        self.0.build().map(|pipeline| Callable(Arc::new(pipeline))).map_err(from_kinded)
    }
}

#[pyfunction]
fn branch(predicate: Callable, if_true: Callable, if_false: Callable) -> Callable {
    Callable(Arc::new(callable::Branch::new(predicate.0, if_true.0, if_false.0)))
}

#[pyfunction]
fn fan_out(branches: &Bound<'_, PyDict>) -> PyResult<Callable> {
    let fan_out = callable::FanOut::new(self::branches(branches)?).map_err(from_kinded)?;
    Ok(Callable(Arc::new(fan_out)))
}

#[pyfunction]
fn passthrough() -> Callable {
    Callable::identity()
}

#[pyfunction]
#[pyo3(signature = (inner, run_name = None, tags = None, metadata = None))]
fn with_config(
    inner: Callable,
    run_name: Option<String>,
    tags: Option<Vec<String>>,
    metadata: Option<&Bound<'_, PyDict>>,
) -> PyResult<Callable> {
    let metadata = match metadata.map(|metadata| json::from_py(metadata)).transpose()? {
        Some(Value::Object(metadata)) => metadata,
        _ => serde_json::Map::new(),
    };
    let config = RunConfig { run_name, tags: tags.unwrap_or_default(), metadata };
    Ok(Callable(Arc::new(callable::WithConfig::new(inner.0, config))))
}

#[pyfunction]
fn with_fallbacks(primary: Callable, alternates: Vec<Callable>) -> Callable {
    let alternates = alternates.into_iter().map(|alternate| alternate.0).collect();
    Callable(Arc::new(callable::Fallbacks::new(primary.0, alternates)))
}

#[pyfunction]
#[pyo3(signature = (inner, max_attempts = 3, initial_backoff_ms = 50, backoff_multiplier = 2.0, max_backoff_ms = 5000))]
fn with_retry(
    inner: Callable,
    max_attempts: u32,
    initial_backoff_ms: u64,
    backoff_multiplier: f64,
    max_backoff_ms: u64,
) -> PyResult<Callable> {
    let policy = RetryPolicy {
        max_attempts,
        initial_backoff: Duration::from_millis(initial_backoff_ms),
        multiplier: backoff_multiplier,
        max_backoff: Duration::from_millis(max_backoff_ms),
    };
    let retry = callable::Retry::new(inner.0, policy).map_err(from_kinded)?;
    Ok(Callable(Arc::new(retry.also_when(|error| may_pass(error)))))
}

/// Whether what a guest raised is worth another call. An error of ours says so itself; a mistake in the program is the
/// same the next time; of anything else nothing is known, and asking for retries is asking for it to be called again.
pub(crate) fn may_pass(error: &(dyn std::error::Error + 'static)) -> bool {
    let Some(GuestError::Raised(raised)) = original(error) else { return false };
    Python::attach(|py| {
        let exception = raised.exception(py);
        let ours = py.import("atomr_agents.errors").and_then(|errors| errors.getattr("AgentError"));
        if ours.is_ok_and(|ours| exception.is_instance(&ours).unwrap_or(false)) {
            return exception.getattr("retryable").is_ok_and(|said| said.is_truthy().unwrap_or(false));
        }
        !(exception.is_instance_of::<PyTypeError>()
            || exception.is_instance_of::<PyAttributeError>()
            || exception.is_instance_of::<PyNameError>()
            || exception.is_instance_of::<PyAssertionError>()
            || exception.is_instance_of::<PyImportError>()
            || exception.is_instance_of::<PyNotImplementedError>()
            || exception.is_instance_of::<PySyntaxError>())
    })
}

#[pyfunction]
fn with_timeout(inner: Callable, milliseconds: u64) -> PyResult<Callable> {
    let timeout = callable::Timeout::new(inner.0, Duration::from_millis(milliseconds)).map_err(from_kinded)?;
    Ok(Callable(Arc::new(timeout)))
}
