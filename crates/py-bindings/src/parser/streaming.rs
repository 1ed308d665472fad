//! JSON that is read while it is written, and checked at its end.

use std::sync::Arc;

use atomr_agents_parser as parser;
use atomr_agents_wire::{self as wire, PartialJsonLimits};
use pyo3::prelude::*;

use super::Tree;
use crate::errors::from_kinded;

#[pyclass(module = "atomr_agents._native.parser")]
pub(crate) struct StreamingPartialJson {
    decoder: parser::StreamingPartialJson,
    changes: Vec<wire::Change>,
    tree: Tree,
}

impl StreamingPartialJson {
    fn follow(&mut self, py: Python<'_>) -> PyResult<()> {
        for change in self.changes.drain(..) {
            self.tree.apply(py, &change)?;
        }
        Ok(())
    }
}

#[pymethods]
impl StreamingPartialJson {
    #[new]
    #[pyo3(signature = (schema = None, *, max_depth = 127, max_bytes = 1_048_576))]
    fn new(schema: Option<&Bound<'_, PyAny>>, max_depth: usize, max_bytes: usize) -> PyResult<Self> {
        let decoder = parser::StreamingPartialJson::with_limits(PartialJsonLimits { max_depth, max_bytes });
        let decoder = match schema {
            Some(schema) => decoder.schema(Arc::new(super::schema(schema)?)),
            None => decoder,
        };
        Ok(Self { decoder, changes: Vec::new(), tree: Tree::default() })
    }

    fn feed<'py>(&mut self, py: Python<'py>, text: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let fed = self.decoder.feed_changes(text, &mut self.changes);
        self.follow(py)?;
        fed.map_err(from_kinded)?;
        self.tree.value(py)
    }

    #[getter]
    fn value<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.tree.value(py)
    }

    #[getter]
    fn complete(&self) -> bool {
        self.decoder.is_complete()
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let finished = self.decoder.finish_changes(&mut self.changes).map(|_| ());
        self.follow(py)?;
        finished.map_err(from_kinded)?;
        self.tree.value(py)
    }
}
