//! `_native.agent`, continued: tool calls that wait for somebody's word.

use std::path::PathBuf;
use std::sync::Arc;

use atomr_agents_agent::{self as agent, DirLedger, MemoryLedger, StoreLedger};
use atomr_agents_core::Value;
use atomr_agents_py_bridge::{json, runtime};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::config;
use crate::state::store_of;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PendingRun>()?;
    module.add_class::<PendingCall>()?;
    module.add_class::<Decision>()?;
    module.add_class::<ApprovalLedger>()
}

pub(crate) fn written(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| config(error.to_string()))
}

pub(crate) fn read<T: DeserializeOwned>(what: &str, text: &str) -> PyResult<T> {
    serde_json::from_str(text).map_err(|error| config(format!("this is no {what}: {error}")))
}

#[pyclass(frozen, eq, module = "atomr_agents._native.agent")]
#[derive(Clone, PartialEq)]
pub(crate) struct PendingRun(pub(crate) agent::PendingRun);

#[pymethods]
impl PendingRun {
    #[getter]
    fn run_id(&self) -> String {
        self.0.kept().map_or_else(|| self.0.run().to_string(), str::to_owned)
    }

    #[getter]
    fn agent(&self) -> &str {
        self.0.agent()
    }

    #[getter]
    fn calls(&self) -> Vec<PendingCall> {
        self.0.calls().iter().cloned().map(PendingCall).collect()
    }

    fn to_json(&self) -> PyResult<String> {
        written(&self.0)
    }

    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        read("suspended run", text).map(Self)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("from_json")?, (slf.get().to_json()?,)))
    }

    fn __repr__(&self) -> String {
        let calls: Vec<&str> = self.0.calls().iter().map(|call| call.name.as_str()).collect();
        format!("PendingRun(run_id={:?}, agent={:?}, waiting for: {})", self.run_id(), self.0.agent(), calls.join(", "))
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.agent")]
#[derive(Clone, PartialEq)]
pub(crate) struct PendingCall(agent::PendingCall);

#[pymethods]
impl PendingCall {
    #[getter]
    fn call_index(&self) -> usize {
        self.0.call_index
    }

    #[getter]
    fn call_id(&self) -> &str {
        &self.0.call_id
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // A model that has nothing to say about a call may write nothing at all.
        let raw = if self.0.arguments.trim().is_empty() { "{}" } else { &self.0.arguments };
        let value: Value = read("JSON", raw)?;
        json::to_py(py, &value)
    }

    #[getter]
    fn arguments_raw(&self) -> &str {
        &self.0.arguments
    }

    #[getter]
    fn digest(&self) -> &str {
        &self.0.digest
    }

    fn approve(&self) -> Decision {
        Decision(self.0.approve())
    }

    fn edit(&self, arguments: &Bound<'_, PyAny>) -> PyResult<Decision> {
        match json::from_py(arguments)? {
            Value::Object(arguments) => Ok(Decision(self.0.edit(arguments))),
            _ => Err(config("arguments must be a dict: all arguments of the call, by name")),
        }
    }

    #[staticmethod]
    fn _from_json(text: &str) -> PyResult<Self> {
        read("pending call", text).map(Self)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("_from_json")?, (written(&slf.get().0)?,)))
    }

    #[pyo3(signature = (reason = ""))]
    fn deny(&self, reason: &str) -> Decision {
        Decision(self.0.deny(reason))
    }

    fn __repr__(&self) -> String {
        format!("PendingCall({}({}))", self.0.name, self.0.arguments)
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.agent")]
#[derive(Clone, PartialEq)]
pub(crate) struct Decision(pub(crate) agent::Decision);

#[pymethods]
impl Decision {
    #[getter]
    fn digest(&self) -> &str {
        &self.0.digest
    }

    #[getter]
    fn verdict(&self) -> &'static str {
        match self.0.verdict {
            agent::Verdict::Approve => "approve",
            agent::Verdict::Edit { .. } => "edit",
            agent::Verdict::Deny { .. } => "deny",
        }
    }

    fn to_json(&self) -> PyResult<String> {
        written(&self.0)
    }

    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        read("decision", text).map(Self)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("from_json")?, (slf.get().to_json()?,)))
    }

    fn __repr__(&self) -> String {
        format!("Decision({}, {})", self.verdict(), self.0.digest)
    }
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct ApprovalLedger(pub(crate) Arc<dyn agent::ApprovalLedger>);

#[pymethods]
impl ApprovalLedger {
    #[new]
    #[pyo3(signature = (folder = None, *, store = None))]
    fn new(py: Python<'_>, folder: Option<PathBuf>, store: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Ok(match (folder, store) {
            (Some(folder), None) => Self(Arc::new(DirLedger::new(folder)?)),
            (None, None) => Self(Arc::new(MemoryLedger::default())),
            (None, Some(store)) => Self(Arc::new(StoreLedger::on(store_of(store)?, runtime::handle(py)?.clone()))),
            (Some(_), Some(_)) => return Err(config("a ledger is in a folder or in a store, not in both")),
        })
    }

    fn claim(&self, py: Python<'_>, digest: &str) -> PyResult<bool> {
        let (ledger, digest) = (Arc::clone(&self.0), digest.to_owned());
        py.detach(move || ledger.claim(&digest)).map_err(|error| PyOSError::new_err(error.to_string()))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}
