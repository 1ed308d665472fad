//! The pipeline, and the cache of vectors before an embedder.

use std::sync::Arc;

use atomr_agents_ingest::{
    CachedEmbedder, Checkpoint, IngestError, IngestPipeline, KvCache, MemoryKvCache, OnProgress, PipelineOptions,
    Progress, RecordManager, Report, StoreKvCache,
};
use atomr_agents_py_bridge::{
    Args, BadShape, GuestCallable, GuestKvCache, GuestOptions, Reply, Scope, arguments, awaitable, to_unit,
};
use futures_util::future::{BoxFuture, try_join_all};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::loaders::{NativeLoader, failure};
use super::waiting::{NativeAsyncSplitter, answer, failed};
use crate::context::call_ctx;
use crate::embed::NativeEmbedder;
use crate::errors::{Fault, from_kinded};
use crate::retriever::NativeIndex;
use crate::state::store_of;
use crate::strategy::shape;

/// A cache written in Python.
#[derive(Debug)]
struct PythonCache(GuestKvCache);

fn vector(value: &Bound<'_, PyAny>) -> Result<Option<Vec<f32>>, BadShape> {
    if value.is_none() {
        return Ok(None);
    }
    value.extract().map(Some).map_err(|_| shape("a list of numbers or None", value))
}

impl KvCache for PythonCache {
    fn get<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Vec<f32>>>, IngestError>> {
        let name = || format!("the cache {:?}", self.0.key());
        let calls: Vec<_> = keys
            .iter()
            .cloned()
            .map(|key| {
                let args = arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, [key])?)));
                self.0.get(args, vector, None)
            })
            .collect();
        Box::pin(async move { try_join_all(calls).await.map_err(|error| failed(name(), error)) })
    }

    fn put(&self, entries: Vec<(String, Vec<f32>)>) -> BoxFuture<'_, Result<(), IngestError>> {
        let name = || format!("the cache {:?}", self.0.key());
        let calls: Vec<_> = entries
            .into_iter()
            .map(|entry| {
                let args = arguments(move |py: Python<'_>| Ok(Args::positional(entry.into_pyobject(py)?)));
                self.0.put(args, to_unit, None)
            })
            .collect();
        Box::pin(async move { try_join_all(calls).await.map(|_| ()).map_err(|error| failed(name(), error)) })
    }
}

#[pyclass(frozen, from_py_object, module = "atomr_agents._native.ingest")]
#[derive(Clone)]
pub(crate) struct NativeKvCache(Arc<dyn KvCache>);

#[pymethods]
impl NativeKvCache {
    #[staticmethod]
    fn memory(most: usize) -> Self {
        Self(Arc::new(MemoryKvCache::new(most)))
    }

    #[staticmethod]
    fn store(store: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Arc::new(StoreKvCache::new(store_of(store)?))))
    }

    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestKvCache::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self(Arc::new(PythonCache(guest))))
    }

    fn get(&self, py: Python<'_>, key: String) -> PyResult<Py<PyAny>> {
        let cache = Arc::clone(&self.0);
        awaitable(py, move |_| async move {
            let found = cache.get(&[key]).await.map_err(Fault)?;
            Ok::<_, Fault<IngestError>>(found.into_iter().next().flatten())
        })
    }

    fn put(&self, py: Python<'_>, key: String, vector: Vec<f32>) -> PyResult<Py<PyAny>> {
        let cache = Arc::clone(&self.0);
        awaitable(py, move |_| async move { cache.put(vec![(key, vector)]).await.map_err(Fault) })
    }
}

/// An embedder before which a cache stands.
#[pyfunction]
pub(crate) fn cached(embedder: &NativeEmbedder, cache: &NativeKvCache) -> NativeEmbedder {
    NativeEmbedder(Arc::new(CachedEmbedder::new(Arc::clone(&embedder.0), Arc::clone(&cache.0))))
}

/// A checkpoint written in Python.
struct PythonCheckpoint(GuestCallable, Option<Scope>);

impl Checkpoint for PythonCheckpoint {
    fn keep<'a>(&'a self, ctx: &'a atomr_agents_core::CallCtx) -> BoxFuture<'a, Result<(), IngestError>> {
        let none = arguments(|py: Python<'_>| Ok(Args::positional(PyTuple::empty(py))));
        let running = self.0.invoke(none, to_unit, self.1.as_ref());
        Box::pin(async move { answer(running, ctx).await.map_err(|error| failed("the checkpoint".into(), error)) })
    }
}

/// Tells the function of the user's on the loop of its caller.
fn teller(function: GuestCallable, scope: Scope) -> OnProgress {
    Arc::new(move |now: Progress| {
        let args = arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, [numbers(py, now)?])?)));
        function.notify("invoke", args, Some(&scope));
    })
}

fn numbers(py: Python<'_>, now: Progress) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in [
        ("loaded", now.loaded),
        ("unchanged", now.unchanged),
        ("written", now.written),
        ("pieces", now.pieces),
        ("removed", now.removed),
        ("failed", now.failed),
    ] {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

/// What a pipeline is made of.
#[derive(FromPyObject)]
struct Parts {
    loader: NativeLoader,
    splitter: Option<NativeAsyncSplitter>,
    embedder: Option<Py<NativeEmbedder>>,
    index: Py<NativeIndex>,
    store: Option<Py<PyAny>>,
    namespace: String,
    version: String,
    checkpoint: Option<Py<PyAny>>,
    batch: usize,
    at_once: usize,
    max_waiting_bytes: usize,
    checkpoint_pieces: usize,
}

#[pyclass(frozen, module = "atomr_agents._native.ingest")]
pub(crate) struct NativePipeline {
    pipeline: IngestPipeline,
    checkpoint: Option<GuestCallable>,
}

#[pymethods]
impl NativePipeline {
    #[new]
    fn new(py: Python<'_>, parts: Parts) -> PyResult<Self> {
        let index = parts.index.get().shared();
        let mut pipeline = IngestPipeline::new(parts.loader.0, index).version(parts.version).options(PipelineOptions {
            batch: parts.batch,
            at_once: parts.at_once,
            max_waiting_bytes: parts.max_waiting_bytes,
            checkpoint_pieces: parts.checkpoint_pieces,
        });
        if let Some(splitter) = parts.splitter {
            pipeline = pipeline.splitter(splitter.0.0);
        }
        if let Some(embedder) = parts.embedder {
            pipeline = pipeline.embedder(Arc::clone(&embedder.get().0));
        }
        if let Some(store) = parts.store {
            let store = store_of(store.bind(py))?;
            pipeline = pipeline.records(RecordManager::new(store, &parts.namespace).map_err(from_kinded)?);
        }
        let wrap = |target: Py<PyAny>| GuestCallable::wrap(py, "checkpoint", target.bind(py), GuestOptions::default());
        Ok(Self { pipeline, checkpoint: parts.checkpoint.map(wrap).transpose()? })
    }

    /// What it did, in numbers, and for each document that failed its id and what is wrong.
    fn run(&self, py: Python<'_>, progress: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let wrap = |target| GuestCallable::wrap(py, "progress", target, GuestOptions::default());
        let progress = progress.map(wrap).transpose()?;
        let (pipeline, checkpoint) = (self.pipeline.clone(), self.checkpoint.clone());
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            let _end = ctx.cancel.clone().drop_guard();
            let pipeline = match checkpoint {
                Some(guest) => pipeline.checkpoint(Arc::new(PythonCheckpoint(guest, Some(scope.clone())))),
                None => pipeline,
            };
            let progress = progress.map(|function| teller(function, scope));
            let Report { progress, failures, .. } = pipeline.run(&ctx, progress).await.map_err(Fault)?;
            Ok::<_, Fault<IngestError>>(Reply::new(move |py| {
                let failures = failures.into_iter().map(|error| failure(py, error)).collect::<PyResult<Vec<_>>>()?;
                Ok((numbers(py, progress)?, failures).into_bound_py_any(py)?.unbind())
            }))
        })
    }
}
