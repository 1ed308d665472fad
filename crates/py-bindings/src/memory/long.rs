//! What is kept for good.

use std::path::PathBuf;
use std::sync::Arc;

use atomr_agents_memory::{
    self as memory, By, LongOptions, LongStore as _, NamespacedLong, NewItem, Search, StoredLong,
};
use atomr_agents_memory_postgres::{PgVectorLong, PgVectorOptions};
use atomr_agents_py_bridge::{GuestLongStore, GuestOptions, awaitable, json};
use atomr_agents_retriever::Filter;
use pyo3::prelude::*;
use serde_json::Value;

use super::Parts;
use super::guest::PythonLongStore;
use super::item::{StoreItem, tuple};
use crate::context::call_ctx;
use crate::embed::embedder_of;
use crate::errors::{Fault, config};
use crate::seconds;
use crate::state::{moment, store_of};

#[pyclass(frozen, module = "atomr_agents._native.memory")]
pub(crate) struct LongStore {
    pub(crate) store: Arc<dyn memory::LongStore>,
    /// The same, where it is one of ours.
    ours: Option<Ours>,
}

/// The stores of this package.
#[derive(Clone)]
enum Ours {
    Stored(StoredLong),
    PgVector(PgVectorLong),
}

/// How items are compared.
pub(super) fn by(given: &str) -> PyResult<By> {
    serde_json::from_value(Value::from(given))
        .map_err(|_| config(format!("by is \"best\", \"meaning\", \"words\" or \"both\", not {given:?}")))
}

fn options(embedder: Option<&Bound<'_, PyAny>>, max_searched: usize) -> PyResult<LongOptions> {
    let embedder = embedder.map(embedder_of).transpose()?;
    Ok(LongOptions { embedder, max_searched, ..LongOptions::default() })
}

impl LongStore {
    fn of(stored: StoredLong) -> Self {
        Self { store: Arc::new(stored.clone()), ours: Some(Ours::Stored(stored)) }
    }

    fn ours(&self, method: &str) -> PyResult<Ours> {
        let none = || config(format!("{method} is for the stores of this package; of a part, ask the whole"));
        self.ours.clone().ok_or_else(none)
    }
}

/// An item to be written.
fn new_item(
    namespace: Parts,
    key: String,
    value: &Bound<'_, PyAny>,
    embedding: Option<Vec<f32>>,
    ttl: Option<f64>,
) -> PyResult<NewItem> {
    let ttl = seconds::optional("ttl", ttl)?;
    Ok(NewItem { namespace: namespace.0, key, value: json::from_py(value)?, embedding, ttl })
}

#[pymethods]
impl LongStore {
    #[staticmethod]
    #[pyo3(signature = (store, *, embedder = None, max_searched = 100_000))]
    fn on(store: &Bound<'_, PyAny>, embedder: Option<&Bound<'_, PyAny>>, max_searched: usize) -> PyResult<Self> {
        Ok(Self::of(StoredLong::new(store_of(store)?, options(embedder, max_searched)?)))
    }

    #[staticmethod]
    #[pyo3(signature = (*, embedder = None, max_searched = 100_000))]
    fn in_memory(embedder: Option<&Bound<'_, PyAny>>, max_searched: usize) -> PyResult<Self> {
        Ok(Self::of(StoredLong::in_memory(options(embedder, max_searched)?)))
    }

    #[staticmethod]
    #[pyo3(signature = (dsn, *, embedder = None, dim = None, exact_below = Some(10_000), ef_search = 100,
        schema = "atomr_memory", connections = 8, migrate = true, connect_timeout = 5.0, call_timeout = 30.0,
        index_timeout = 3600.0, outage = 30.0, root_certificates = None))]
    #[allow(clippy::too_many_arguments)] // by keyword
    fn pgvector(
        py: Python<'_>,
        dsn: &str,
        embedder: Option<&Bound<'_, PyAny>>,
        dim: Option<usize>,
        exact_below: Option<usize>,
        ef_search: usize,
        schema: &str,
        connections: usize,
        migrate: bool,
        connect_timeout: f64,
        call_timeout: f64,
        index_timeout: f64,
        outage: f64,
        root_certificates: Option<PathBuf>,
    ) -> PyResult<Self> {
        let options = PgVectorOptions {
            embedder: embedder.map(embedder_of).transpose()?,
            dim,
            exact_below: exact_below.unwrap_or(usize::MAX),
            ef_search,
            schema: schema.to_owned(),
            migrate,
            connections,
            connect_timeout: seconds::duration("connect_timeout", connect_timeout)?,
            call_timeout: seconds::duration("call_timeout", call_timeout)?,
            index_timeout: seconds::duration("index_timeout", index_timeout)?,
            outage: seconds::duration("outage", outage)?,
            root_certificates,
        };
        let store = moment(py, PgVectorLong::connect(dsn, options))?.map_err(Fault)?;
        Ok(Self { store: Arc::new(store.clone()), ours: Some(Ours::PgVector(store)) })
    }

    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestLongStore::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self { store: Arc::new(PythonLongStore(guest)), ours: None })
    }

    #[pyo3(signature = (namespace, key, value, *, embedding = None, ttl = None))]
    fn put(
        &self,
        py: Python<'_>,
        namespace: Parts,
        key: String,
        value: &Bound<'_, PyAny>,
        embedding: Option<Vec<f32>>,
        ttl: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let (store, item) = (Arc::clone(&self.store), new_item(namespace, key, value, embedding, ttl)?);
        awaitable(py, move |scope| async move { store.put(item, &call_ctx(&scope, None)).await.map_err(Fault) })
    }

    #[pyo3(signature = (namespace, key, value, *, embedding = None, ttl = None))]
    fn update(
        &self,
        py: Python<'_>,
        namespace: Parts,
        key: String,
        value: &Bound<'_, PyAny>,
        embedding: Option<Vec<f32>>,
        ttl: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let (store, item) = (Arc::clone(&self.store), new_item(namespace, key, value, embedding, ttl)?);
        awaitable(py, move |scope| async move {
            store.update(item, &call_ctx(&scope, None)).await.map(|old| old.map(StoreItem)).map_err(Fault)
        })
    }

    fn get(&self, py: Python<'_>, namespace: Parts, key: String) -> PyResult<Py<PyAny>> {
        let store = Arc::clone(&self.store);
        awaitable(py, move |scope| async move {
            let found = store.get(&namespace.0, &key, &call_ctx(&scope, None)).await;
            found.map(|found| found.map(StoreItem)).map_err(Fault)
        })
    }

    fn delete(&self, py: Python<'_>, namespace: Parts, key: String) -> PyResult<Py<PyAny>> {
        let store = Arc::clone(&self.store);
        awaitable(py, move |scope| async move {
            store.delete(&namespace.0, &key, &call_ctx(&scope, None)).await.map_err(Fault)
        })
    }

    #[pyo3(signature = (namespace, query = None, *, embedding = None, by = "best", filter = None, top_k = 10))]
    #[allow(clippy::too_many_arguments)] // by keyword
    fn search(
        &self,
        py: Python<'_>,
        namespace: Parts,
        query: Option<String>,
        embedding: Option<Vec<f32>>,
        by: &str,
        filter: Option<&Bound<'_, PyAny>>,
        top_k: usize,
    ) -> PyResult<Py<PyAny>> {
        let filter = filter.map(filter_of).transpose()?;
        let search = Search { namespace: namespace.0, query, embedding, by: self::by(by)?, filter, top_k };
        let store = Arc::clone(&self.store);
        awaitable(py, move |scope| async move {
            let found = store.search(&search, &call_ctx(&scope, None)).await.map_err(Fault)?;
            Ok::<_, Fault<memory::MemoryError>>(found.into_iter().map(StoreItem).collect::<Vec<_>>())
        })
    }

    #[pyo3(signature = (prefix = None, *, limit = 100))]
    fn list_namespaces(&self, py: Python<'_>, prefix: Option<Parts>, limit: usize) -> PyResult<Py<PyAny>> {
        let store = Arc::clone(&self.store);
        let prefix = prefix.map(|prefix| prefix.0).unwrap_or_default();
        awaitable(py, move |scope| async move {
            let found = store.list_namespaces(&prefix, limit, &call_ctx(&scope, None)).await.map_err(Fault)?;
            Ok::<_, Fault<memory::MemoryError>>(atomr_agents_py_bridge::Reply::new(move |py| {
                let tuples = found.iter().map(|namespace| tuple(py, namespace)).collect::<PyResult<Vec<_>>>()?;
                pyo3::IntoPyObjectExt::into_py_any(tuples, py)
            }))
        })
    }

    #[pyo3(signature = (namespace = None))]
    fn purge(&self, py: Python<'_>, namespace: Option<Parts>) -> PyResult<Py<PyAny>> {
        let store = self.ours("purge")?;
        let namespace = namespace.map(|namespace| namespace.0).unwrap_or_default();
        awaitable(py, move |_scope| async move {
            match store {
                Ours::Stored(store) => store.purge(&namespace).await,
                Ours::PgVector(store) => store.purge(&namespace).await,
            }
            .map_err(Fault)
        })
    }

    #[pyo3(signature = (namespace = None))]
    fn reindex(&self, py: Python<'_>, namespace: Option<Parts>) -> PyResult<Py<PyAny>> {
        let store = self.ours("reindex")?;
        let namespace = namespace.map(|namespace| namespace.0).unwrap_or_default();
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            match store {
                Ours::Stored(store) => store.reindex(&namespace, &ctx).await,
                Ours::PgVector(store) => store.reindex(&namespace, &ctx).await,
            }
            .map_err(Fault)
        })
    }

    fn build_index(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let Some(Ours::PgVector(store)) = self.ours.clone() else {
            return Err(config("build_index is for LongStore.pgvector: no other store has an index to be built"));
        };
        awaitable(py, move |_scope| async move { store.build_index().await.map_err(Fault) })
    }

    fn namespaced(&self, prefix: Parts) -> Self {
        Self { store: Arc::new(NamespacedLong::new(Arc::clone(&self.store), prefix.0)), ours: None }
    }

    fn __repr__(&self) -> String {
        format!("<LongStore {:?}>", self.store)
    }
}

/// A filter: the dict that says it.
fn filter_of(given: &Bound<'_, PyAny>) -> PyResult<Filter> {
    let filter: Filter =
        serde_json::from_value(json::from_py(given)?).map_err(|error| config(format!("this is no filter: {error}")))?;
    filter.check().map_err(crate::errors::from_kinded)?;
    Ok(filter)
}
