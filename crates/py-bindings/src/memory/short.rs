//! What was said lately.

use std::sync::Arc;

use atomr_agents_memory::{self as memory, MemoryStore as _, NamespacedMemory, StoredMemory};
use atomr_agents_py_bridge::{GuestMemoryStore, GuestOptions, awaitable};
use pyo3::prelude::*;

use super::Parts;
use super::guest::PythonMemoryStore;
use super::item::MemoryItem;
use crate::context::call_ctx;
use crate::errors::Fault;
use crate::state::store_of;

#[pyclass(frozen, module = "atomr_agents._native.memory")]
pub(crate) struct MemoryStore(pub(crate) Arc<dyn memory::MemoryStore>);

#[pymethods]
impl MemoryStore {
    #[staticmethod]
    fn on(store: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Arc::new(StoredMemory::new(store_of(store)?))))
    }

    #[staticmethod]
    fn in_memory() -> Self {
        Self(Arc::new(StoredMemory::in_memory()))
    }

    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestMemoryStore::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self(Arc::new(PythonMemoryStore(guest))))
    }

    fn put(&self, py: Python<'_>, namespace: Parts, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let item = match item.cast::<MemoryItem>() {
            Ok(item) => item.get().0.clone(),
            Err(_) => memory::MemoryItem::new(atomr_agents_py_bridge::json::from_py(item)?),
        };
        let store = Arc::clone(&self.0);
        awaitable(py, move |scope| async move {
            store.put(&namespace.0, &item, &call_ctx(&scope, None)).await.map(|()| MemoryItem(item)).map_err(Fault)
        })
    }

    #[pyo3(signature = (namespace, limit = 10, *, before = None))]
    fn list(&self, py: Python<'_>, namespace: Parts, limit: usize, before: Option<String>) -> PyResult<Py<PyAny>> {
        let store = Arc::clone(&self.0);
        awaitable(py, move |scope| async move {
            let found = store.list(&namespace.0, limit, before.as_deref(), &call_ctx(&scope, None)).await;
            found.map(items).map_err(Fault)
        })
    }

    fn get(&self, py: Python<'_>, namespace: Parts, id: String) -> PyResult<Py<PyAny>> {
        let store = Arc::clone(&self.0);
        awaitable(py, move |scope| async move {
            let found = store.get(&namespace.0, &id, &call_ctx(&scope, None)).await;
            found.map(|found| found.map(MemoryItem)).map_err(Fault)
        })
    }

    fn delete(&self, py: Python<'_>, namespace: Parts, id: String) -> PyResult<Py<PyAny>> {
        let store = Arc::clone(&self.0);
        awaitable(py, move |scope| async move {
            store.delete(&namespace.0, &id, &call_ctx(&scope, None)).await.map_err(Fault)
        })
    }

    #[pyo3(signature = (namespace, query, limit = 10))]
    fn search(&self, py: Python<'_>, namespace: Parts, query: String, limit: usize) -> PyResult<Py<PyAny>> {
        let store = Arc::clone(&self.0);
        awaitable(py, move |scope| async move {
            store.search(&namespace.0, &query, limit, &call_ctx(&scope, None)).await.map(items).map_err(Fault)
        })
    }

    fn namespaced(&self, prefix: Parts) -> Self {
        Self(Arc::new(NamespacedMemory::new(Arc::clone(&self.0), prefix.0)))
    }

    fn __repr__(&self) -> String {
        format!("<MemoryStore {:?}>", self.0)
    }
}

fn items(found: Vec<memory::MemoryItem>) -> Vec<MemoryItem> {
    found.into_iter().map(MemoryItem).collect()
}
