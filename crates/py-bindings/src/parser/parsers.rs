//! Parsers that read by themselves.

use std::sync::Arc;

use atomr_agents_core::Value;
use atomr_agents_parser::{self as parser, AsValue};
use atomr_agents_py_bridge::json;
use pyo3::prelude::*;

use super::waiting::{NativeAsyncParser, Shared};
use crate::callable::Callable;
use crate::errors::from_kinded;

#[pyclass(frozen, module = "atomr_agents._native.parser")]
pub(crate) struct NativeParser(Arc<dyn parser::Parser<Output = Value>>);

impl NativeParser {
    fn of(parser: impl parser::Parser<Output = Value>) -> Self {
        Self(Arc::new(parser))
    }
}

#[pymethods]
impl NativeParser {
    #[staticmethod]
    fn json() -> Self {
        Self::of(parser::Json)
    }

    #[staticmethod]
    fn json_schema(schema: &Bound<'_, PyAny>) -> PyResult<Self> {
        super::schema(schema).map(Self::of)
    }

    #[staticmethod]
    fn choice(values: Vec<String>) -> PyResult<Self> {
        parser::Enum::new(values).map(|parser| Self::of(AsValue(parser))).map_err(from_kinded)
    }

    #[staticmethod]
    fn comma_list() -> Self {
        Self::of(AsValue(parser::CommaList))
    }

    #[staticmethod]
    fn xml(element: Option<String>, max_depth: usize, max_bytes: usize) -> Self {
        let any = parser::Xml::new().max_depth(max_depth).max_bytes(max_bytes);
        Self::of(match element {
            Some(name) => any.element(name),
            None => any,
        })
    }

    #[staticmethod]
    fn yaml() -> Self {
        Self::of(parser::Yaml)
    }

    fn parse<'py>(&self, py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
        let value = py.detach(|| self.0.parse(text)).map_err(from_kinded)?;
        json::to_py(py, &value)
    }

    fn format_instructions(&self) -> String {
        self.0.format_instructions()
    }

    fn step(&self, label: String) -> Callable {
        Callable(Arc::new(parser::step(label, Arc::clone(&self.0))))
    }

    /// The same as one that may wait.
    fn waiting(&self) -> NativeAsyncParser {
        NativeAsyncParser(Shared(Arc::new(Arc::clone(&self.0))))
    }
}
