//! How runs were left, and where they stood.

use std::sync::Arc;

use atomr_agents_py_bridge::json;
use atomr_agents_workflow::{Interrupt, InterruptKind, RunOutcome, Snapshot};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::shape::{RunMirrors, Shape};

/// An interrupt as Python gets it: its id, the path of the step, why it waits, and what was asked.
pub(super) type Asked<'py> = (String, String, &'static str, Bound<'py, PyAny>);

pub(super) fn asked<'py>(py: Python<'py>, interrupts: &[Interrupt]) -> PyResult<Vec<Asked<'py>>> {
    let one = |interrupt: &Interrupt| {
        let kind = match interrupt.kind {
            InterruptKind::Asked => "asked",
            InterruptKind::Before => "before",
            InterruptKind::After => "after",
        };
        Ok((interrupt.id.clone(), interrupt.path.clone(), kind, json::to_py(py, &interrupt.value)?))
    };
    interrupts.iter().map(one).collect()
}

#[pyclass(frozen, module = "atomr_agents._native.workflow")]
pub(crate) struct Outcome {
    pub(super) outcome: RunOutcome,
    pub(super) shape: Arc<Shape>,
    pub(super) mirrors: RunMirrors,
}

#[pymethods]
impl Outcome {
    #[getter]
    fn run_id(&self) -> &str {
        &self.outcome.run
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.outcome.status.as_str()
    }

    #[getter]
    fn step(&self) -> u64 {
        self.outcome.step
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.shape.dict(py, &self.outcome.state, &self.mirrors.0)
    }

    fn interrupts<'py>(&self, py: Python<'py>) -> PyResult<Vec<Asked<'py>>> {
        asked(py, &self.outcome.interrupts)
    }

    fn __repr__(&self) -> String {
        format!("<Outcome of {:?}: {} after super-step {}>", self.outcome.run, self.outcome.status, self.outcome.step)
    }
}

#[pyclass(frozen, module = "atomr_agents._native.workflow")]
pub(crate) struct RunSnapshot {
    pub(super) snapshot: Snapshot,
    pub(super) shape: Arc<Shape>,
}

#[pymethods]
impl RunSnapshot {
    #[getter]
    fn run_id(&self) -> &str {
        &self.snapshot.run
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.snapshot.status.as_str()
    }

    #[getter]
    fn step(&self) -> u64 {
        self.snapshot.step
    }

    #[getter]
    fn source(&self) -> &str {
        &self.snapshot.source
    }

    #[getter]
    fn time_ms(&self) -> u64 {
        self.snapshot.time_ms
    }

    #[getter]
    fn next(&self) -> Vec<String> {
        self.snapshot.next.clone()
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.shape.dict(py, &self.snapshot.state, &RunMirrors::default().0)
    }

    fn interrupts<'py>(&self, py: Python<'py>) -> PyResult<Vec<Asked<'py>>> {
        asked(py, &self.snapshot.interrupts)
    }

    fn __repr__(&self) -> String {
        format!("<RunSnapshot of {:?} after super-step {}>", self.snapshot.run, self.snapshot.step)
    }
}
