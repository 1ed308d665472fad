//! `_native.agent`, continued: the rest of a chain of middleware, for a wrap that is written in Python.

use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_agent::AgentError;
use atomr_agents_core::Value;
use atomr_agents_py_bridge::{GuestError, Json, awaitable, json};
use futures_util::future::BoxFuture;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

use crate::errors::{config, from_kinded};

/// Why the rest of a chain gave nothing.
pub(crate) enum Stopped {
    /// What it was given is no call.
    Given(PyErr),
    Run(AgentError),
}

impl Stopped {
    #[allow(clippy::needless_pass_by_value)] // as `map_err` calls it
    pub(crate) fn shape(error: serde_json::Error) -> Self {
        Self::Given(config(error.to_string()))
    }
}

/// The last error of the rest of a chain, and the exception that it became.
pub(crate) struct Passed {
    error: AgentError,
    exception: Py<PyBaseException>,
}

impl Passed {
    /// The error itself, when what a hook raised is that very exception.
    pub(crate) fn raised_as(self, error: &AgentError) -> Option<AgentError> {
        let AgentError::Middleware { source: Some(source), .. } = error else { return None };
        let GuestError::Raised(raised) = source.downcast_ref::<GuestError>()? else { return None };
        Python::attach(|py| raised.exception(py).is(&self.exception)).then_some(self.error)
    }
}

type Rest = dyn Fn(Value) -> BoxFuture<'static, Result<Value, Stopped>> + Send + Sync;

/// The rest of the chain, as a function that a wrap awaits.
#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct CallNext {
    rest: Arc<Rest>,
    /// Why it gave nothing the last time.
    pub(crate) passed: Arc<Mutex<Option<Passed>>>,
}

impl CallNext {
    pub(crate) fn new(
        rest: impl Fn(Value) -> BoxFuture<'static, Result<Value, Stopped>> + Send + Sync + 'static,
    ) -> Self {
        Self { rest: Arc::new(rest), passed: Arc::default() }
    }
}

#[pymethods]
impl CallNext {
    fn __call__(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (rest, passed, value) = (Arc::clone(&self.rest), Arc::clone(&self.passed), json::from_py(value)?);
        awaitable(py, move |_scope| async move {
            rest(value).await.map(Json).map_err(|stopped| match stopped {
                Stopped::Given(wrong) => wrong,
                Stopped::Run(error) => {
                    let raised = from_kinded(error.clone());
                    let exception = Python::attach(|py| raised.value(py).clone().unbind());
                    *passed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Passed { error, exception });
                    raised
                }
            })
        })
    }
}
