//! Retrievers written in Python.

use std::sync::Arc;

use atomr_agents_core::{self as core, CallCtx};
use atomr_agents_py_bridge::{Args, BadShape, GuestError, GuestOptions, GuestRetriever, Scope, arguments, json};
use atomr_agents_retriever::{Query, RetrieveError, Retriever};
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
            let answer = tokio::select! {
                biased;
                () = ctx.cancel.cancelled() => Err(GuestError::Cancelled),
                answer = running => answer,
            };
            let mut found = answer.map_err(|error| RetrieveError::Failed {
                what: format!("the retriever {:?}", self.0.key()),
                kind: guest_kind(&error),
                message: error.to_string(),
                source: Some(Arc::new(error)),
            })?;
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
