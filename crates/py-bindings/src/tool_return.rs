//! What a tool can give back besides a plain value.

use atomr_agents_core::{self as core, Part};
use atomr_agents_py_bridge::{BadShape, Json, json, to_json};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use serde_json::{Map, Value};

use crate::errors::config;

#[pyclass(frozen, eq, module = "atomr_agents._native.tool")]
#[derive(Clone, PartialEq)]
pub(crate) struct ToolReturn(core::ToolReturn);

#[pyclass(frozen, eq, module = "atomr_agents._native.tool")]
#[derive(Clone, PartialEq)]
pub(crate) struct ToolControl(core::ToolControl);

/// Content for the model: texts and parts as they are, anything else as JSON.
fn parts(content: &Bound<'_, PyAny>) -> PyResult<Vec<Part>> {
    let several: Vec<Bound<'_, PyAny>> = match content.cast::<PyList>() {
        Ok(list) if list.iter().all(|each| is_part(&each)) && !list.is_empty() => list.iter().collect(),
        _ => vec![content.clone()],
    };
    several.iter().map(part).collect()
}

fn is_part(value: &Bound<'_, PyAny>) -> bool {
    value.extract::<&str>().is_ok() || value.get_item("type").is_ok()
}

fn part(value: &Bound<'_, PyAny>) -> PyResult<Part> {
    let value: Value = json::from_py(value)?;
    if value.get("type").is_some_and(Value::is_string)
        && let Ok(part) = serde_json::from_value::<Part>(value.clone())
    {
        return Ok(part);
    }
    Ok(Part::text(value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}

/// What a tool gave back, as the core knows it.
pub(crate) fn read(value: &Bound<'_, PyAny>) -> Result<core::ToolReturn, BadShape> {
    if let Ok(made) = value.cast::<ToolReturn>() {
        return Ok(made.get().0.clone());
    }
    if let Ok(control) = value.cast::<ToolControl>() {
        return Ok(core::ToolReturn::Command(control.get().0.clone()));
    }
    to_json(value).map(core::ToolReturn::json)
}

#[pymethods]
impl ToolReturn {
    #[staticmethod]
    fn content(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(core::ToolReturn::Content { parts: parts(value)? }))
    }

    #[staticmethod]
    fn content_and_artifact(content: &Bound<'_, PyAny>, artifact: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (parts, artifact) = (parts(content)?, json::from_py(artifact)?);
        Ok(Self(core::ToolReturn::ContentAndArtifact { parts, artifact }))
    }

    #[staticmethod]
    fn command(control: &ToolControl) -> Self {
        Self(core::ToolReturn::Command(control.0.clone()))
    }

    fn to_dict(&self) -> PyResult<Json> {
        serde_json::to_value(&self.0).map(Json).map_err(|error| config(error.to_string()))
    }

    fn __repr__(&self) -> String {
        format!("ToolReturn({})", serde_json::to_string(&self.0).unwrap_or_default())
    }
}

#[pymethods]
impl ToolControl {
    #[staticmethod]
    #[pyo3(signature = (target, payload = None))]
    fn handoff(target: String, payload: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let payload = payload.map(json::from_py).transpose()?.unwrap_or_default();
        Ok(Self(core::ToolControl::Handoff { target, payload }))
    }

    #[staticmethod]
    fn done(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(core::ToolControl::Done { value: json::from_py(value)? }))
    }

    #[staticmethod]
    #[pyo3(signature = (*content, **values))]
    fn update(content: &Bound<'_, PyTuple>, values: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let parts = content.iter().map(|each| part(&each)).collect::<PyResult<_>>()?;
        let values = match values.map(json::from_py).transpose()? {
            Some(Value::Object(values)) => values,
            _ => Map::new(),
        };
        Ok(Self(core::ToolControl::Update { parts, values }))
    }

    fn __repr__(&self) -> String {
        format!("ToolControl({})", serde_json::to_string(&self.0).unwrap_or_default())
    }
}
