//! Stores: where runs, sessions and checkpoints are kept.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_state::{self as state, MemoryStore, StoreError};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::checkpointer::Checkpointer;
use super::guest::GuestStore;
use super::{blocking, coroutine};
use crate::errors::config;

pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Store>()?;
    module.add_function(wrap_pyfunction!(in_memory_store, module)?)?;
    module.add_function(wrap_pyfunction!(guest_store, module)?)
}

#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(crate) struct Store(pub(crate) Arc<dyn state::Store>);

#[pymethods]
impl Store {
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    #[pyo3(signature = (grace = 3600.0))]
    fn sweep(&self, py: Python<'_>, grace: f64) -> PyResult<Py<PyAny>> {
        coroutine(py, sweep(Arc::clone(&self.0), grace)?)
    }

    #[pyo3(signature = (grace = 3600.0))]
    fn sweep_sync(&self, py: Python<'_>, grace: f64) -> PyResult<(u64, u64)> {
        blocking(py, sweep(Arc::clone(&self.0), grace)?)
    }

    fn __repr__(&self) -> String {
        format!("<Store {}>", self.0.kind())
    }
}

fn sweep(
    store: Arc<dyn state::Store>,
    grace: f64,
) -> PyResult<impl Future<Output = Result<(u64, u64), StoreError>> + Send + 'static> {
    let grace = Duration::try_from_secs_f64(grace)
        .map_err(|_| config(format!("grace must be a number of seconds from 0 on, not {grace}")))?;
    Ok(async move { store.sweep(grace).await.map(|swept| (swept.blobs, swept.bytes)) })
}

#[pyfunction]
fn in_memory_store() -> Store {
    Store(Arc::new(MemoryStore::new()))
}

/// A store that is written in Python. Its asynchronous methods run on the loop that runs here now.
#[pyfunction]
fn guest_store(key: &str, target: &Bound<'_, PyAny>) -> PyResult<Store> {
    Ok(Store(Arc::new(GuestStore::wrap(key, target)?)))
}

/// The store that an object stands for: a [`Store`], a checkpointer, a guest with `@journal`, a path, or text such as
/// `sqlite:runs.db` and `postgres://…`. Everything that takes a store takes it through this.
pub(crate) fn store_of(object: &Bound<'_, PyAny>) -> PyResult<Arc<dyn state::Store>> {
    if let Ok(store) = object.cast::<Store>() {
        return Ok(Arc::clone(&store.get().0));
    }
    if let Ok(checkpointer) = object.cast::<Checkpointer>() {
        return Ok(Arc::clone(checkpointer.get().0.store()));
    }
    let py = object.py();
    let found = py.import("atomr_agents._stores")?.call_method1("of_guest", (object,))?;
    if let Ok(store) = found.cast::<Store>() {
        return Ok(Arc::clone(&store.get().0));
    }
    let class = object.get_type().qualname()?;
    Err(PyTypeError::new_err(format!(
        "a store is a Store (such as in_memory_store()), a Checkpointer, an object with the methods of @journal, a path, or \
         text such as \"sqlite:runs.db\" or \"postgres://…\"; this is {class}"
    )))
}
