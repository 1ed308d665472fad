//! Splitters that cut by themselves.

use std::sync::Arc;

use atomr_agents_core as core;
use atomr_agents_ingest::{Chain, Code, CodeLanguage, Length, MarkdownHeader, Recursive, Splitter, Token};
use atomr_agents_tokens::BpeCounter;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::waiting::{NativeAsyncSplitter, Shared};
use crate::document::Document;
use crate::errors::from_kinded;

#[pyclass(frozen, module = "atomr_agents._native.ingest")]
pub(crate) struct NativeSplitter(Arc<dyn Splitter>);

fn length(model: Option<&str>) -> Length {
    model.map_or(Length::Chars, |model| Length::tokens(Arc::new(BpeCounter), model))
}

/// The name of a language by any of its names.
#[pyfunction]
pub(crate) fn code_language(name: &str) -> PyResult<&'static str> {
    name.parse::<CodeLanguage>().map(CodeLanguage::name).map_err(from_kinded)
}

#[pymethods]
impl NativeSplitter {
    #[staticmethod]
    fn recursive(
        chunk_size: usize,
        overlap: usize,
        separators: Option<Vec<String>>,
        model: Option<&str>,
    ) -> PyResult<Self> {
        let builder = Recursive::new(chunk_size).overlap(overlap).length(length(model));
        let builder = match separators {
            Some(separators) => builder.separators(separators),
            None => builder,
        };
        builder.build().map(|splitter| Self(Arc::new(splitter))).map_err(from_kinded)
    }

    #[staticmethod]
    fn markdown_header(
        levels: Vec<u8>,
        chunk_size: Option<usize>,
        overlap: usize,
        model: Option<&str>,
    ) -> PyResult<Self> {
        let builder = MarkdownHeader::new().levels(levels).overlap(overlap).length(length(model));
        let builder = match chunk_size {
            Some(size) => builder.chunk_size(size),
            None => builder,
        };
        builder.build().map(|splitter| Self(Arc::new(splitter))).map_err(from_kinded)
    }

    #[staticmethod]
    fn code(language: &str, chunk_size: usize, overlap: usize) -> PyResult<Self> {
        let made = language.parse().and_then(|language| Code::new(language, chunk_size, overlap));
        made.map(|splitter| Self(Arc::new(splitter))).map_err(from_kinded)
    }

    #[staticmethod]
    fn token(chunk_size: usize, overlap: usize, model: &str) -> PyResult<Self> {
        let made = Token::new(Arc::new(BpeCounter), model, chunk_size, overlap);
        made.map(|splitter| Self(Arc::new(splitter))).map_err(from_kinded)
    }

    /// The one, then the other.
    fn then(&self, other: &Self) -> Self {
        Self(Arc::new(Chain(Arc::clone(&self.0), Arc::clone(&other.0))))
    }

    fn split<'py>(&self, py: Python<'py>, document: &Bound<'py, Document>) -> PyResult<Bound<'py, PyList>> {
        let source = document.get().whole();
        let pieces = py.detach(|| self.0.pieces(source)).map_err(from_kinded)?;
        let numbered = pieces.into_iter().enumerate();
        PyList::new(py, numbered.map(|(n, piece)| Document::piece(document.clone().unbind(), n, piece)))
    }

    fn split_text<'py>(&self, py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyList>> {
        let source = core::Document::new("", text);
        let pieces = py.detach(|| self.0.pieces(&source)).map_err(from_kinded)?;
        PyList::new(py, pieces.iter().map(|piece| PyString::new(py, piece.text(&source))))
    }

    /// The same as one that may wait.
    fn waiting(&self) -> NativeAsyncSplitter {
        NativeAsyncSplitter(Shared(Arc::new(Arc::clone(&self.0))))
    }
}
