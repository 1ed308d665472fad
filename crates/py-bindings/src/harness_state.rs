//! `_native.harness`, continued: what strategies are shown of a loop.

use atomr_agents_core::{Amount, Money};
use atomr_agents_harness as harness;
use atomr_agents_py_bridge::json;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::budget::Budget;

/// What was used.
#[pyclass(frozen, eq, module = "atomr_agents._native.harness")]
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Spent(pub(crate) Amount);

#[pymethods]
impl Spent {
    #[getter]
    fn tokens(&self) -> u64 {
        self.0.tokens
    }

    #[getter]
    fn usd(&self) -> f64 {
        Money::usd(self.0.cost)
    }

    #[getter]
    fn iterations(&self) -> u64 {
        self.0.iterations
    }

    #[getter]
    fn tool_calls(&self) -> u64 {
        self.0.tool_calls
    }

    fn __repr__(&self) -> String {
        let Amount { tokens, iterations, tool_calls, .. } = self.0;
        format!("Spent(tokens={tokens}, usd={}, iterations={iterations}, tool_calls={tool_calls})", self.usd())
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.harness")]
#[derive(Clone, PartialEq)]
pub(crate) struct StepEvent(harness::StepEvent);

#[pymethods]
impl StepEvent {
    #[getter]
    fn iteration(&self) -> u64 {
        self.0.iteration
    }

    #[getter]
    fn label(&self) -> &str {
        &self.0.label
    }

    /// The name that it had before.
    #[getter]
    fn outcome(&self) -> &str {
        &self.0.label
    }

    #[getter]
    fn timestamp_ms(&self) -> u64 {
        self.0.time_ms
    }

    #[getter]
    fn elapsed_ms(&self) -> u64 {
        self.0.elapsed_ms
    }

    #[getter]
    fn spent(&self) -> Spent {
        Spent(self.0.spent)
    }

    fn __repr__(&self) -> String {
        format!("StepEvent({}, {:?})", self.0.iteration, self.0.label)
    }
}

/// The values in it become Python objects when they are first asked for, and are the same objects from then on.
#[pyclass(frozen, module = "atomr_agents._native.harness")]
pub(crate) struct HarnessState {
    state: harness::HarnessState,
    input: PyOnceLock<Py<PyAny>>,
    working_memory: PyOnceLock<Py<PyAny>>,
}

impl HarnessState {
    pub(crate) fn new(state: harness::HarnessState) -> Self {
        Self { state, input: PyOnceLock::new(), working_memory: PyOnceLock::new() }
    }
}

#[pymethods]
impl HarnessState {
    #[getter]
    fn input(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let made = self.input.get_or_try_init(py, || json::to_py(py, &self.state.input).map(Bound::unbind));
        made.map(|made| made.clone_ref(py))
    }

    #[getter]
    fn working_memory(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let make = || json::to_py(py, &self.state.working_memory).map(Bound::unbind);
        self.working_memory.get_or_try_init(py, make).map(|made| made.clone_ref(py))
    }

    #[getter]
    fn iteration(&self) -> u64 {
        self.state.iteration
    }

    #[getter]
    fn history(&self) -> Vec<StepEvent> {
        self.state.history.iter().cloned().map(StepEvent).collect()
    }

    #[getter]
    fn spent(&self) -> Spent {
        Spent(self.state.spent)
    }

    #[getter]
    fn remaining(&self) -> Budget {
        Budget(self.state.remaining)
    }

    #[getter]
    fn remaining_tokens(&self) -> Option<u64> {
        self.state.remaining.tokens
    }

    #[getter]
    fn elapsed(&self) -> f64 {
        self.state.elapsed.as_secs_f64()
    }

    fn __repr__(&self) -> String {
        format!("<HarnessState after {} iterations>", self.state.iteration)
    }
}
