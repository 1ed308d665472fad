//! Splitters that wait for somebody: for an embedder, or for code of the user's.

use std::sync::Arc;

use atomr_agents_core::{self as core, CallCtx};
use atomr_agents_ingest::{AsyncSplitter, Breakpoint, IngestError, Semantic};
use atomr_agents_py_bridge::{Args, GuestError, GuestOptions, GuestSplitter, Reply, Scope, arguments, awaitable};
use futures_util::future::BoxFuture;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::context::call_ctx;
use crate::document::Document;
use crate::errors::{Fault, from_kinded, guest_kind};

/// A splitter to share.
#[derive(Clone, Debug)]
pub(crate) struct Shared(pub(crate) Arc<dyn AsyncSplitter>);

/// What the failure of a guest is to who called it.
pub(super) fn failed(what: String, error: GuestError) -> IngestError {
    let (kind, message) = (guest_kind(&error), error.to_string());
    IngestError::Failed { what, kind, message, source: Some(Arc::new(error)) }
}

/// Waits for a guest until the call is cancelled.
pub(super) async fn answer<T>(
    running: impl Future<Output = Result<T, GuestError>>,
    ctx: &CallCtx,
) -> Result<T, GuestError> {
    tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => Err(GuestError::Cancelled),
        answer = running => answer,
    }
}

/// A splitter written in Python.
#[derive(Debug)]
struct PythonSplitter(GuestSplitter);

impl AsyncSplitter for PythonSplitter {
    fn split<'a>(
        &'a self,
        document: &'a core::Document,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<core::Document>, IngestError>> {
        let scope = ctx.get::<Scope>();
        let document = Document::new(document.clone());
        let args =
            arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, [Bound::new(py, document)?])?)));
        let running = self.0.split(args, super::documents, scope.as_deref());
        let name = || format!("the splitter {:?}", self.0.key());
        Box::pin(async move { answer(running, ctx).await.map_err(|error| failed(name(), error)) })
    }
}

#[pyclass(frozen, from_py_object, module = "atomr_agents._native.ingest")]
#[derive(Clone)]
pub(crate) struct NativeAsyncSplitter(pub(crate) Shared);

#[pymethods]
impl NativeAsyncSplitter {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestSplitter::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self(Shared(Arc::new(PythonSplitter(guest)))))
    }

    /// By an embedder; a threshold of cosines, else a percentile of distances.
    #[staticmethod]
    fn semantic(
        embedder: &crate::embed::NativeEmbedder,
        threshold: Option<f32>,
        percentile: f32,
        max_chars: usize,
        batch: usize,
    ) -> PyResult<Self> {
        let breakpoint = threshold.map_or(Breakpoint::Percentile(percentile), Breakpoint::Threshold);
        let builder = Semantic::new(Arc::clone(&embedder.0)).breakpoint(breakpoint).max_chars(max_chars).batch(batch);
        builder.build().map(|splitter| Self(Shared(Arc::new(splitter)))).map_err(from_kinded)
    }

    fn split(&self, py: Python<'_>, document: &Document) -> PyResult<Py<PyAny>> {
        let (splitter, document) = (self.0.clone(), document.whole().clone());
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            let _end = ctx.cancel.clone().drop_guard();
            let pieces = splitter.0.split(&document, &ctx).await.map_err(Fault)?;
            Ok::<_, Fault<IngestError>>(Reply::new(move |py| Ok(super::listed(py, pieces)?.into_any().unbind())))
        })
    }
}
