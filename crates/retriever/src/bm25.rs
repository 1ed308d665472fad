//! Documents found by their words.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use atomr_agents_core::{CallCtx, Document};
use atomr_agents_embed::Vectors;
use futures_util::future::BoxFuture;

use crate::lexical::{Corpus, Params, distinct};
use crate::persist;
use crate::{Analyzer, DocumentIndex, Query, RetrieveError, Retriever, Words};

/// How a [`Bm25`] scores, and what it takes for a word.
#[derive(Clone, Debug)]
pub struct Bm25Options {
    /// How much it counts that a word stands again: 0 not at all, more the larger it is. 1.5 by default.
    pub k1: f64,
    /// How much long documents are held against what stands in them: 0 not at all, 1 in proportion. 0.75 by default.
    pub b: f64,
    /// How many documents are found where the query does not say; 5 by default.
    pub top_k: usize,
    /// What makes terms of texts; [`Words`] by default.
    pub analyzer: Arc<dyn Analyzer>,
}

impl Default for Bm25Options {
    fn default() -> Self {
        Self { k1: 1.5, b: 0.75, top_k: 5, analyzer: Arc::new(Words::new()) }
    }
}

/// Documents in an inverted index in memory, found by BM25.
///
/// The score of a document is the sum, over the words of the query, of
/// `ln(1 + (N - n + 0.5) / (n + 0.5)) · f / (f + k1 · (1 - b + b · length / mean))`: `N` documents, `n` of them with the word,
/// which stands `f` times in this one; lengths count words. That is Lucene's form: without the constant factor `k1 + 1`. A word
/// that stands twice in a query counts twice. What was replaced or removed is out of `N`, `n` and the mean at once.
///
/// Adding, replacing and removing take time in proportion to the document; searches run beside each other. A word that
/// stands more than 65,535 times in a document counts as often.
///
/// ```
/// use atomr_agents_core::Document;
/// use atomr_agents_retriever::{Bm25, Bm25Options};
///
/// let index = Bm25::new(Bm25Options::default())?;
/// index.add(vec![Document::new("a", "Rain in Oslo"), Document::new("b", "Wind in Bergen, wind in Oslo")])?;
/// let found = index.search(&"wind oslo".into())?;
/// assert_eq!(found[0].id, "b");
/// assert_eq!(index.delete(["b"]), 1);
/// assert!(index.search(&"wind".into())?.is_empty());
/// # Ok::<(), atomr_agents_retriever::RetrieveError>(())
/// ```
#[derive(Debug)]
pub struct Bm25 {
    top_k: usize,
    corpus: RwLock<Corpus>,
}

impl Bm25 {
    /// An empty index.
    ///
    /// # Errors
    /// [`RetrieveError::Invalid`] for a `k1` below 0 or a `b` outside of 0 to 1.
    pub fn new(options: Bm25Options) -> Result<Self, RetrieveError> {
        let params = Params { k1: options.k1, b: options.b }.check()?;
        Ok(Self { top_k: options.top_k, corpus: RwLock::new(Corpus::new(params, options.analyzer)) })
    }

    /// Keeps documents; one whose id is there is replaced.
    ///
    /// # Errors
    /// [`RetrieveError::Document`] for one without an id; then none is kept.
    pub fn add(&self, documents: Vec<Document>) -> Result<(), RetrieveError> {
        let documents = distinct(documents)?;
        self.write().upsert(documents.into_iter().map(|(_, document)| document));
        Ok(())
    }

    /// Forgets documents; answers how many were there.
    pub fn delete<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> usize {
        self.write().remove(ids).len()
    }

    /// How many documents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The documents that fit best. One without a word of the query is not found; equal scores are in the order of the ids.
    ///
    /// # Errors
    /// [`RetrieveError::Filter`].
    pub fn search(&self, query: &Query) -> Result<Vec<Document>, RetrieveError> {
        query.check()?;
        let corpus = self.read();
        let found = corpus.search(&query.text, query.top_k.unwrap_or(self.top_k), query.filter.as_ref());
        let document = |(key, score)| corpus.by_key(key).map(|document| document.clone().scored(score));
        Ok(found.into_iter().filter_map(document).collect())
    }

    /// Writes the index to a file; one that is there is replaced when the new one is whole. Searches go on meanwhile.
    ///
    /// # Errors
    /// [`RetrieveError::Io`]; then the file is what it was.
    ///
    /// ```
    /// use atomr_agents_core::Document;
    /// use atomr_agents_retriever::{Bm25, Bm25Options};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("words");
    /// let index = Bm25::new(Bm25Options::default())?;
    /// index.add(vec![Document::new("a", "Rain in Oslo")])?;
    /// index.save(&path)?;
    /// assert_eq!(Bm25::load(&path, Bm25Options::default())?.search(&"oslo".into())?[0].id, "a");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), RetrieveError> {
        persist::save_words(path.as_ref(), &self.read())
    }

    /// Reads what [`Bm25::save`] wrote; the words are indexed anew.
    ///
    /// # Errors
    /// [`RetrieveError::Io`], [`RetrieveError::Damaged`] for a file that is not whole or something else,
    /// [`RetrieveError::Version`] for one of a newer version, [`RetrieveError::Invalid`] where analyzer, `k1` or `b` is not
    /// that of the index.
    pub fn load(path: impl AsRef<Path>, options: Bm25Options) -> Result<Self, RetrieveError> {
        let loaded = persist::load_words(path.as_ref())?;
        loaded.expect_options(&options)?;
        let index = Self::new(options)?;
        index.write().restore(loaded.documents);
        Ok(index)
    }

    // No code that is not ours runs under the lock but the analyzer; if that panicked, at most its document is incomplete.
    fn read(&self) -> RwLockReadGuard<'_, Corpus> {
        self.corpus.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Corpus> {
        self.corpus.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Retriever for Bm25 {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        Box::pin(async move { self.search(query) })
    }
}

impl DocumentIndex for Bm25 {
    fn dim(&self) -> Option<usize> {
        None
    }

    fn upsert<'a>(
        &'a self,
        documents: Vec<Document>,
        vectors: Option<Vectors>,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), RetrieveError>> {
        Box::pin(async move {
            if let Some(vectors) = vectors {
                let problem = "an index of words takes none".into();
                return Err(RetrieveError::Vectors { documents: documents.len(), found: vectors.len(), problem });
            }
            self.add(documents)
        })
    }

    fn remove<'a>(&'a self, ids: &'a [String], _ctx: &'a CallCtx) -> BoxFuture<'a, Result<usize, RetrieveError>> {
        Box::pin(async move { Ok(self.delete(ids.iter().map(String::as_str))) })
    }

    fn count(&self) -> BoxFuture<'_, Result<usize, RetrieveError>> {
        Box::pin(async move { Ok(self.len()) })
    }

    fn get<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Document>>, RetrieveError>> {
        Box::pin(async move {
            let corpus = self.read();
            Ok(ids.iter().map(|id| corpus.get(id).cloned()).collect())
        })
    }

    fn ids_of<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Vec<String>, RetrieveError>> {
        Box::pin(async move { Ok(self.read().ids_of(source)) })
    }
}
