//! `_native.core`: messages, usage, events.

use std::sync::Arc;

use atomr_agents_core::{self as core, EventKind, Part, Role};
use atomr_agents_py_bridge::json;
use pyo3::prelude::*;
use serde::Serialize;

use crate::errors::config;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Message>()?;
    module.add_class::<Usage>()?;
    module.add_class::<Event>()
}

/// Plain data as Python values.
pub(crate) fn to_py<'py, T: Serialize>(py: Python<'py>, value: &T) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(value).map_err(|error| config(error.to_string()))?;
    json::to_py(py, &value)
}

/// What `copy` and `pickle` make an object again from.
type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyAny>,));

/// Plain data is copied and pickled by its `to_dict` and its class's `from_dict`.
fn reduced<'py>(value: &Bound<'py, PyAny>) -> PyResult<Reduced<'py>> {
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

#[pyclass(frozen, module = "atomr_agents._native.core")]
pub(crate) struct Event(pub(crate) Arc<core::Event>);

#[pymethods]
impl Event {
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.name()
    }

    #[getter]
    fn run_id(&self) -> String {
        self.0.run.to_string()
    }

    #[getter]
    fn seq(&self) -> u64 {
        self.0.seq
    }

    #[getter]
    fn index(&self) -> u32 {
        self.0.index
    }

    #[getter]
    fn path(&self) -> &str {
        &self.0.path
    }

    #[getter]
    fn time_ms(&self) -> u64 {
        self.0.time_ms
    }

    #[getter]
    fn text(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::TextDelta { text } | EventKind::ThinkingDelta { text } | EventKind::RefusalDelta { text } => {
                Some(text)
            }
            _ => None,
        }
    }

    #[getter]
    fn name(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::ToolCallStreamed { name, .. }
            | EventKind::ToolStarted { name, .. }
            | EventKind::ToolInvoked { name, .. } => Some(name),
            EventKind::RunStarted { agent, .. } => Some(agent),
            _ => None,
        }
    }

    #[getter]
    fn call_id(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::ToolCallStreamed { call_id, .. }
            | EventKind::ToolStarted { call_id, .. }
            | EventKind::ToolInvoked { call_id, .. } => Some(call_id),
            _ => None,
        }
    }

    #[getter]
    fn call_index(&self) -> Option<u32> {
        match &self.0.kind {
            EventKind::ToolCallStreamed { call_index, .. } => Some(*call_index),
            _ => None,
        }
    }

    #[getter]
    fn arguments(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::ToolCallStreamed { arguments, .. } | EventKind::ToolStarted { arguments, .. } => Some(arguments),
            _ => None,
        }
    }

    #[getter]
    fn ok(&self) -> Option<bool> {
        match &self.0.kind {
            EventKind::ToolInvoked { ok, .. } => Some(*ok),
            _ => None,
        }
    }

    #[getter]
    fn error(&self) -> Option<&'static str> {
        match &self.0.kind {
            EventKind::ToolInvoked { error, .. } => error.map(core::Kind::as_str),
            EventKind::RunFailed { error, .. } => Some(error.as_str()),
            _ => None,
        }
    }

    #[getter]
    fn message(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::RunFailed { message, .. } => Some(message),
            EventKind::ModelRetried { reason, .. } => Some(reason),
            _ => None,
        }
    }

    #[getter]
    fn result(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::ToolInvoked { result, .. } => Some(result),
            _ => None,
        }
    }

    #[getter]
    fn elapsed_ms(&self) -> Option<u64> {
        match &self.0.kind {
            EventKind::RunFinished { elapsed_ms, .. }
            | EventKind::RunFailed { elapsed_ms, .. }
            | EventKind::ModelFinished { elapsed_ms, .. }
            | EventKind::ToolInvoked { elapsed_ms, .. } => Some(*elapsed_ms),
            _ => None,
        }
    }

    #[getter]
    fn usage(&self) -> Option<Usage> {
        match &self.0.kind {
            EventKind::RunFinished { usage, .. } | EventKind::ModelFinished { usage, .. } => {
                Some(Usage((**usage).clone()))
            }
            _ => None,
        }
    }

    #[getter]
    fn cost(&self) -> Option<f64> {
        match &self.0.kind {
            EventKind::RunFinished { cost, .. } => cost.map(core::Money::usd),
            _ => None,
        }
    }

    #[getter]
    fn model(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::RunStarted { model, .. } | EventKind::ModelRequested { model, .. } => Some(model),
            _ => None,
        }
    }

    #[getter]
    fn finish(&self) -> Option<&str> {
        match &self.0.kind {
            EventKind::ModelFinished { finish, .. } => Some(finish),
            _ => None,
        }
    }

    #[getter]
    fn attempt(&self) -> Option<u32> {
        match &self.0.kind {
            EventKind::ModelRetried { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    #[getter]
    fn missed(&self) -> Option<u64> {
        match &self.0.kind {
            EventKind::Lagged { missed } => Some(*missed),
            _ => None,
        }
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &*self.0)
    }

    fn __repr__(&self) -> String {
        format!("Event({}, seq={}, index={})", self.0.kind.name(), self.0.seq, self.0.index)
    }
}
