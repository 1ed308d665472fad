//! `_native.ingest`: what loads documents and cuts them.

mod files;
mod loaders;
mod pipeline;
mod splitters;
mod waiting;

use atomr_agents_core as core;
use atomr_agents_py_bridge::BadShape;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::document::Document;
use crate::strategy::shape;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<loaders::NativeLoader>()?;
    module.add_class::<splitters::NativeSplitter>()?;
    module.add_class::<waiting::NativeAsyncSplitter>()?;
    module.add_class::<pipeline::NativeKvCache>()?;
    module.add_class::<pipeline::NativePipeline>()?;
    for function in [
        wrap_pyfunction!(pipeline::cached, module)?,
        wrap_pyfunction!(files::load_texts, module)?,
        wrap_pyfunction!(files::load_json, module)?,
        wrap_pyfunction!(files::load_json_lines, module)?,
        wrap_pyfunction!(files::load_csv, module)?,
        wrap_pyfunction!(files::load_pdf, module)?,
        wrap_pyfunction!(files::load_docx, module)?,
        wrap_pyfunction!(files::load_directory, module)?,
        wrap_pyfunction!(files::load_web, module)?,
    ] {
        module.add_function(function)?;
    }
    module.add_function(wrap_pyfunction!(splitters::code_language, module)?)
}

/// What a guest gives: a list or a tuple of documents.
fn documents(value: &Bound<'_, PyAny>) -> Result<Vec<core::Document>, BadShape> {
    let one = |each: Bound<'_, PyAny>| match each.cast::<Document>() {
        Ok(document) => Ok(document.get().whole().clone()),
        Err(_) => Err(shape("a list of Document", &each)),
    };
    if let Ok(list) = value.cast::<PyList>() {
        return list.iter().map(one).collect();
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return tuple.iter().map(one).collect();
    }
    Err(shape("a list of Document", value))
}

/// Documents as Python has them.
fn listed<'py>(py: Python<'py>, documents: Vec<core::Document>) -> PyResult<Bound<'py, PyList>> {
    let made =
        documents.into_iter().map(|document| Bound::new(py, Document::new(document))).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, made)
}
