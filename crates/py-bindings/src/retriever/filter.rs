//! Conditions on metadata.

use atomr_agents_py_bridge::json;
use atomr_agents_retriever as retriever;
use pyo3::prelude::*;
use serde_json::Value;

use crate::core::to_py;
use crate::errors::{config, from_kinded};

#[pyclass(frozen, eq, module = "atomr_agents._native.retriever")]
#[derive(Clone, PartialEq)]
pub(crate) struct Filter(pub(crate) retriever::Filter);

/// A filter, or one as a dict.
pub(super) fn filter_of(value: &Bound<'_, PyAny>) -> PyResult<retriever::Filter> {
    let filter = match value.cast::<Filter>() {
        Ok(filter) => filter.get().0.clone(),
        Err(_) => serde_json::from_value(json::from_py(value)?)
            .map_err(|error| config(format!("this is no filter: {error}")))?,
    };
    filter.check().map_err(from_kinded)?;
    Ok(filter)
}

fn ordered(made: retriever::Filter) -> PyResult<Filter> {
    made.check().map_err(from_kinded)?;
    Ok(Filter(made))
}

fn value(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    Ok(json::from_py(value)?)
}

#[pymethods]
impl Filter {
    #[staticmethod]
    fn from_dict(filter: &Bound<'_, PyAny>) -> PyResult<Self> {
        filter_of(filter).map(Self)
    }

    #[staticmethod]
    #[pyo3(name = "eq")]
    fn equal(key: String, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(retriever::Filter::eq(key, self::value(value)?)))
    }

    #[staticmethod]
    #[pyo3(name = "ne")]
    fn other(key: String, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(retriever::Filter::ne(key, self::value(value)?)))
    }

    #[staticmethod]
    #[pyo3(name = "lt")]
    fn below(key: String, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        ordered(retriever::Filter::lt(key, self::value(value)?))
    }

    #[staticmethod]
    #[pyo3(name = "le")]
    fn at_most(key: String, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        ordered(retriever::Filter::le(key, self::value(value)?))
    }

    #[staticmethod]
    #[pyo3(name = "gt")]
    fn above(key: String, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        ordered(retriever::Filter::gt(key, self::value(value)?))
    }

    #[staticmethod]
    #[pyo3(name = "ge")]
    fn at_least(key: String, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        ordered(retriever::Filter::ge(key, self::value(value)?))
    }

    #[staticmethod]
    fn any_of(key: String, values: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let values = values.iter().map(value).collect::<PyResult<_>>()?;
        Ok(Self(retriever::Filter::In { key, values }))
    }

    #[staticmethod]
    fn contains(key: String, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(retriever::Filter::contains(key, self::value(value)?)))
    }

    #[staticmethod]
    fn exists(key: String) -> Self {
        Self(retriever::Filter::exists(key))
    }

    fn __and__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        ordered(self.0.clone() & filter_of(other)?)
    }

    fn __or__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        ordered(self.0.clone() | filter_of(other)?)
    }

    fn __invert__(&self) -> PyResult<Self> {
        ordered(!self.0.clone())
    }

    fn matches(&self, metadata: &Bound<'_, PyAny>) -> PyResult<bool> {
        match json::from_py(metadata)? {
            Value::Object(metadata) => Ok(self.0.matches(&metadata)),
            _ => Err(config("metadata must be a dict")),
        }
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Filter({})", self.to_dict(py)?.repr()?))
    }
}
