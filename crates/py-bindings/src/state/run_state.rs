//! `RunState` and `StateView`: what the channels of a run hold.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::Value;
use atomr_agents_py_bridge::json;
use atomr_agents_state::{self as state, Base, Delta, StateError, Write};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::mirror::Mirrors;
use super::schema::{StateSchema, schema_of};
use crate::errors::{Fault, config};

pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StateSchema>()?;
    module.add_class::<RunState>()?;
    module.add_class::<StateView>()
}

#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(crate) struct StateView {
    view: state::StateView,
    mirrors: Arc<Mirrors>,
}

#[pymethods]
impl StateView {
    #[getter]
    fn step(&self) -> u64 {
        self.view.step()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, channel: &str) -> PyResult<Bound<'py, PyAny>> {
        self.mirrors.value(py, channel, self.view.read(channel).map_err(Fault)?)
    }

    fn keys(&self) -> Vec<&str> {
        self.view.schema().names().collect()
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.mirrors.dict(py, &self.view)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyList::new(py, self.keys())?.try_iter()?.into_any())
    }

    fn __contains__(&self, channel: &str) -> bool {
        self.view.read(channel).is_ok()
    }

    fn __len__(&self) -> usize {
        self.view.schema().names().count()
    }

    fn __repr__(&self) -> String {
        format!("<StateView of {} channels after step {}>", self.__len__(), self.view.step())
    }
}

#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(crate) struct RunState {
    now: Mutex<state::RunState>,
    writing: AtomicBool,
    mirrors: Arc<Mirrors>,
}

#[pymethods]
impl RunState {
    #[new]
    fn new(schema: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self::of(state::RunState::new(&schema_of(schema)?)))
    }

    #[staticmethod]
    #[pyo3(signature = (schema, base, checkpoints = None))]
    fn replay(
        schema: &Bound<'_, PyAny>,
        base: &Bound<'_, PyAny>,
        checkpoints: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let base: Base = stored("base", base)?;
        let checkpoints: Vec<(u64, Vec<Delta>)> = match checkpoints {
            Some(given) => stored("checkpoints", given)?,
            None => Vec::new(),
        };
        Ok(Self::of(state::RunState::replay(&schema_of(schema)?, base, checkpoints).map_err(Fault)?))
    }

    #[getter]
    fn step(&self) -> u64 {
        self.now().step()
    }

    #[getter]
    fn fingerprint(&self) -> String {
        self.now().schema().fingerprint().to_owned()
    }

    fn read<'py>(&self, py: Python<'py>, channel: &str) -> PyResult<Bound<'py, PyAny>> {
        self.mirrors.value(py, channel, self.now().read(channel).map_err(Fault)?)
    }

    fn snapshot(&self) -> StateView {
        StateView { view: self.now().snapshot(), mirrors: Arc::clone(&self.mirrors) }
    }

    fn write<'py>(&self, py: Python<'py>, channel: &str, value: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let value = written_to(channel, value)?;
        self.change(py, |state| state.write(channel, value))
    }

    fn overwrite<'py>(&self, py: Python<'py>, channel: &str, value: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let value = written_to(channel, value)?;
        self.change(py, |state| state.overwrite(channel, value))
    }

    fn apply<'py>(&self, py: Python<'py>, writes: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let mut all = Vec::new();
        for write in writes.try_iter()? {
            let (task, channel, value) = write?.extract::<(String, String, Bound<'_, PyAny>)>()?;
            let value = written_to(&channel, &value)?;
            all.push(Write::new(task, channel, value));
        }
        self.change(py, |state| state.apply(all))
    }

    fn base<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &self.now().base())
    }

    fn __repr__(&self) -> String {
        let state = self.now();
        format!("<RunState of {} channels after step {}>", state.schema().names().count(), state.step())
    }
}

impl RunState {
    fn of(state: state::RunState) -> Self {
        Self { now: Mutex::new(state), writing: AtomicBool::new(false), mirrors: Arc::default() }
    }

    fn now(&self) -> state::RunState {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes a copy, which is the state afterwards. Its lock is not held meanwhile, since a reducer may be a function of
    /// Python that reads the state.
    fn change<'py>(
        &self,
        py: Python<'py>,
        change: impl FnOnce(&mut state::RunState) -> Result<Vec<Delta>, StateError>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.writing.swap(true, Ordering::AcqRel) {
            return Err(PyRuntimeError::new_err(
                "the state is being written: by another thread, or by the reducer that is asked just now. It has one \
                 writer at a time",
            ));
        }
        let mut state = self.now();
        let changed = change(&mut state);
        if changed.is_ok() {
            *self.now.lock().unwrap_or_else(PoisonError::into_inner) = state;
        }
        self.writing.store(false, Ordering::Release);
        plain(py, &changed.map_err(Fault)?)
    }
}

/// A value for a channel.
fn written_to(channel: &str, value: &Bound<'_, PyAny>) -> PyResult<Value> {
    super::written(value).map_err(|fault| {
        json::JsonFault { message: format!("{}; nothing was written to channel `{channel}`", fault.message), ..fault }
            .into()
    })
}

fn plain<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(value).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    json::to_py(py, &value)
}

fn stored<T: DeserializeOwned>(what: &str, given: &Bound<'_, PyAny>) -> PyResult<T> {
    serde_json::from_value(json::from_py(given)?)
        .map_err(|error| config(format!("{what} is not what a RunState told: {error}")))
}
