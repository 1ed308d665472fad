//! `_native.tool`, continued: what a tool is known by, what it needs to be allowed, what is granted.

use std::collections::BTreeSet;

use atomr_agents_core::Value;
use atomr_agents_py_bridge::{Json, json};
use atomr_agents_tool::{self as tool, Permission, ToolMeta, Version};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::errors::{config, from_kinded};

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PermissionSpec>()?;
    module.add_class::<Grants>()?;
    module.add_class::<ToolDescriptor>()?;
    module.add_class::<NativeToolMeta>()
}

/// The texts of a list, or the one text.
fn texts(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(vec![text.to_string()]);
    }
    value.extract().map_err(|_| config(format!("{name} must be a text or a list of texts")))
}

/// The permissions that were named: a `PermissionSpec`, a text, a list of these, or a dict from texts to the patterns
/// of what they are limited to.
pub(crate) fn permissions_of(value: &Bound<'_, PyAny>) -> PyResult<tool::PermissionSpec> {
    if let Ok(spec) = value.extract::<PermissionSpec>() {
        return Ok(spec.0);
    }
    if let Ok(limited) = value.cast::<PyDict>() {
        let mut spec = tool::PermissionSpec::none();
        for (permission, patterns) in limited {
            let text: String = permission.extract().map_err(|_| config("permissions must be named by texts"))?;
            let mut permission = Permission::new(&text).map_err(from_kinded)?;
            if !patterns.is_none() {
                permission = permission.allowing(texts(&text, &patterns)?).map_err(from_kinded)?;
            }
            spec = spec.with(permission);
        }
        return Ok(spec);
    }
    tool::PermissionSpec::new(texts("permissions", value)?).map_err(from_kinded)
}

/// The grants that were named: `Grants`, a text or a list of texts.
pub(crate) fn grants_of(value: &Bound<'_, PyAny>) -> PyResult<tool::Grants> {
    match value.extract::<Grants>() {
        Ok(grants) => Ok(grants.0),
        Err(_) => tool::Grants::new(texts("grants", value)?).map_err(from_kinded),
    }
}

#[pyclass(frozen, eq, from_py_object, module = "atomr_agents._native.tool")]
#[derive(Clone, PartialEq)]
pub(crate) struct PermissionSpec(tool::PermissionSpec);

#[pymethods]
impl PermissionSpec {
    #[new]
    #[pyo3(signature = (needs = None, *, requires_explicit_grant = false, depends_on = None))]
    fn new(
        needs: Option<&Bound<'_, PyAny>>,
        requires_explicit_grant: bool,
        depends_on: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let named = |value: Option<&Bound<'_, PyAny>>| value.map(permissions_of).transpose();
        let spec = named(needs)?.unwrap_or_default().and(&named(depends_on)?.unwrap_or_default());
        Ok(Self(if requires_explicit_grant { spec.explicit() } else { spec }))
    }

    #[getter]
    fn needs(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    #[getter]
    fn depends_on(&self) -> Vec<String> {
        self.needs()
    }

    #[getter]
    fn limits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let limits = PyDict::new(py);
        for permission in self.0.iter().filter(|permission| !permission.limits().is_empty()) {
            limits.set_item(permission.to_string(), permission.limits())?;
        }
        Ok(limits)
    }

    #[getter]
    fn requires_explicit_grant(&self) -> bool {
        self.0.iter().any(Permission::is_explicit)
    }

    fn __and__(&self, other: &Self) -> Self {
        Self(self.0.clone().and(&other.0))
    }

    fn __bool__(&self) -> bool {
        !self.0.is_empty()
    }

    fn __repr__(&self) -> String {
        let explicit = if self.requires_explicit_grant() { ", requires_explicit_grant=True" } else { "" };
        format!("PermissionSpec({:?}{explicit})", self.needs())
    }
}

#[pyclass(frozen, eq, from_py_object, module = "atomr_agents._native.tool")]
#[derive(Clone, PartialEq)]
pub(crate) struct Grants(pub(crate) tool::Grants);

#[pymethods]
impl Grants {
    #[new]
    #[pyo3(signature = (grants = None))]
    fn new(grants: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Ok(Self(grants.map(grants_of).transpose()?.unwrap_or_default()))
    }

    #[staticmethod]
    fn all() -> Self {
        Self(tool::Grants::all())
    }

    fn narrow(&self, further: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(self.0.narrow(&grants_of(further)?)))
    }

    #[pyo3(signature = (permissions, arguments = None))]
    fn missing(&self, permissions: &Bound<'_, PyAny>, arguments: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
        let arguments = arguments.map(json::from_py).transpose()?.unwrap_or_default();
        Ok(self.0.missing(&permissions_of(permissions)?, &arguments))
    }

    #[getter]
    fn layers(&self) -> Vec<Vec<String>> {
        self.0.layers()
    }

    fn __repr__(&self) -> String {
        let layers = self.0.layers();
        let narrowed: String = layers.iter().skip(1).map(|layer| format!(".narrow({layer:?})")).collect();
        format!("Grants({:?}){narrowed}", layers.first().map_or(&[][..], Vec::as_slice))
    }
}

/// What a tool is known by besides what the model is told.
#[pyclass(frozen, from_py_object, module = "atomr_agents._native.tool")]
#[derive(Clone)]
pub(crate) struct NativeToolMeta(pub(crate) ToolMeta);

#[pymethods]
impl NativeToolMeta {
    #[new]
    #[pyo3(signature = (version, permissions, tags, metadata, effect = None))]
    fn new(
        version: Option<&str>,
        permissions: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
        effect: Option<&str>,
    ) -> PyResult<Self> {
        let mut meta = ToolMeta::nothing();
        if let Some(effect) = effect {
            meta.effect = effect.parse().map_err(|error: String| config(error))?;
        }
        if let Some(text) = version {
            let read = Version::parse(text);
            meta.version = read.map_err(|error| {
                config(format!("version must be a semantic one such as 1.2.0, not {text:?}: {error}"))
            })?;
        }
        meta.permissions = permissions.map(permissions_of).transpose()?.unwrap_or_default();
        meta.tags = tags.map(|tags| texts("tags", tags)).transpose()?.into_iter().flatten().collect::<BTreeSet<_>>();
        meta.metadata = match metadata.map(json::from_py).transpose()? {
            None => serde_json::Map::new(),
            Some(Value::Object(metadata)) => metadata,
            Some(_) => return Err(config("metadata must be a dict")),
        };
        Ok(Self(meta))
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.tool")]
#[derive(PartialEq)]
pub(crate) struct ToolDescriptor(pub(crate) tool::ToolDescriptor);

#[pymethods]
impl ToolDescriptor {
    #[new]
    #[pyo3(signature = (name, description = "", schema = None, *, version = None, permissions = None, tags = None, metadata = None, strict = false,
        effect = None))]
    #[allow(clippy::too_many_arguments)] // by keyword
    fn new(
        name: &str,
        description: &str,
        schema: Option<&Bound<'_, PyAny>>,
        version: Option<&str>,
        permissions: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
        strict: bool,
        effect: Option<&str>,
    ) -> PyResult<Self> {
        let schema = schema.map(json::from_py).transpose()?.unwrap_or_else(|| serde_json::json!({"type": "object"}));
        let mut descriptor = tool::ToolDescriptor::new(name, description, schema);
        descriptor.strict = strict;
        descriptor.meta = NativeToolMeta::new(version, permissions, tags, metadata, effect)?.0;
        Ok(Self(descriptor))
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn description(&self) -> &str {
        &self.0.description
    }

    #[getter]
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_py(py, &self.0.schema)
    }

    #[getter]
    fn strict(&self) -> bool {
        self.0.strict
    }

    #[getter]
    fn version(&self) -> String {
        self.0.meta.version.to_string()
    }

    #[getter]
    fn effect(&self) -> &'static str {
        self.0.meta.effect.as_str()
    }

    #[getter]
    fn permissions(&self) -> PermissionSpec {
        PermissionSpec(self.0.meta.permissions.clone())
    }

    #[getter]
    fn tags(&self) -> Vec<String> {
        self.0.meta.tags.iter().cloned().collect()
    }

    #[getter]
    fn metadata(&self) -> Json {
        Json(Value::Object(self.0.meta.metadata.clone()))
    }

    fn to_dict(&self) -> PyResult<Json> {
        serde_json::to_value(&self.0).map(Json).map_err(|error| config(error.to_string()))
    }

    fn __repr__(&self) -> String {
        format!("ToolDescriptor({:?}, version={:?})", self.0.name, self.version())
    }
}
