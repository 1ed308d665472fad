//! Vectors and ids as Python has them: buffers (numpy's arrays are some) and lists.

use atomr_agents_embed::{EmbedError, Neighbour, Vectors};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyMemoryView, PyTuple};

use super::raised;

/// The numbers of a buffer of this type, and its shape; `None` for anything else.
fn buffer<T: Element>(value: &Bound<'_, PyAny>) -> PyResult<Option<(Vec<T>, Vec<usize>)>> {
    let Ok(buffer) = PyBuffer::<T>::get(value) else { return Ok(None) };
    Ok(Some((buffer.to_vec(value.py())?, buffer.shape().to_vec())))
}

/// 32-bit numbers as they are; 64-bit ones and those in lists are rounded to 32.
fn numbers(value: &Bound<'_, PyAny>) -> PyResult<Option<(Vec<f32>, Vec<usize>)>> {
    if let Some(numbers) = buffer::<f32>(value)? {
        return Ok(Some(numbers));
    }
    Ok(buffer::<f64>(value)?.map(|(numbers, shape)| (numbers.into_iter().map(|number| number as f32).collect(), shape)))
}

fn wrong(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let class = value.get_type().qualname().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{name} must be {wanted}, not {class}"))
}

/// One vector.
pub(super) fn vector(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    match numbers(value)? {
        Some((numbers, shape)) if shape.len() == 1 => Ok(numbers),
        // One row of a table of one row.
        Some((numbers, shape)) if shape.len() == 2 && shape.first() == Some(&1) => Ok(numbers),
        Some((_, shape)) => Err(PyTypeError::new_err(format!("{name} must be one vector, not of the shape {shape:?}"))),
        None => value.extract().map_err(|_| wrong(name, "a list of numbers, or an array of float32 or float64", value)),
    }
}

/// Vectors below each other; `dim` is known where there may be none.
pub(super) fn vectors(name: &str, value: &Bound<'_, PyAny>, dim: Option<usize>) -> PyResult<Vectors> {
    if let Some((numbers, shape)) = numbers(value)? {
        let dim = match shape.as_slice() {
            [_, dim] => *dim,
            // No row at all has no columns either.
            [0] => dim.unwrap_or(1),
            _ => {
                let message = format!("{name} must be a table of vectors, one a row, not of the shape {shape:?}");
                return Err(PyTypeError::new_err(message));
            }
        };
        return Vectors::new(dim, numbers).map_err(raised);
    }
    let not_rows = || wrong(name, "a list of vectors, or a table of float32 or float64", value);
    let (mut all, mut width) = (Vec::new(), None);
    for row in value.try_iter().map_err(|_| not_rows())? {
        let row = vector(name, &row?)?;
        let expected = *width.get_or_insert(row.len());
        if row.len() != expected {
            return Err(raised(EmbedError::Dimension { expected, found: row.len() }));
        }
        all.extend(row);
    }
    Vectors::new(width.or(dim).unwrap_or(1), all).map_err(raised)
}

/// Ids: whole numbers from 0 to 2^64 - 1.
pub(super) fn ids(value: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    if let Some((ids, _)) = buffer::<u64>(value)? {
        return Ok(ids);
    }
    if let Some((ids, _)) = buffer::<i64>(value)? {
        let negative = |_| PyTypeError::new_err("ids must be whole numbers from 0 on");
        return ids.into_iter().map(u64::try_from).collect::<Result<_, _>>().map_err(negative);
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(vec![value.extract()?]);
    }
    value.extract().map_err(|_| wrong("ids", "whole numbers from 0 to 2**64 - 1", value))
}

/// What was found, as pairs of id and score.
pub(super) fn pairs(found: Vec<Neighbour>) -> Vec<(u64, f32)> {
    found.into_iter().map(|found| (found.id, found.score)).collect()
}

/// A table that arrays are made of without a copy: `float32`, one vector a row.
pub(super) fn table<'py>(py: Python<'py>, vectors: &Vectors) -> PyResult<Bound<'py, PyAny>> {
    let bytes: Vec<u8> = vectors.values().iter().flat_map(|value| value.to_ne_bytes()).collect();
    let view = PyMemoryView::from(PyBytes::new(py, &bytes).as_any())?;
    if vectors.is_empty() {
        return view.call_method1("cast", ("f",));
    }
    view.call_method1("cast", ("f", PyTuple::new(py, [vectors.len(), vectors.dim()])?))
}
