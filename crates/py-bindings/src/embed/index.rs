//! Indexes of vectors.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use atomr_agents_embed::{AnnIndex, EmbedError, IndexOptions, VectorIndex, Vectors};
use atomr_agents_py_bridge::{awaitable, detached};
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::guests::PythonIndex;
use super::{Failed, arrays, raised};

/// Filters as Python has them: the ids that may be found.
fn set(allowed: Option<&Bound<'_, PyAny>>) -> PyResult<Option<HashSet<u64>>> {
    allowed
        .map(|ids| {
            let listed = match arrays::ids(ids) {
                Ok(listed) => listed,
                // Sets and other collections.
                Err(error) => ids.try_iter().map_err(|_| error)?.map(|id| id?.extract()).collect::<PyResult<_>>()?,
            };
            Ok(listed.into_iter().collect())
        })
        .transpose()
}

/// Does this with the interpreter's lock released. Every look at an index does: one that waits for a writer would hold up
/// every thread of Python.
fn apart<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, EmbedError> + Send) -> PyResult<T> {
    detached(py, work)?.map_err(raised)
}

#[pyclass(frozen, module = "atomr_agents._native.embed")]
pub(crate) struct InMemoryAnnIndex(pub(crate) VectorIndex);

#[pymethods]
impl InMemoryAnnIndex {
    #[new]
    #[pyo3(signature = (dim, metric = "cosine", *, max_vectors = None, exact_below = 10_000, recall = 0.95, m = 16, ef_construction = 100, ef = None))]
    #[expect(clippy::too_many_arguments, reason = "they are the keywords of Python")]
    fn new(
        dim: usize,
        metric: &str,
        max_vectors: Option<usize>,
        exact_below: usize,
        recall: f32,
        m: usize,
        ef_construction: usize,
        ef: Option<usize>,
    ) -> PyResult<Self> {
        let default = IndexOptions::default();
        let options = IndexOptions {
            metric: metric.parse().map_err(raised)?,
            max_vectors: max_vectors.unwrap_or(default.max_vectors),
            exact_below,
            recall,
            m,
            ef_construction,
            ef,
        };
        Ok(Self(VectorIndex::new(dim, options).map_err(raised)?))
    }

    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        apart(py, || VectorIndex::load(path)).map(Self)
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        apart(py, || self.0.save(path))
    }

    #[getter]
    fn dim(&self) -> usize {
        self.0.dim()
    }

    #[getter]
    fn metric(&self) -> String {
        self.0.metric().to_string()
    }

    #[getter]
    fn ef(&self, py: Python<'_>) -> PyResult<Option<usize>> {
        Ok(detached(py, || self.0.ef())?)
    }

    #[setter]
    fn set_ef(&self, py: Python<'_>, ef: Option<usize>) -> PyResult<()> {
        apart(py, || self.0.set_ef(ef))
    }

    fn upsert(&self, py: Python<'_>, ids: &Bound<'_, PyAny>, vectors: &Bound<'_, PyAny>) -> PyResult<()> {
        let (ids, one) = (arrays::ids(ids)?, ids.is_instance_of::<PyInt>());
        let vectors = if one {
            let row = arrays::vector("vectors", vectors)?;
            Vectors::new(row.len(), row).map_err(raised)?
        } else {
            arrays::vectors("vectors", vectors, Some(self.0.dim()))?
        };
        apart(py, || self.0.insert(&ids, &vectors))
    }

    fn remove(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<usize> {
        let ids = arrays::ids(ids)?;
        apart(py, || self.0.delete(&ids))
    }

    #[pyo3(signature = (query, top_k = 10, *, allowed = None))]
    fn search(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        top_k: usize,
        allowed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<(u64, f32)>> {
        let (query, allowed) = (arrays::vector("query", query)?, set(allowed)?);
        let found = apart(py, || match &allowed {
            None => self.0.find(&query, top_k, None),
            Some(allowed) => self.0.find(&query, top_k, Some(&|id| allowed.contains(&id))),
        });
        found.map(arrays::pairs)
    }

    #[pyo3(signature = (queries, top_k = 10))]
    fn search_batch(&self, py: Python<'_>, queries: &Bound<'_, PyAny>, top_k: usize) -> PyResult<Vec<Vec<(u64, f32)>>> {
        let queries = arrays::vectors("queries", queries, Some(self.0.dim()))?;
        let found = apart(py, || self.0.find_all(&queries, top_k))?;
        Ok(found.into_iter().map(arrays::pairs).collect())
    }

    fn vector(&self, py: Python<'_>, id: u64) -> PyResult<Option<Vec<f32>>> {
        Ok(detached(py, || self.0.vector(id))?)
    }

    fn handle(&self) -> NativeAnnIndex {
        NativeAnnIndex(Arc::new(self.0.clone()))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(detached(py, || self.0.len())?)
    }

    /// As long as published: `len()`, beside `len(index)`.
    fn len(&self, py: Python<'_>) -> PyResult<usize> {
        self.__len__(py)
    }

    fn __contains__(&self, py: Python<'_>, id: u64) -> PyResult<bool> {
        Ok(detached(py, || self.0.contains(id))?)
    }

    /// An empty index is an index.
    fn __bool__(&self) -> bool {
        true
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (len, ef) = detached(py, || (self.0.len(), self.0.ef()))?;
        let how = ef.map_or_else(|| "exact".to_owned(), |ef| format!("ef {ef}"));
        Ok(format!("<InMemoryAnnIndex, {len} vectors of {} by {}, {how}>", self.0.dim(), self.0.metric()))
    }
}

#[pyclass(frozen, module = "atomr_agents._native.embed")]
pub(crate) struct NativeAnnIndex(pub(crate) Arc<dyn AnnIndex>);

#[pymethods]
impl NativeAnnIndex {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        Ok(Self(Arc::new(PythonIndex::wrap(target, key)?)))
    }

    #[getter]
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn upsert(&self, py: Python<'_>, ids: &Bound<'_, PyAny>, vectors: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (ids, vectors) = (arrays::ids(ids)?, arrays::vectors("vectors", vectors, Some(self.0.dim().max(1)))?);
        let index = Arc::clone(&self.0);
        awaitable(py, move |_| async move { index.upsert(&ids, &vectors).await.map_err(Failed) })
    }

    fn remove(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (ids, index) = (arrays::ids(ids)?, Arc::clone(&self.0));
        awaitable(py, move |_| async move { index.remove(&ids).await.map_err(Failed) })
    }

    fn search(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        top_k: usize,
        allowed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (query, allowed, index) = (arrays::vector("query", query)?, set(allowed)?, Arc::clone(&self.0));
        awaitable(py, move |_| async move {
            let found = match &allowed {
                None => index.search(&query, top_k, None).await,
                Some(allowed) => index.search(&query, top_k, Some(&|id| allowed.contains(&id))).await,
            };
            found.map(arrays::pairs).map_err(Failed)
        })
    }

    fn len(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let index = Arc::clone(&self.0);
        awaitable(py, move |_| async move { index.count().await.map_err(Failed) })
    }
}
