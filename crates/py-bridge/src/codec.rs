//! Ready-made argument builders and result decoders for guest calls.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::BadShape;
use crate::json;
use crate::ticket::Args;

/// Marks a closure as an argument builder; without it the compiler does not see that it works for every lifetime.
pub fn arguments<A>(build: A) -> A
where
    A: for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static,
{
    build
}

/// No arguments.
pub fn no_args() -> impl for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static {
    |py: Python<'_>| Ok(Args::none(py))
}

/// JSON values as positional arguments.
pub fn json_args(values: Vec<Value>) -> impl for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static {
    move |py: Python<'_>| {
        let items = values.iter().map(|value| json::to_py(py, value)).collect::<PyResult<Vec<_>>>()?;
        Ok(Args::positional(PyTuple::new(py, items)?))
    }
}

/// The members of a JSON object as keyword arguments.
pub fn json_kwargs(
    members: Map<String, Value>,
) -> impl for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static {
    move |py: Python<'_>| Ok(Args::none(py).with_keywords(json::to_dict(py, &members)?))
}

/// The result as a JSON value.
///
/// # Errors
/// If it is none; the message names the place.
pub fn to_json(value: &Bound<'_, PyAny>) -> Result<Value, BadShape> {
    Ok(json::from_py(value)?)
}

/// The result as a Rust type.
///
/// # Errors
/// If it is no JSON value, or has not the type's shape.
pub fn to_serde<T: DeserializeOwned>(value: &Bound<'_, PyAny>) -> Result<T, BadShape> {
    Ok(serde_json::from_value(json::from_py(value)?)?)
}

/// The result must be `None`.
///
/// # Errors
/// If it is something else.
pub fn to_unit(value: &Bound<'_, PyAny>) -> Result<(), BadShape> {
    if value.is_none() {
        return Ok(());
    }
    let class = value.get_type().qualname().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    Err(BadShape::new(format!("expected None, got {class}")))
}

/// The result as it is.
///
/// # Errors
/// Never.
pub fn to_object(value: &Bound<'_, PyAny>) -> Result<Py<PyAny>, BadShape> {
    Ok(value.clone().unbind())
}
