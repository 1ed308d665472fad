//! What a checkpointer takes and gives.

use atomr_agents_state as state;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::to_dict;

pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CheckpointKey>()?;
    module.add_class::<CheckpointMeta>()?;
    module.add_class::<Snapshot>()?;
    module.add_class::<PruneReport>()
}

#[pyclass(frozen, eq, hash, from_py_object, module = "atomr_agents._native.state")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CheckpointKey(pub(super) state::CheckpointKey);

#[pymethods]
impl CheckpointKey {
    #[new]
    fn new(workflow_id: String, run_id: String, super_step: u64) -> Self {
        Self(state::CheckpointKey { workflow: workflow_id, run: run_id, step: super_step })
    }

    #[getter]
    fn workflow_id(&self) -> &str {
        &self.0.workflow
    }

    #[getter]
    fn run_id(&self) -> &str {
        &self.0.run
    }

    #[getter]
    fn super_step(&self) -> u64 {
        self.0.step
    }

    fn __repr__(&self) -> String {
        let state::CheckpointKey { workflow, run, step } = &self.0;
        format!("CheckpointKey(workflow_id={workflow:?}, run_id={run:?}, super_step={step})")
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.state")]
#[derive(PartialEq)]
pub(super) struct CheckpointMeta(pub(super) state::CheckpointMeta);

#[pymethods]
impl CheckpointMeta {
    #[getter]
    fn key(&self) -> CheckpointKey {
        CheckpointKey(self.0.key.clone())
    }

    #[getter]
    fn workflow_id(&self) -> &str {
        &self.0.key.workflow
    }

    #[getter]
    fn run_id(&self) -> &str {
        &self.0.key.run
    }

    #[getter]
    fn super_step(&self) -> u64 {
        self.0.key.step
    }

    #[getter]
    fn timestamp_ms(&self) -> u64 {
        self.0.time_ms
    }

    #[getter]
    fn label(&self) -> &str {
        &self.0.source
    }

    #[getter]
    fn next(&self) -> Vec<String> {
        self.0.next.clone()
    }

    fn __repr__(&self) -> String {
        let state::CheckpointKey { workflow, run, step } = &self.0.key;
        format!("<CheckpointMeta {workflow}/{run} step {step}, {}>", self.0.source)
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.state")]
#[derive(PartialEq)]
pub(super) struct Snapshot(pub(super) state::Saved);

#[pymethods]
impl Snapshot {
    #[getter]
    fn key(&self) -> CheckpointKey {
        CheckpointKey(self.0.meta.key.clone())
    }

    #[getter]
    fn timestamp_ms(&self) -> u64 {
        self.0.meta.time_ms
    }

    #[getter]
    fn label(&self) -> &str {
        &self.0.meta.source
    }

    #[getter]
    fn next(&self) -> Vec<String> {
        self.0.meta.next.clone()
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        to_dict(py, &self.0.values)
    }

    fn __repr__(&self) -> String {
        let state::CheckpointKey { workflow, run, step } = &self.0.meta.key;
        let names: Vec<&str> = self.0.values.keys().map(String::as_str).collect();
        format!("<Snapshot {workflow}/{run} step {step}: {}>", names.join(", "))
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.state")]
#[derive(PartialEq)]
pub(super) struct PruneReport(pub(super) state::PruneReport);

#[pymethods]
impl PruneReport {
    #[getter]
    fn commits(&self) -> u64 {
        self.0.commits
    }

    #[getter]
    fn kept_for(&self) -> Vec<String> {
        self.0.kept_for.clone()
    }

    fn __repr__(&self) -> String {
        let kept = if self.0.kept_for.is_empty() { String::new() } else { format!(", kept for {:?}", self.0.kept_for) };
        format!("<PruneReport {} commits{kept}>", self.0.commits)
    }
}
