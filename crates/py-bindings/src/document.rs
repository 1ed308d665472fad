//! `_native.core`: documents.

use std::sync::OnceLock;

use atomr_agents_core as core;
use atomr_agents_ingest::Piece;
use atomr_agents_py_bridge::json;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::Value;

use crate::core::{Reduced, reduced, to_py};
use crate::errors::config;

#[pyclass(frozen, eq, module = "atomr_agents._native.core")]
#[derive(Clone, PartialEq)]
pub(crate) struct Span(pub(crate) core::Span);

#[pymethods]
impl Span {
    #[new]
    fn new(source: String, bytes: (usize, usize), chars: (usize, usize)) -> PyResult<Self> {
        if bytes.0 > bytes.1 || chars.0 > chars.1 {
            return Err(config(format!("a span ends where it starts or later, not at {bytes:?} and {chars:?}")));
        }
        Ok(Self(core::Span { source, byte_start: bytes.0, byte_end: bytes.1, char_start: chars.0, char_end: chars.1 }))
    }

    #[staticmethod]
    fn from_dict(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        serde_json::from_value(json::from_py(value)?)
            .map(Self)
            .map_err(|error| config(format!("this is no span: {error}")))
    }

    #[getter]
    fn source(&self) -> &str {
        &self.0.source
    }

    #[getter]
    fn bytes(&self) -> (usize, usize) {
        (self.0.byte_start, self.0.byte_end)
    }

    #[getter]
    fn chars(&self) -> (usize, usize) {
        (self.0.char_start, self.0.char_end)
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf.as_any())
    }

    fn __repr__(&self) -> String {
        format!("Span({:?}, bytes={:?}, chars={:?})", self.0.source, self.bytes(), self.chars())
    }
}

#[pyclass(frozen, eq, from_py_object, module = "atomr_agents._native.core")]
pub(crate) struct Document(Body);

enum Body {
    Whole(core::Document),
    Piece(Slice),
}

/// A piece of a document that still lies in it. Of many pieces only the text is looked at, and that is a slice of the source;
/// the rest is made when it is asked for.
struct Slice {
    source: Py<Document>,
    number: usize,
    piece: Piece,
    whole: OnceLock<Box<core::Document>>,
}

impl Document {
    pub(crate) fn new(document: core::Document) -> Self {
        Self(Body::Whole(document))
    }

    /// The piece of a source with this number.
    pub(crate) fn piece(source: Py<Self>, number: usize, piece: Piece) -> Self {
        Self(Body::Piece(Slice { source, number, piece, whole: OnceLock::new() }))
    }

    /// The document.
    pub(crate) fn whole(&self) -> &core::Document {
        match &self.0 {
            Body::Whole(document) => document,
            Body::Piece(slice) => {
                slice.whole.get_or_init(|| Box::new(slice.piece.document(slice.source.get().whole(), slice.number)))
            }
        }
    }
}

impl Clone for Document {
    fn clone(&self) -> Self {
        Self::new(self.whole().clone())
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.whole() == other.whole()
    }
}

#[pymethods]
impl Document {
    #[new]
    #[pyo3(signature = (id, text, metadata=None, *, score=None, span=None))]
    fn made(
        id: String,
        text: String,
        metadata: Option<&Bound<'_, PyDict>>,
        score: Option<f64>,
        span: Option<&Span>,
    ) -> PyResult<Self> {
        let metadata = match metadata.map(|metadata| json::from_py(metadata)).transpose()? {
            Some(Value::Object(metadata)) => metadata,
            _ => serde_json::Map::new(),
        };
        if score.is_some_and(f64::is_nan) {
            return Err(config("score must be a number, not NaN"));
        }
        Ok(Self::new(core::Document { id, text, metadata, score, span: span.map(|span| span.0.clone()) }))
    }

    #[staticmethod]
    fn from_dict(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        serde_json::from_value(json::from_py(value)?)
            .map(Self::new)
            .map_err(|error| config(format!("this is no document: {error}")))
    }

    #[getter]
    fn id(&self) -> &str {
        &self.whole().id
    }

    #[getter]
    fn text(&self) -> &str {
        match &self.0 {
            Body::Whole(document) => &document.text,
            Body::Piece(slice) => slice.piece.text(slice.source.get().whole()),
        }
    }

    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.whole().metadata)
    }

    #[getter]
    fn score(&self) -> Option<f64> {
        self.whole().score
    }

    #[getter]
    fn span(&self) -> Option<Span> {
        self.whole().span.clone().map(Span)
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, self.whole())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf.as_any())
    }

    fn __repr__(&self) -> String {
        let mut start: String = self.text().chars().take(60).collect();
        if start.len() < self.text().len() {
            start.push('…');
        }
        let score = self.whole().score.map(|score| format!(", score={score}")).unwrap_or_default();
        format!("Document({:?}, {start:?}{score})", self.whole().id)
    }
}
