//! What keeps documents.

use std::path::PathBuf;
use std::sync::Arc;

use atomr_agents_core as core;
use atomr_agents_embed::{AnnIndex, IndexOptions};
use atomr_agents_py_bridge::{awaitable, detached};
use atomr_agents_retriever::{
    Analyzer, Bm25, Bm25Options, DocumentIndex, HybridIndex, HybridOptions, Language, Retriever, VectorRetriever, Words,
};
use futures_util::FutureExt as _;
use pyo3::prelude::*;

use super::{NativeRetriever, query, shown};
use crate::context::call_ctx;
use crate::document::Document;
use crate::embed::{NativeAnnIndex, NativeEmbedder};
use crate::errors::{Fault, config, from_kinded};

/// The words of a language: its stems, and perhaps not its most frequent words, nor these.
pub(super) fn words(language: Option<&str>, stop: bool, without: Vec<String>) -> PyResult<Arc<dyn Analyzer>> {
    let language = language.map(str::parse::<Language>).transpose().map_err(from_kinded)?;
    let words = match language {
        Some(language) if stop => Words::new().stem(language).without_stop_words(language),
        Some(language) => Words::new().stem(language),
        None => Words::new(),
    };
    Ok(Arc::new(words.without(without)))
}

#[derive(Clone)]
enum Which {
    Words(Arc<Bm25>),
    Vectors(Arc<VectorRetriever>),
    Both(Arc<HybridIndex>),
}

#[pyclass(frozen, module = "atomr_agents._native.retriever")]
pub(crate) struct NativeIndex(Which);

impl NativeIndex {
    /// The index, for what writes to it.
    pub(crate) fn shared(&self) -> Arc<dyn DocumentIndex> {
        match &self.0 {
            Which::Words(index) => Arc::clone(index) as Arc<dyn DocumentIndex>,
            Which::Vectors(index) => Arc::clone(index) as Arc<dyn DocumentIndex>,
            Which::Both(index) => Arc::clone(index) as Arc<dyn DocumentIndex>,
        }
    }

    /// What an index in this process answers at once.
    fn at_once<T>(answer: Option<Result<T, atomr_agents_retriever::RetrieveError>>) -> PyResult<T> {
        answer.ok_or_else(|| config("this index answers later"))?.map_err(from_kinded)
    }
}

/// Copies of documents; made without the lock.
fn copied(documents: &[Py<Document>]) -> Vec<core::Document> {
    documents.iter().map(|document| document.get().whole().clone()).collect()
}

/// How words are found.
#[derive(FromPyObject)]
struct WordOptions {
    top_k: usize,
    k1: f64,
    b: f64,
    language: Option<String>,
    stop_words: bool,
    without: Vec<String>,
}

impl WordOptions {
    fn read(self) -> PyResult<Bm25Options> {
        let Self { top_k, k1, b, language, stop_words, without } = self;
        Ok(Bm25Options { k1, b, top_k, analyzer: words(language.as_deref(), stop_words, without)? })
    }
}

/// How both are found.
#[derive(FromPyObject)]
struct BothOptions {
    words: WordOptions,
    metric: String,
    words_weight: f64,
    vectors_weight: f64,
    candidates: usize,
}

impl BothOptions {
    fn read(self) -> PyResult<HybridOptions> {
        let Self { words, metric, words_weight, vectors_weight, candidates } = self;
        let metric = metric.parse().map_err(|error: atomr_agents_embed::EmbedError| from_kinded(error))?;
        let vectors = IndexOptions { metric, ..IndexOptions::default() };
        Ok(HybridOptions { words: words.read()?, vectors, words_weight, vectors_weight, candidates })
    }
}

#[pymethods]
impl NativeIndex {
    #[staticmethod]
    fn words(options: WordOptions) -> PyResult<Self> {
        let index = Bm25::new(options.read()?).map_err(from_kinded)?;
        Ok(Self(Which::Words(Arc::new(index))))
    }

    #[staticmethod]
    fn load_words(py: Python<'_>, path: PathBuf, options: WordOptions) -> PyResult<Self> {
        let options = options.read()?;
        let index = detached(py, || Bm25::load(path, options))?;
        Ok(Self(Which::Words(Arc::new(index.map_err(from_kinded)?))))
    }

    #[staticmethod]
    fn vectors(embedder: &NativeEmbedder, index: &NativeAnnIndex, top_k: usize) -> Self {
        let index: Arc<dyn AnnIndex> = Arc::clone(&index.0);
        let vectors = VectorRetriever::new(Arc::clone(&embedder.0), index).top_k(top_k);
        Self(Which::Vectors(Arc::new(vectors)))
    }

    #[staticmethod]
    fn both(embedder: &NativeEmbedder, dim: usize, options: BothOptions) -> PyResult<Self> {
        let index = HybridIndex::new(Arc::clone(&embedder.0), dim, options.read()?).map_err(from_kinded)?;
        Ok(Self(Which::Both(Arc::new(index))))
    }

    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, embedder: &NativeEmbedder, options: BothOptions) -> PyResult<Self> {
        let (embedder, options) = (Arc::clone(&embedder.0), options.read()?);
        let index = detached(py, || HybridIndex::load(path, embedder, options))?;
        Ok(Self(Which::Both(Arc::new(index.map_err(from_kinded)?))))
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        match &self.0 {
            Which::Words(index) => detached(py, || index.save(path))?.map_err(from_kinded),
            Which::Both(index) => detached(py, || index.save(path))?.map_err(from_kinded),
            Which::Vectors(_) => Err(config("the index of the vectors is saved, not what finds in it")),
        }
    }

    /// The same as what finds.
    fn retriever(&self) -> NativeRetriever {
        NativeRetriever(match &self.0 {
            Which::Words(index) => Arc::clone(index) as Arc<dyn Retriever>,
            Which::Vectors(index) => Arc::clone(index) as Arc<dyn Retriever>,
            Which::Both(index) => Arc::clone(index) as Arc<dyn Retriever>,
        })
    }

    /// Makes vectors, where there are any, and keeps the documents.
    fn add(&self, py: Python<'_>, documents: Vec<Py<Document>>) -> PyResult<Py<PyAny>> {
        let index = self.0.clone();
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            let _end = ctx.cancel.clone().drop_guard();
            let documents = copied(&documents);
            let added = match &index {
                Which::Words(index) => index.add(documents),
                Which::Vectors(index) => index.add(documents, &ctx).await,
                Which::Both(index) => index.add(documents, &ctx).await,
            };
            added.map_err(Fault)
        })
    }

    fn add_now(&self, py: Python<'_>, documents: Vec<Py<Document>>) -> PyResult<()> {
        let Which::Words(index) = &self.0 else { return Err(config("vectors are made later")) };
        detached(py, || index.add(copied(&documents)))?.map_err(from_kinded)
    }

    fn search_now(
        &self,
        py: Python<'_>,
        text: String,
        filter: Option<&Bound<'_, PyAny>>,
        top_k: Option<usize>,
    ) -> PyResult<Vec<Document>> {
        let Which::Words(index) = &self.0 else { return Err(config("vectors are made later")) };
        let query = query(text, filter, top_k)?;
        detached(py, || index.search(&query))?.map(shown).map_err(from_kinded)
    }

    fn remove(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<Py<PyAny>> {
        let index = self.shared();
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            index.remove(&ids, &ctx).await.map_err(Fault)
        })
    }

    fn remove_now(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<usize> {
        let Which::Words(index) = &self.0 else { return Err(config("vectors are removed later")) };
        Ok(detached(py, || index.delete(ids.iter().map(String::as_str)))?)
    }

    fn count(&self, py: Python<'_>) -> PyResult<usize> {
        let index = self.shared();
        Self::at_once(py.detach(|| index.count().now_or_never()))
    }

    fn get(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<Vec<Option<Document>>> {
        let index = self.shared();
        let found = Self::at_once(py.detach(|| index.get(&ids).now_or_never()))?;
        Ok(found.into_iter().map(|one| one.map(Document::new)).collect())
    }

    fn ids_of(&self, py: Python<'_>, source: String) -> PyResult<Vec<String>> {
        let index = self.shared();
        Self::at_once(py.detach(|| index.ids_of(&source).now_or_never()))
    }
}
