//! `_native.retriever`: what finds documents, and what keeps them.

mod filter;
mod guest;
mod index;

use std::sync::Arc;

use atomr_agents_core as core;
use atomr_agents_embed::Vectors;
use atomr_agents_inference as inference;
use atomr_agents_py_bridge::awaitable;
use atomr_agents_retriever::{self as retriever, Field, FieldType, Query, Retriever};
use pyo3::prelude::*;

use self::filter::filter_of;
pub(crate) use self::index::NativeIndex;
use crate::callable::Callable;
use crate::context::call_ctx;
use crate::document::Document;
use crate::embed::NativeEmbedder;
use crate::errors::{Fault, config, from_kinded};
use crate::inference::InferenceClient;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<filter::Filter>()?;
    module.add_class::<NativeRetriever>()?;
    module.add_class::<NativeIndex>()?;
    module.add_class::<NativeCompressor>()?;
    module.add_class::<NativeReranker>()?;
    module.add_function(wrap_pyfunction!(mmr, module)?)?;
    module.add_function(wrap_pyfunction!(fuse, module)?)
}

/// A query as Python says it.
fn query(text: String, filter: Option<&Bound<'_, PyAny>>, top_k: Option<usize>) -> PyResult<Query> {
    Ok(Query { text, filter: filter.map(filter_of).transpose()?, top_k })
}

/// What was found, for Python.
fn shown(found: Vec<core::Document>) -> Vec<Document> {
    found.into_iter().map(Document::new).collect()
}

#[pyclass(frozen, module = "atomr_agents._native.retriever")]
pub(crate) struct NativeRetriever(pub(crate) Arc<dyn Retriever>);

impl NativeRetriever {
    fn of(retriever: impl Retriever) -> Self {
        Self(Arc::new(retriever))
    }

    fn base(&self) -> Arc<dyn Retriever> {
        Arc::clone(&self.0)
    }
}

fn client_of(client: &InferenceClient) -> Arc<dyn inference::InferenceClient> {
    Arc::clone(&client.0)
}

#[pymethods]
impl NativeRetriever {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        guest::PythonRetriever::wrap(target, key).map(Self::of)
    }

    #[staticmethod]
    fn ensemble(members: Vec<(f64, Py<Self>)>, top_k: usize, candidates: usize) -> PyResult<Self> {
        let members = members.iter().map(|(weight, member)| (*weight, member.get().base())).collect();
        let ensemble = retriever::Ensemble::new(members).map_err(from_kinded)?;
        Ok(Self::of(ensemble.top_k(top_k).candidates(candidates)))
    }

    #[staticmethod]
    fn multi_query(base: &Self, client: &InferenceClient, model: &str, queries: usize, top_k: usize) -> PyResult<Self> {
        let multi = retriever::MultiQuery::new(base.base(), client_of(client), model);
        Ok(Self::of(multi.queries(queries).map_err(from_kinded)?.top_k(top_k)))
    }

    #[staticmethod]
    fn fixed_queries(base: &Self, queries: Vec<String>, top_k: usize) -> Self {
        Self::of(retriever::MultiQuery::fixed(base.base(), queries).top_k(top_k))
    }

    #[staticmethod]
    fn compressed(base: &Self, compressor: &NativeCompressor) -> Self {
        Self::of(retriever::ContextualCompression::new(base.base(), Arc::clone(&compressor.0)))
    }

    #[staticmethod]
    fn parents(pieces: &Self, whole: &NativeIndex, key: Option<String>, top_k: usize, candidates: usize) -> Self {
        let parents = retriever::ParentDocument::new(pieces.base(), whole.shared()).top_k(top_k).candidates(candidates);
        Self::of(match key {
            Some(key) => parents.key(key),
            None => parents,
        })
    }

    #[staticmethod]
    fn self_query(
        base: &Self,
        client: &InferenceClient,
        model: &str,
        fields: Vec<(String, String, String)>,
    ) -> PyResult<Self> {
        let field = |(key, kind, description): (String, String, String)| {
            let kind = match kind.as_str() {
                "text" => FieldType::Text,
                "number" => FieldType::Number,
                "boolean" => FieldType::Boolean,
                "list" => FieldType::List,
                _ => return Err(config(format!("the field {key:?} is text, number, boolean or list, not {kind:?}"))),
            };
            Ok(Field::new(key, kind, description))
        };
        let fields = fields.into_iter().map(field).collect::<PyResult<_>>()?;
        retriever::SelfQuery::new(base.base(), client_of(client), model, fields).map(Self::of).map_err(from_kinded)
    }

    #[staticmethod]
    fn embeddings_filter(base: &Self, embedder: &NativeEmbedder, threshold: f64, rescore: bool) -> PyResult<Self> {
        let filter = retriever::EmbeddingsFilter::new(base.base(), Arc::clone(&embedder.0), threshold);
        Ok(Self::of(filter.map_err(from_kinded)?.rescore(rescore)))
    }

    #[staticmethod]
    fn time_weighted(base: &Self, decay: f64, key: &str, now: Option<i64>, k: (usize, usize)) -> PyResult<Self> {
        let weighted = retriever::TimeWeighted::new(base.base(), decay).map_err(from_kinded)?;
        let weighted = weighted.key(key).top_k(k.0).candidates(k.1);
        Ok(Self::of(match now {
            Some(ms) => weighted.at(ms),
            None => weighted,
        }))
    }

    #[staticmethod]
    fn mmr(base: &Self, embedder: &NativeEmbedder, lambda_: f64, top_k: usize, candidates: usize) -> PyResult<Self> {
        let mmr = retriever::Mmr::new(base.base(), Arc::clone(&embedder.0), lambda_).map_err(from_kinded)?;
        Ok(Self::of(mmr.top_k(top_k).candidates(candidates)))
    }

    #[staticmethod]
    fn reranked(base: &Self, reranker: &NativeReranker, top_k: usize, candidates: usize) -> Self {
        let reranked = retriever::RerankedRetriever::new(base.base(), Arc::clone(&reranker.0));
        Self::of(reranked.top_k(top_k).candidates(candidates))
    }

    fn retrieve(
        &self,
        py: Python<'_>,
        text: String,
        filter: Option<&Bound<'_, PyAny>>,
        top_k: Option<usize>,
    ) -> PyResult<Py<PyAny>> {
        let (retriever, query) = (self.base(), query(text, filter, top_k)?);
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            let _end = ctx.cancel.clone().drop_guard();
            retriever.retrieve(&query, &ctx).await.map(shown).map_err(Fault)
        })
    }

    fn step(&self, label: String) -> Callable {
        Callable(Arc::new(retriever::step(label, self.base())))
    }
}

#[pyclass(frozen, module = "atomr_agents._native.retriever")]
pub(crate) struct NativeCompressor(Arc<dyn retriever::Compressor>);

#[pymethods]
impl NativeCompressor {
    #[staticmethod]
    fn sentences(language: Option<&str>) -> PyResult<Self> {
        let compressor = match language {
            None => retriever::SentenceCompressor::default(),
            Some(_) => retriever::SentenceCompressor::new(index::words(language, true, Vec::new())?),
        };
        Ok(Self(Arc::new(compressor)))
    }

    /// A function of a query and a text.
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Arc::new(guest::PythonCompressor::wrap(target)?)))
    }

    #[staticmethod]
    fn model(client: &InferenceClient, model: &str) -> Self {
        Self(Arc::new(retriever::ModelCompressor::new(client_of(client), model)))
    }
}

#[pyclass(frozen, module = "atomr_agents._native.retriever")]
pub(crate) struct NativeReranker(Arc<dyn retriever::Reranker>);

#[pymethods]
impl NativeReranker {
    #[staticmethod]
    fn embeddings(embedder: &NativeEmbedder) -> Self {
        Self(Arc::new(retriever::EmbeddingReranker(Arc::clone(&embedder.0))))
    }

    /// A function of a query and documents.
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Arc::new(guest::PythonReranker::wrap(target)?)))
    }

    #[staticmethod]
    fn model(client: &InferenceClient, model: &str) -> Self {
        Self(Arc::new(retriever::ModelReranker::new(client_of(client), model)))
    }
}

#[pyfunction]
fn mmr(
    py: Python<'_>,
    query: Vec<f32>,
    vectors: Vec<Vec<f32>>,
    lambda_: f64,
    top_k: usize,
) -> PyResult<Vec<(usize, f64)>> {
    if !(0.0..=1.0).contains(&lambda_) {
        return Err(config(format!("lambda_ must lie between 0 and 1, not {lambda_}")));
    }
    if let Some(other) = vectors.iter().find(|vector| vector.len() != query.len()) {
        return Err(config(format!("the query has {} values, a vector {}", query.len(), other.len())));
    }
    py.detach(|| {
        let vectors = Vectors::new(query.len(), vectors.concat())?;
        Ok(retriever::mmr(&query, &vectors, lambda_, top_k))
    })
    .map_err(|error: atomr_agents_embed::EmbedError| from_kinded(error))
}

#[pyfunction]
fn fuse(py: Python<'_>, lists: Vec<(f64, Vec<Py<Document>>)>, k: f64) -> Vec<Document> {
    py.detach(|| {
        let list = |(weight, list): &(f64, Vec<Py<Document>>)| {
            (*weight, list.iter().map(|document| document.get().whole().clone()).collect())
        };
        shown(retriever::fuse(lists.iter().map(list).collect(), k))
    })
}
