//! `_native.core`: messages and usage; events are in `event.rs`, documents in `document.rs`.

use atomr_agents_core::{self as core, Part, Role};
use atomr_agents_py_bridge::json;
use atomr_agents_tokens::{BpeCounter, TokenCounter as _};
use pyo3::prelude::*;
use serde::Serialize;

use crate::errors::config;
use crate::event::Event;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Message>()?;
    module.add_class::<crate::budget::Budget>()?;
    module.add_class::<Usage>()?;
    module.add_class::<crate::document::Document>()?;
    module.add_class::<crate::document::Span>()?;
    module.add_class::<Event>()?;
    module.add_function(wrap_pyfunction!(count_tokens, module)?)
}

/// How many tokens a text is for a model.
#[pyfunction]
fn count_tokens(py: Python<'_>, text: &str, model: &str) -> u64 {
    py.detach(|| BpeCounter.count_text(model, text))
}

/// Plain data as Python values.
pub(crate) fn to_py<'py, T: Serialize>(py: Python<'py>, value: &T) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(value).map_err(|error| config(error.to_string()))?;
    json::to_py(py, &value)
}

/// What `copy` and `pickle` make an object again from.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyAny>,));

/// Plain data is copied and pickled by its `to_dict` and its class's `from_dict`.
pub(crate) fn reduced<'py>(value: &Bound<'py, PyAny>) -> PyResult<Reduced<'py>> {
    Ok((value.get_type().getattr("from_dict")?, (value.call_method0("to_dict")?,)))
}

#[pyclass(frozen, eq, module = "atomr_agents._native.core")]
#[derive(Clone, PartialEq)]
pub(crate) struct Message(pub(crate) core::Message);

#[pymethods]
impl Message {
    #[new]
    fn new(role: &str, content: &Bound<'_, PyAny>) -> PyResult<Self> {
        let role: Role = serde_json::from_value(role.into())
            .map_err(|_| config(format!("role must be system, user, assistant or tool, not {role:?}")))?;
        if let Ok(text) = content.extract::<String>() {
            return Ok(Self(core::Message::new(role, text)));
        }
        let parts = serde_json::from_value::<Vec<Part>>(json::from_py(content)?)
            .map_err(|error| config(format!("content must be text or a list of parts: {error}")))?;
        Ok(Self(core::Message { role, parts }))
    }

    #[staticmethod]
    fn system(text: String) -> Self {
        Self(core::Message::system(text))
    }

    #[staticmethod]
    fn user(text: String) -> Self {
        Self(core::Message::user(text))
    }

    #[staticmethod]
    fn assistant(text: String) -> Self {
        Self(core::Message::assistant(text))
    }

    #[staticmethod]
    fn from_dict(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        serde_json::from_value(json::from_py(value)?)
            .map(Self)
            .map_err(|error| config(format!("this is no message: {error}")))
    }

    #[getter]
    fn role<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0.role)
    }

    #[getter]
    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0.parts)
    }

    #[getter]
    fn text(&self) -> String {
        self.0.text()
    }

    #[getter]
    fn tool_calls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0.tool_calls().collect::<Vec<_>>())
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf.as_any())
    }

    fn __repr__(&self) -> String {
        let role = format!("{:?}", self.0.role).to_lowercase();
        let text = self.0.text();
        match self.0.parts.as_slice() {
            [Part::Text { .. }] => format!("Message({role:?}, {text:?})"),
            parts => format!("Message({role:?}, {} parts, text={text:?})", parts.len()),
        }
    }
}

/// Messages as Python objects.
pub(crate) fn messages(messages: &[core::Message]) -> Vec<Message> {
    messages.iter().cloned().map(Message).collect()
}

#[pyclass(frozen, eq, module = "atomr_agents._native.core")]
#[derive(Clone, PartialEq)]
pub(crate) struct Usage(pub(crate) core::Usage);

#[pymethods]
impl Usage {
    #[staticmethod]
    fn from_dict(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        serde_json::from_value(json::from_py(value)?)
            .map(Self)
            .map_err(|error| config(format!("this is no usage: {error}")))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf.as_any())
    }

    #[getter]
    fn input_tokens(&self) -> u64 {
        self.0.input_tokens
    }

    #[getter]
    fn output_tokens(&self) -> u64 {
        self.0.output_tokens
    }

    #[getter]
    fn total_tokens(&self) -> u64 {
        self.0.total_tokens.unwrap_or(self.0.input_tokens.saturating_add(self.0.output_tokens))
    }

    #[getter]
    fn cached_input_tokens(&self) -> Option<u64> {
        self.0.cached_input_tokens
    }

    #[getter]
    fn cache_write_tokens(&self) -> Option<u64> {
        self.0.cache_write_tokens
    }

    #[getter]
    fn reasoning_tokens(&self) -> Option<u64> {
        self.0.reasoning_tokens
    }

    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.raw.as_ref().map(|raw| json::to_py(py, raw)).transpose()
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0)
    }

    fn __repr__(&self) -> String {
        format!("Usage(input_tokens={}, output_tokens={})", self.0.input_tokens, self.0.output_tokens)
    }
}
