//! `_native.guest`: the registry of objects written in Python.

use atomr_agents_py_bridge::{Guest, GuestOptions, KINDS, KindRow, Verb, kind as kind_row, registry};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

use crate::errors::config;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(kinds, module)?)?;
    module.add_function(wrap_pyfunction!(methods, module)?)?;
    module.add_function(wrap_pyfunction!(register, module)?)?;
    module.add_function(wrap_pyfunction!(target, module)?)?;
    module.add_function(wrap_pyfunction!(list_factories, module)?)?;
    module.add_function(wrap_pyfunction!(clear_factories, module)?)
}

fn row(kind: &str) -> PyResult<&'static KindRow> {
    kind_row(kind)
        .ok_or_else(|| config(format!("there is no guest kind {kind:?}; the kinds are: {}", kinds().join(", "))))
}

#[pyfunction]
fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|row| row.kind).collect()
}

#[pyfunction]
fn methods(kind: &str) -> PyResult<Vec<(&'static str, &'static str, bool)>> {
    let verb = |verb: Verb| match verb {
        Verb::Call => "call",
        Verb::Stream => "stream",
        Verb::Notify => "notify",
        Verb::Once => "once",
    };
    Ok(row(kind)?.methods.iter().map(|method| (method.name, verb(method.verb), method.required)).collect())
}

#[pyfunction]
fn register(kind: &str, key: &str, target: &Bound<'_, PyAny>) -> PyResult<()> {
    let guest = Guest::wrap(target.py(), row(kind)?, key, target, GuestOptions::default())?;
    registry::register(guest);
    Ok(())
}

#[pyfunction]
fn target(py: Python<'_>, kind: &str, key: &str) -> PyResult<Py<PyAny>> {
    let found = registry::get(row(kind)?.kind, key);
    let guest = found.ok_or_else(|| {
        let known = registry::list(kind).join(", ");
        let known = if known.is_empty() { "none" } else { &known };
        PyKeyError::new_err(format!("no {kind} is registered as {key:?}; registered are: {known}"))
    })?;
    Ok(guest.object(py).unbind())
}

#[pyfunction]
fn list_factories(kind: &str) -> PyResult<Vec<String>> {
    Ok(registry::list(row(kind)?.kind))
}

#[pyfunction]
fn clear_factories() -> usize {
    let count = KINDS.iter().map(|row| registry::list(row.kind).len()).sum();
    registry::clear();
    count
}
