//! What is remembered, as Python sees it.

use atomr_agents_memory::{self as memory, Namespace};
use atomr_agents_py_bridge::json;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::Parts;
use crate::core::{Reduced, reduced, to_py};
use crate::errors::config;

#[pyclass(frozen, eq, from_py_object, module = "atomr_agents._native.memory")]
#[derive(Clone, PartialEq)]
pub(crate) struct MemoryItem(pub(crate) memory::MemoryItem);

#[pymethods]
impl MemoryItem {
    #[new]
    #[pyo3(signature = (content, *, id = None, created_ms = None))]
    fn new(content: &Bound<'_, PyAny>, id: Option<String>, created_ms: Option<u64>) -> PyResult<Self> {
        let made = memory::MemoryItem::new(json::from_py(content)?);
        let (id, created_ms) = (id.unwrap_or(made.id), created_ms.unwrap_or(made.created_ms));
        Ok(Self(memory::MemoryItem { id, created_ms, content: made.content }))
    }

    #[staticmethod]
    fn from_dict(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        serde_json::from_value(json::from_py(value)?)
            .map(Self)
            .map_err(|error| config(format!("this is no item of memory: {error}")))
    }

    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_py(py, &self.0.content)
    }

    #[getter]
    fn created_ms(&self) -> u64 {
        self.0.created_ms
    }

    #[getter]
    fn text(&self) -> String {
        self.0.text()
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf.as_any())
    }

    fn __repr__(&self) -> String {
        format!("MemoryItem({}, id={:?})", self.0.content, self.0.id)
    }
}

#[pyclass(frozen, eq, from_py_object, module = "atomr_agents._native.memory")]
#[derive(Clone, PartialEq)]
pub(crate) struct StoreItem(pub(crate) memory::StoreItem);

#[pymethods]
impl StoreItem {
    #[new]
    #[pyo3(signature = (namespace, key, value, *, created_ms = 0, updated_ms = None, expires_ms = None, score = None))]
    fn new(
        namespace: Parts,
        key: String,
        value: &Bound<'_, PyAny>,
        created_ms: u64,
        updated_ms: Option<u64>,
        expires_ms: Option<u64>,
        score: Option<f64>,
    ) -> PyResult<Self> {
        let (value, updated_ms) = (json::from_py(value)?, updated_ms.unwrap_or(created_ms));
        Ok(Self(memory::StoreItem { namespace: namespace.0, key, value, created_ms, updated_ms, expires_ms, score }))
    }

    #[staticmethod]
    fn from_dict(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        serde_json::from_value(json::from_py(value)?)
            .map(Self)
            .map_err(|error| config(format!("this is no item of a store: {error}")))
    }

    #[getter]
    fn namespace<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, &self.0.namespace)
    }

    #[getter]
    fn key(&self) -> &str {
        &self.0.key
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_py(py, &self.0.value)
    }

    #[getter]
    fn created_ms(&self) -> u64 {
        self.0.created_ms
    }

    #[getter]
    fn updated_ms(&self) -> u64 {
        self.0.updated_ms
    }

    #[getter]
    fn expires_ms(&self) -> Option<u64> {
        self.0.expires_ms
    }

    #[getter]
    fn score(&self) -> Option<f64> {
        self.0.score
    }

    #[getter]
    fn text(&self) -> String {
        self.0.text()
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf.as_any())
    }

    fn __repr__(&self) -> String {
        let score = self.0.score.map(|score| format!(", score={score:.4}")).unwrap_or_default();
        format!("StoreItem({}, {:?}, {}{score})", self.0.namespace, self.0.key, self.0.value)
    }
}

pub(super) fn tuple<'py>(py: Python<'py>, namespace: &Namespace) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, namespace.parts())
}
