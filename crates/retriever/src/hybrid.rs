//! Documents found by their words and by their vectors, in one index.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use atomr_agents_core::{CallCtx, Document};
use atomr_agents_embed::{Embedder, IndexOptions, VectorIndex, Vectors};
use futures_util::future::BoxFuture;

use crate::lexical::{Corpus, Params, distinct};
use crate::persist::{self, Loaded};
use crate::vector::{embedded, matched, of_query, rows};
use crate::{Bm25Options, DocumentIndex, Query, RRF_K, RetrieveError, Retriever, fuse};

/// How a [`HybridIndex`] finds.
#[derive(Clone, Debug)]
pub struct HybridOptions {
    /// How words are found; `top_k` is that of the whole index.
    pub words: Bm25Options,
    /// How vectors are compared.
    pub vectors: IndexOptions,
    /// What the rank by words counts. 1 by default; with 0, words are not looked for.
    pub words_weight: f64,
    /// What the rank by vectors counts. 1 by default; with 0, vectors are not looked for, and the query gets none.
    pub vectors_weight: f64,
    /// How many documents of either kind take part, at least: 50 by default.
    pub candidates: usize,
}

impl Default for HybridOptions {
    fn default() -> Self {
        Self {
            words: Bm25Options { top_k: 10, ..Bm25Options::default() },
            vectors: IndexOptions::default(),
            words_weight: 1.0,
            vectors_weight: 1.0,
            candidates: 50,
        }
    }
}

/// Documents with an inverted index of their words and an index of their vectors, in memory. What is found by either is
/// fused by rank ([`fuse`]); the filter of a query is part of both searches.
///
/// A call changes words and vectors together or nothing, and a search sees both of one moment. [`HybridIndex::save`] writes all
/// of it to a folder, where a reader finds the old one or the new one.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_embed::MockEmbedder;
/// use atomr_agents_retriever::{HybridIndex, HybridOptions, Retriever};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_retriever::RetrieveError> {
/// let index = HybridIndex::new(Arc::new(MockEmbedder::new(256)?), 256, HybridOptions::default())?;
/// let ctx = CallCtx::new();
/// index.add(vec![Document::new("a", "rain in Oslo"), Document::new("b", "a tax form")], &ctx).await?;
/// let found = index.retrieve(&"Oslo".into(), &ctx).await?;
/// assert_eq!(found[0].id, "a");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct HybridIndex {
    embedder: Arc<dyn Embedder>,
    options: HybridOptions,
    /// Words and documents; whoever holds it may look at the vectors, too.
    corpus: RwLock<Corpus>,
    vectors: VectorIndex,
}

impl HybridIndex {
    /// An empty index for the vectors of `embedder`, which have `dim` values.
    ///
    /// # Errors
    /// [`RetrieveError::Invalid`] for options that make no sense; [`RetrieveError::Embed`] for a dimension that is not the
    /// embedder's.
    pub fn new(embedder: Arc<dyn Embedder>, dim: usize, options: HybridOptions) -> Result<Self, RetrieveError> {
        let params = Params { k1: options.words.k1, b: options.words.b }.check()?;
        for (option, weight) in [("words_weight", options.words_weight), ("vectors_weight", options.vectors_weight)] {
            weighs(option, weight)?;
        }
        if let Some(expected) = embedder.dim().filter(|expected| *expected != dim) {
            return Err(atomr_agents_embed::EmbedError::Dimension { expected, found: dim }.into());
        }
        let corpus = RwLock::new(Corpus::new(params, Arc::clone(&options.words.analyzer)));
        Ok(Self { embedder, vectors: VectorIndex::new(dim, options.vectors)?, options, corpus })
    }

    /// Makes the vectors of documents, and keeps them; one whose id is there is replaced.
    ///
    /// # Errors
    /// [`RetrieveError`]; then none is kept.
    pub async fn add(&self, documents: Vec<Document>, ctx: &CallCtx) -> Result<(), RetrieveError> {
        let vectors = embedded(&*self.embedder, &documents, ctx).await?;
        self.keep(documents, &vectors)?;
        self.settle(ctx).await
    }

    /// Keeps documents with their vectors.
    ///
    /// # Errors
    /// [`RetrieveError`]; then none is kept.
    pub fn insert(&self, documents: Vec<Document>, vectors: &Vectors) -> Result<(), RetrieveError> {
        self.keep(documents, vectors)?;
        Ok(self.vectors.settle_now()?)
    }

    /// Keeps documents, and leaves to others what is due afterwards.
    fn keep(&self, documents: Vec<Document>, vectors: &Vectors) -> Result<(), RetrieveError> {
        let count = documents.len();
        let documents = distinct(documents)?;
        let vectors = matched(count, Some(vectors), self.vectors.dim())?;
        let vectors = rows(vectors, documents.iter().map(|(at, _)| *at))?;
        let mut corpus = self.write();
        let keys: Vec<u64> = (corpus.next_key()..).take(documents.len()).collect();
        self.vectors.stage(&keys, &vectors)?;
        let replaced = corpus.upsert(documents.into_iter().map(|(_, document)| document));
        self.vectors.forget(&replaced);
        Ok(())
    }

    /// Brings the vectors into order on a thread that may block. What was kept is kept, also where nobody waits for this.
    async fn settle(&self, ctx: &CallCtx) -> Result<(), RetrieveError> {
        ctx.cancel.run_until_cancelled(self.vectors.settle()).await.unwrap_or(Ok(()))?;
        Ok(())
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

    /// Finds with a vector that is there already; what [`Retriever::retrieve`] does after it has made one. Without a vector,
    /// by words alone.
    ///
    /// # Errors
    /// [`RetrieveError`].
    pub fn search(&self, query: &Query, vector: Option<&[f32]>) -> Result<Vec<Document>, RetrieveError> {
        query.check()?;
        let k = query.top_k.unwrap_or(self.options.words.top_k);
        if k == 0 {
            return Ok(Vec::new());
        }
        let depth = k.max(self.options.candidates);
        let corpus = self.read();
        let mut lists = Vec::new();
        let document = |(key, score): (u64, f64)| corpus.by_key(key).map(|document| document.clone().scored(score));
        if self.options.words_weight > 0.0 {
            let found = corpus.search(&query.text, depth, query.filter.as_ref());
            lists.push((self.options.words_weight, found.into_iter().filter_map(document).collect()));
        }
        if let Some(vector) = vector {
            let fits = |key: u64| corpus.by_key(key).is_some_and(|document| query.fits(document));
            let allowed: Option<atomr_agents_embed::Allowed<'_>> = query.filter.is_some().then_some(&fits);
            let near = self.vectors.find(vector, depth, allowed)?;
            let found = near.into_iter().map(|near| (near.id, f64::from(near.score)));
            let mut found: Vec<Document> = found.filter_map(document).collect();
            crate::vector::by_score(&mut found);
            lists.push((self.options.vectors_weight, found));
        }
        let mut found = fuse(lists, RRF_K);
        found.truncate(k);
        Ok(found)
    }

    /// Writes the whole index to a folder, in place of the one that may be there: at once, so that whoever reads it, and a
    /// crash at any moment, finds the old one or the new one. What a crash leaves is removed by the next save.
    ///
    /// # Errors
    /// [`RetrieveError::Io`], [`RetrieveError::Embed`].
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), RetrieveError> {
        let corpus = self.read();
        persist::save(folder.as_ref(), self.embedder.model(), &corpus, &self.vectors)
    }

    /// Reads what [`HybridIndex::save`] wrote. Vectors and their graph are read where they lie; the words are indexed anew.
    ///
    /// # Errors
    /// [`RetrieveError::Damaged`] or [`RetrieveError::Embed`] for a file that is not whole, [`RetrieveError::Version`] for one
    /// of a newer version, [`RetrieveError::Invalid`] where embedder, analyzer, metric, `k1` or `b` is not that of the index.
    pub fn load(
        folder: impl AsRef<Path>,
        embedder: Arc<dyn Embedder>,
        options: HybridOptions,
    ) -> Result<Self, RetrieveError> {
        let loaded = persist::load(folder.as_ref())?;
        let Loaded { words, vectors } = loaded;
        words.expect("embedder", words.model.as_deref().unwrap_or_default(), embedder.model())?;
        words.expect("metric", &vectors.metric().to_string(), &options.vectors.metric.to_string())?;
        words.expect_options(&options.words)?;
        let index = Self::new(embedder, vectors.dim(), options)?;
        index.write().restore(words.documents);
        Ok(Self { vectors, ..index })
    }

    // As in `Bm25`: what runs under the lock is ours, and leaves nothing half done that a later call could trip over.
    fn read(&self) -> RwLockReadGuard<'_, Corpus> {
        self.corpus.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Corpus> {
        self.corpus.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks a weight.
pub(crate) fn weighs(option: &'static str, weight: f64) -> Result<(), RetrieveError> {
    if weight.is_finite() && weight >= 0.0 {
        return Ok(());
    }
    Err(RetrieveError::invalid(option, format!("must be a number from 0, not {weight}")))
}

impl Retriever for HybridIndex {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        Box::pin(async move {
            query.check()?;
            if query.top_k == Some(0) || self.is_empty() {
                return Ok(Vec::new());
            }
            let vector = match self.options.vectors_weight > 0.0 {
                true => Some(of_query(&*self.embedder, &query.text, ctx).await?),
                false => None,
            };
            self.search(query, vector.as_deref())
        })
    }
}

impl DocumentIndex for HybridIndex {
    fn dim(&self) -> Option<usize> {
        Some(self.vectors.dim())
    }

    fn upsert<'a>(
        &'a self,
        documents: Vec<Document>,
        vectors: Option<Vectors>,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), RetrieveError>> {
        Box::pin(async move {
            match vectors {
                Some(vectors) => {
                    self.keep(documents, &vectors)?;
                    self.settle(ctx).await
                }
                None if documents.is_empty() => Ok(()),
                None => matched(documents.len(), None, self.vectors.dim()).map(drop),
            }
        })
    }

    fn remove<'a>(&'a self, ids: &'a [String], ctx: &'a CallCtx) -> BoxFuture<'a, Result<usize, RetrieveError>> {
        Box::pin(async move {
            let removed = {
                let mut corpus = self.write();
                let removed = corpus.remove(ids.iter().map(String::as_str));
                self.vectors.forget(&removed)
            };
            self.settle(ctx).await?;
            Ok(removed)
        })
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
