//! Loaders.

use std::sync::Arc;

use atomr_agents_core::{self as core, CallCtx};
use atomr_agents_ingest::{Documents, IngestError, Loaded, Loader, load_all};
use atomr_agents_py_bridge::{GuestLoader, GuestOptions, Reply, Scope, awaitable, no_args};
use futures_util::StreamExt;
use futures_util::stream;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use super::waiting::{answer, failed};
use crate::context::call_ctx;
use crate::errors::{Fault, from_kinded};

/// A loader written in Python.
#[derive(Debug)]
struct PythonLoader(GuestLoader);

impl Loader for PythonLoader {
    fn load(&self, ctx: &CallCtx) -> Documents {
        let scope = ctx.get::<Scope>();
        let running = self.0.load(no_args(), super::documents, scope.as_deref());
        let name = format!("the loader {:?}", self.0.key());
        let ctx = ctx.clone();
        let all = async move {
            match answer(running, &ctx).await {
                Ok(documents) => documents.into_iter().map(Ok).collect(),
                Err(_) if ctx.cancel.is_cancelled() => vec![Err(IngestError::Cancelled)],
                Err(error) => vec![Err(failed(name, error))],
            }
        };
        stream::once(all).flat_map(stream::iter).boxed()
    }
}

#[pyclass(frozen, from_py_object, module = "atomr_agents._native.ingest")]
#[derive(Clone)]
pub(crate) struct NativeLoader(pub(crate) Arc<dyn Loader>);

#[pymethods]
impl NativeLoader {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestLoader::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self(Arc::new(PythonLoader(guest))))
    }

    #[staticmethod]
    fn documents(documents: Vec<Py<crate::document::Document>>) -> Self {
        let documents: Vec<core::Document> = documents.iter().map(|document| document.get().whole().clone()).collect();
        Self(Arc::new(documents))
    }

    #[staticmethod]
    fn several(loaders: Vec<Self>) -> Self {
        let loaders: Vec<Arc<dyn Loader>> = loaders.into_iter().map(|loader| loader.0).collect();
        Self(Arc::new(loaders))
    }

    /// The documents, and for each that could not be loaded its id and what is wrong.
    fn load(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let loader = Arc::clone(&self.0);
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            let _end = ctx.cancel.clone().drop_guard();
            let Loaded { documents, errors } = load_all(&*loader, &ctx).await;
            Ok::<_, Fault<IngestError>>(Reply::new(move |py| {
                let errors = errors.into_iter().map(|error| failure(py, error)).collect::<PyResult<Vec<_>>>()?;
                Ok((super::listed(py, documents)?, errors).into_bound_py_any(py)?.unbind())
            }))
        })
    }
}

/// The id of a document and the exception for it.
pub(super) fn failure(py: Python<'_>, error: IngestError) -> PyResult<(Option<String>, Bound<'_, PyAny>)> {
    let id = error.id().map(str::to_owned);
    Ok((id, from_kinded(error).into_value(py).into_bound_py_any(py)?))
}
