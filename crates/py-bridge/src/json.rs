//! JSON values across the border without a text round trip.
//!
//! What crosses: `None`, `bool`, `int` of 64 bits, finite `float`, `str`, `list` and `tuple` (an array), `dict` with
//! string keys, dataclasses, pydantic models, `Enum` (its value), `datetime`, `date` and `time` (ISO 8601), `UUID`,
//! `Path` and `Decimal` (their text), and subclasses of these. Everything else is refused with the JSON pointer of the
//! place and a hint, never converted by guess.

use std::fmt::Write as _;

use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple, PyType,
};
use serde_json::{Map, Number, Value};

use crate::error::BadShape;
use crate::faults::{self, Fault};

/// How deep a value may be nested; one that contains itself is found by this too.
pub const MAX_DEPTH: usize = 128;

/// A JSON value as the result of an awaitable or a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Json(pub Value);

impl<'py> IntoPyObject<'py> for Json {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0)
    }
}

/// Why a Python value is no JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {place}: {message}", place = if .path.is_empty() { "the top" } else { .path })]
pub struct JsonFault {
    /// The JSON pointer of the offending place; empty for the value itself.
    pub path: String,
    /// What is there, and what to do.
    pub message: String,
}

impl From<JsonFault> for BadShape {
    fn from(fault: JsonFault) -> Self {
        Self::new(fault.to_string())
    }
}

impl From<JsonFault> for PyErr {
    fn from(fault: JsonFault) -> Self {
        Python::attach(|py| faults::raise(py, Fault::Contract, fault.to_string()))
    }
}

/// A fault on its way up; the path is only built when there is one.
struct Trail {
    steps: Vec<String>,
    message: String,
}

impl Trail {
    fn new(message: impl Into<String>) -> Self {
        Self { steps: Vec::new(), message: message.into() }
    }

    fn under(mut self, step: impl Into<String>) -> Self {
        self.steps.push(step.into());
        self
    }
}

impl From<PyErr> for Trail {
    fn from(error: PyErr) -> Self {
        Self::new(BadShape::from(error).message)
    }
}

/// Reads a Python value as JSON.
///
/// # Errors
/// A [`JsonFault`] that names the place and what to do.
pub fn from_py(value: &Bound<'_, PyAny>) -> Result<Value, JsonFault> {
    read(value, 0).map_err(|trail| {
        let mut path = String::new();
        for step in trail.steps.iter().rev() {
            // Writing to a String cannot fail.
            let _infallible = write!(path, "/{}", step.replace('~', "~0").replace('/', "~1"));
        }
        JsonFault { path, message: trail.message }
    })
}

fn read(value: &Bound<'_, PyAny>, depth: usize) -> Result<Value, Trail> {
    if depth > MAX_DEPTH {
        return Err(Trail::new(format!("nested deeper than {MAX_DEPTH} levels, or contains itself; flatten it")));
    }
    if value.is_none() {
        Ok(Value::Null)
    } else if let Ok(text) = value.cast::<PyString>() {
        read_text(text).map(Value::String)
    } else if let Ok(flag) = value.cast::<PyBool>() {
        Ok(Value::Bool(flag.is_true()))
    } else if value.is_instance_of::<PyInt>() {
        read_int(value)
    } else if let Ok(number) = value.cast::<PyFloat>() {
        Number::from_f64(number.value())
            .map(Value::Number)
            .ok_or_else(|| Trail::new(format!("the float {} is no JSON number; use None or a string", number.value())))
    } else if let Ok(table) = value.cast::<PyDict>() {
        read_table(table, depth)
    } else if let Ok(list) = value.cast::<PyList>() {
        read_items(list.iter(), list.len(), depth)
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        read_items(tuple.iter(), tuple.len(), depth)
    } else {
        read_other(value, depth)
    }
}

fn read_text(text: &Bound<'_, PyString>) -> Result<String, Trail> {
    match text.to_str() {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Trail::new(
            "the string holds a lone surrogate, which UTF-8 cannot carry; encode it with errors=\"replace\" first",
        )),
    }
}

fn read_int(value: &Bound<'_, PyAny>) -> Result<Value, Trail> {
    if let Ok(number) = value.extract::<i64>() {
        return Ok(Value::from(number));
    }
    value.extract::<u64>().map(Value::from).map_err(|_| {
        Trail::new(
            "the integer does not fit into 64 bits, where most readers of JSON would round it; pass it as a string",
        )
    })
}

fn read_table(table: &Bound<'_, PyDict>, depth: usize) -> Result<Value, Trail> {
    let mut map = Map::with_capacity(table.len());
    // A copy of the items: reading one may run Python code, and that may change the table.
    for entry in table.items() {
        let (key, value) = entry.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        let Ok(name) = key.cast::<PyString>() else {
            let class = class_of(&key);
            return Err(Trail::new(format!(
                "a key is of type {class}; JSON has string keys only, convert it with str()"
            )));
        };
        let name = read_text(name)?;
        let value = read(&value, depth + 1).map_err(|trail| trail.under(name.clone()))?;
        map.insert(name, value);
    }
    Ok(Value::Object(map))
}

fn read_items<'py>(items: impl Iterator<Item = Bound<'py, PyAny>>, count: usize, depth: usize) -> Result<Value, Trail> {
    let mut array = Vec::with_capacity(count);
    for (at, item) in items.enumerate() {
        array.push(read(&item, depth + 1).map_err(|trail| trail.under(at.to_string()))?);
    }
    Ok(Value::Array(array))
}

fn read_other(value: &Bound<'_, PyAny>, depth: usize) -> Result<Value, Trail> {
    let class = class_of(value);
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() {
        return Err(Trail::new(format!("{class} is no JSON value; decode it, or encode it with base64")));
    }
    if value.is_instance_of::<PySet>() || value.is_instance_of::<PyFrozenSet>() {
        return Err(Trail::new(format!("a {class} has no order; use sorted(...) or list(...)")));
    }
    if !value.is_instance_of::<PyType>() {
        if let Some(fields) = value.get_type().getattr_opt("__dataclass_fields__")? {
            return read_dataclass(value, &fields, depth);
        }
        if value.get_type().hasattr("model_fields")? && value.hasattr("model_dump")? {
            let mode = PyDict::new(value.py());
            mode.set_item("mode", "json")?;
            return read(&value.call_method("model_dump", (), Some(&mode))?, depth + 1);
        }
        for base in value.get_type().mro() {
            let base = base.cast_into::<PyType>().map_err(PyErr::from)?;
            let (module, name) = (base.module()?, base.qualname()?);
            match (module.to_str()?, name.to_str()?) {
                ("datetime", "datetime" | "date" | "time") => {
                    return read(&value.call_method0("isoformat")?, depth + 1);
                }
                ("enum", "Enum") => return read(&value.getattr("value")?, depth + 1),
                ("uuid", "UUID") | ("decimal" | "_decimal", "Decimal") | ("pathlib" | "pathlib._local", "PurePath") => {
                    return read_text(&value.str()?).map(Value::String);
                }
                _ => {}
            }
        }
    }
    let hint = if value.hasattr("tolist")? {
        "call .tolist() first"
    } else if value.hasattr("__await__")? {
        "it was never awaited"
    } else {
        "return a dict, a list, a string, a number, a dataclass or a pydantic model"
    };
    Err(Trail::new(format!("{class} is no JSON value; {hint}")))
}

fn read_dataclass(value: &Bound<'_, PyAny>, fields: &Bound<'_, PyAny>, depth: usize) -> Result<Value, Trail> {
    let fields = fields.cast::<PyDict>().map_err(PyErr::from)?;
    let mut map = Map::with_capacity(fields.len());
    for (name, field) in fields.iter() {
        // ClassVar and InitVar stand in the same table; only true fields are part of the value.
        let kind = field.getattr("_field_type")?.getattr("name")?;
        if kind.extract::<String>()? != "_FIELD" {
            continue;
        }
        let name = read_text(name.cast::<PyString>().map_err(PyErr::from)?)?;
        let item = value.getattr(name.as_str())?;
        let item = read(&item, depth + 1).map_err(|trail| trail.under(name.clone()))?;
        map.insert(name, item);
    }
    Ok(Value::Object(map))
}

fn class_of(value: &Bound<'_, PyAny>) -> String {
    value.get_type().qualname().map_or_else(|_| "object".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Makes the Python value.
///
/// # Errors
/// A `RecursionError` for a value nested deeper than Python could walk, and what Python raises when it has no memory.
pub fn to_py<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    write(py, value, 0)
}

fn write<'py>(py: Python<'py>, value: &Value, depth: usize) -> PyResult<Bound<'py, PyAny>> {
    if depth > 4 * MAX_DEPTH {
        return Err(PyRecursionError::new_err("a JSON value is nested too deeply"));
    }
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(flag) => flag.into_bound_py_any(py),
        Value::Number(number) => write_number(py, number),
        Value::String(text) => Ok(PyString::new(py, text).into_any()),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(write(py, item, depth + 1)?)?;
            }
            Ok(list.into_any())
        }
        Value::Object(map) => Ok(write_table(py, map, depth)?.into_any()),
    }
}

fn write_number<'py>(py: Python<'py>, number: &Number) -> PyResult<Bound<'py, PyAny>> {
    if let Some(number) = number.as_i64() {
        number.into_bound_py_any(py)
    } else if let Some(number) = number.as_u64() {
        number.into_bound_py_any(py)
    } else {
        number.as_f64().into_bound_py_any(py)
    }
}

fn write_table<'py>(py: Python<'py>, map: &Map<String, Value>, depth: usize) -> PyResult<Bound<'py, PyDict>> {
    let table = PyDict::new(py);
    for (name, value) in map {
        table.set_item(name, write(py, value, depth + 1)?)?;
    }
    Ok(table)
}

/// Makes a `dict` of an object's members.
///
/// # Errors
/// As [`to_py`].
pub fn to_dict<'py>(py: Python<'py>, map: &Map<String, Value>) -> PyResult<Bound<'py, PyDict>> {
    write_table(py, map, 0)
}
