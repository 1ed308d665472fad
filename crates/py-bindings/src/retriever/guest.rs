//! Retrievers, rerankers and compressors written in Python.

use std::sync::Arc;

use atomr_agents_core::{self as core, CallCtx};
use atomr_agents_py_bridge::{
    Args, BadShape, GuestCallable, GuestError, GuestOptions, GuestRetriever, Scope, arguments, json,
};
use atomr_agents_retriever::{Compressor, Query, Reranker, RetrieveError, Retriever};
use futures_util::future::BoxFuture;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::document::Document;
use crate::errors::guest_kind;
use crate::strategy::shape;

#[derive(Debug)]
pub(super) struct PythonRetriever(GuestRetriever);

impl PythonRetriever {
    pub(super) fn wrap(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        Ok(Self(GuestRetriever::wrap(target.py(), key, target, GuestOptions::default())?))
    }
}

/// What it gave: documents, or dicts that say some.
fn documents(value: &Bound<'_, PyAny>) -> Result<Vec<core::Document>, BadShape> {
    let wrong = || shape("a list of Document", value);
    let document = |one: Bound<'_, PyAny>| match one.cast::<Document>() {
        Ok(document) => Ok(document.get().whole().clone()),
        Err(_) => serde_json::from_value(json::from_py(&one).map_err(|_| wrong())?).map_err(|_| wrong()),
    };
    value.cast::<PyList>().map_err(|_| wrong())?.iter().map(document).collect()
}

/// What a guest answered, unless the call was cancelled.
async fn answered<T>(
    what: impl FnOnce() -> String,
    running: impl Future<Output = Result<T, GuestError>>,
    ctx: &CallCtx,
) -> Result<T, RetrieveError> {
    let answer = tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => Err(GuestError::Cancelled),
        answer = running => answer,
    };
    answer.map_err(|error| RetrieveError::Failed {
        what: what(),
        kind: guest_kind(&error),
        message: error.to_string(),
        source: Some(Arc::new(error)),
    })
}

/// A function of a query and documents that scores each of them.
#[derive(Debug)]
pub(super) struct PythonReranker(GuestCallable);

impl PythonReranker {
    pub(super) fn wrap(target: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(GuestCallable::wrap(target.py(), "reranker", target, GuestOptions::default())?))
    }
}

impl Reranker for PythonReranker {
    fn rerank<'a>(
        &'a self,
        query: &'a str,
        documents: &'a [core::Document],
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<f64>, RetrieveError>> {
        let (query, told, count) = (query.to_owned(), documents.to_vec(), documents.len());
        let args = arguments(move |py: Python<'_>| {
            let told = PyList::new(py, told.into_iter().map(Document))?;
            Ok(Args::positional((query, told).into_pyobject(py)?))
        });
        let scores = move |value: &Bound<'_, PyAny>| {
            let wanted = || shape(&format!("a list of {count} finite numbers"), value);
            let scores: Vec<f64> = value.extract().map_err(|_| wanted())?;
            let right = scores.len() == count && scores.iter().all(|score| score.is_finite());
            if right { Ok(scores) } else { Err(wanted()) }
        };
        let running = self.0.invoke(args, scores, ctx.get::<Scope>().as_deref());
        Box::pin(answered(|| "the reranker".into(), running, ctx))
    }
}

/// A function of a query and a text that gives what of it belongs to the query.
#[derive(Debug)]
pub(super) struct PythonCompressor(GuestCallable);

impl PythonCompressor {
    pub(super) fn wrap(target: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(GuestCallable::wrap(target.py(), "compressor", target, GuestOptions::default())?))
    }
}

impl Compressor for PythonCompressor {
    fn compress<'a>(
        &'a self,
        query: &'a str,
        text: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<String>, RetrieveError>> {
        let (query, text) = (query.to_owned(), text.to_owned());
        let args = arguments(move |py: Python<'_>| Ok(Args::positional((query, text).into_pyobject(py)?)));
        let kept = |value: &Bound<'_, PyAny>| {
            value.extract::<Option<String>>().map_err(|_| shape("a str, or None where nothing belongs", value))
        };
        let running = self.0.invoke(args, kept, ctx.get::<Scope>().as_deref());
        let answer = answered(|| "the compressor".into(), running, ctx);
        Box::pin(async move { Ok(answer.await?.filter(|kept| !kept.trim().is_empty())) })
    }
}

impl Retriever for PythonRetriever {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<core::Document>, RetrieveError>> {
        let text = query.text.clone();
        let args = arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, [text])?)));
        let running = self.0.retrieve(args, documents, ctx.get::<Scope>().as_deref());
        Box::pin(async move {
            query.check()?;
            let mut found = answered(|| format!("the retriever {:?}", self.0.key()), running, ctx).await?;
            // It was told the words alone; the rest of the query is kept here.
            if let Some(filter) = &query.filter {
                found.retain(|document| filter.matches(&document.metadata));
            }
            found.truncate(query.top_k.unwrap_or(usize::MAX));
            // Without scores, its order is what it says.
            if found.iter().any(|document| document.score.is_none()) {
                for (at, document) in found.iter_mut().enumerate() {
                    document.score = Some(1.0 / (at + 1) as f64);
                }
            }
            Ok(found)
        })
    }
}
