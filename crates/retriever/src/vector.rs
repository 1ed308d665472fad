//! Documents found by the vectors of their texts.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use atomr_agents_core::{CallCtx, Document};
use atomr_agents_embed::{AnnIndex, EmbedError, Embedder, Vectors};
use futures_util::future::BoxFuture;
use futures_util::lock::Mutex;

use crate::lexical::{Table, distinct};
use crate::{DocumentIndex, Query, RetrieveError, Retriever};

/// Documents whose vectors lie in any [`AnnIndex`], found by the vector of the query.
///
/// The index must be empty when it is given here, and be written by nobody else. A document comes back with the metadata
/// that it came with; its score is the index's.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_embed::{IndexOptions, MockEmbedder, VectorIndex};
/// use atomr_agents_retriever::{Retriever, VectorRetriever};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_retriever::RetrieveError> {
/// let index = VectorIndex::new(256, IndexOptions::default())?;
/// let documents = VectorRetriever::new(Arc::new(MockEmbedder::new(256)?), Arc::new(index));
/// let ctx = CallCtx::new();
/// documents.add(vec![Document::new("a", "rain in Oslo"), Document::new("b", "a tax form")], &ctx).await?;
/// assert_eq!(documents.retrieve(&"Oslo rain".into(), &ctx).await?[0].id, "a");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct VectorRetriever {
    embedder: Arc<dyn Embedder>,
    index: Arc<dyn AnnIndex>,
    top_k: usize,
    table: RwLock<Table>,
    /// Held by the one that writes: keys are given out in order.
    writing: Mutex<()>,
}

/// The vectors of documents, all of them or an error.
pub(crate) async fn embedded(
    embedder: &dyn Embedder,
    documents: &[Document],
    ctx: &CallCtx,
) -> Result<Vectors, RetrieveError> {
    let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
    Ok(embedder.embed(&texts, ctx).await?)
}

/// The vector of a query.
pub(crate) async fn of_query(embedder: &dyn Embedder, text: &str, ctx: &CallCtx) -> Result<Vec<f32>, RetrieveError> {
    let vectors = embedder.embed(&[text], ctx).await?;
    match vectors.row(0) {
        Some(row) => Ok(row.to_vec()),
        None => Err(EmbedError::invalid("embedder", "gave no vector for a text").into()),
    }
}

/// Checks that there is one vector of the right dimension for each document.
pub(crate) fn matched(documents: usize, vectors: Option<&Vectors>, dim: usize) -> Result<&Vectors, RetrieveError> {
    let wrong = |found| {
        let problem = "one for each document is needed".into();
        RetrieveError::Vectors { documents, found, problem }
    };
    let vectors = vectors.ok_or_else(|| wrong(0))?;
    if vectors.len() != documents {
        return Err(wrong(vectors.len()));
    }
    if vectors.dim() != dim {
        return Err(EmbedError::Dimension { expected: dim, found: vectors.dim() }.into());
    }
    Ok(vectors)
}

/// The rows of these places.
pub(crate) fn rows(vectors: &Vectors, places: impl Iterator<Item = usize>) -> Result<Vectors, RetrieveError> {
    let values = places.filter_map(|at| vectors.row(at)).flatten().copied().collect();
    Ok(Vectors::new(vectors.dim(), values)?)
}

impl VectorRetriever {
    /// Documents by the vectors of `embedder` in the empty `index`; five are found where a query does not say.
    #[must_use]
    pub fn new(embedder: Arc<dyn Embedder>, index: Arc<dyn AnnIndex>) -> Self {
        Self { embedder, index, top_k: 5, table: RwLock::new(Table::default()), writing: Mutex::new(()) }
    }

    /// How many documents are found where a query does not say.
    #[must_use]
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Makes the vectors of documents, and keeps them; one whose id is there is replaced.
    ///
    /// # Errors
    /// [`RetrieveError`]; then none is kept.
    pub async fn add(&self, documents: Vec<Document>, ctx: &CallCtx) -> Result<(), RetrieveError> {
        let vectors = embedded(&*self.embedder, &documents, ctx).await?;
        self.upsert(documents, Some(vectors), ctx).await
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers the documents anew where most numbers are those of documents that are gone.
    fn settle(&self) {
        let mut table = self.write();
        if table.gone() > table.live() + 256 {
            let old: Vec<u32> = table.iter().map(|(slot, _)| slot).collect();
            table.renumber(&old);
        }
    }
}

impl Retriever for VectorRetriever {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        Box::pin(async move {
            query.check()?;
            let k = query.top_k.unwrap_or(self.top_k);
            if k == 0 || self.read().live() == 0 {
                return Ok(Vec::new());
            }
            let vector = of_query(&*self.embedder, &query.text, ctx).await?;
            // A write that was given up may have left vectors of no document.
            let clean = self.index.count().await? == self.read().live();
            let fits = |key: u64| {
                let table = self.read();
                table.slot_of(key).and_then(|slot| table.get(slot)).is_some_and(|document| query.fits(document))
            };
            let every = clean && query.filter.is_none();
            let found = self.index.search(&vector, k, (!every).then_some(&fits)).await?;
            let table = self.read();
            let document = |key| table.get(table.slot_of(key)?).cloned();
            let mut found: Vec<Document> =
                found.into_iter().filter_map(|near| Some(document(near.id)?.scored(f64::from(near.score)))).collect();
            by_score(&mut found);
            Ok(found)
        })
    }
}

/// The best first, equals by id.
pub(crate) fn by_score(found: &mut [Document]) {
    let score = |document: &Document| document.score.unwrap_or(f64::NEG_INFINITY);
    found.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| a.id.cmp(&b.id)));
}

impl DocumentIndex for VectorRetriever {
    fn dim(&self) -> Option<usize> {
        Some(self.index.dim())
    }

    fn upsert<'a>(
        &'a self,
        documents: Vec<Document>,
        vectors: Option<Vectors>,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), RetrieveError>> {
        Box::pin(async move {
            let count = documents.len();
            let documents = distinct(documents)?;
            if count == 0 && vectors.is_none() {
                return Ok(());
            }
            let vectors = matched(count, vectors.as_ref(), self.index.dim())?;
            let vectors = rows(vectors, documents.iter().map(|(at, _)| *at))?;
            let _writing = self.writing.lock().await;
            let first = self.read().next_key();
            let keys: Vec<u64> = (first..).take(documents.len()).collect();
            self.index.upsert(&keys, &vectors).await?;
            // Here it is written; what follows only tidies up.
            let replaced = {
                let mut table = self.write();
                let mut replaced = Vec::new();
                for (_, mut document) in documents {
                    document.score = None;
                    replaced.extend(table.take(&document.id).and_then(|(slot, _)| table.key_of(slot)));
                    table.push(document);
                }
                replaced
            };
            self.settle();
            self.index.remove(&replaced).await?;
            Ok(())
        })
    }

    fn remove<'a>(&'a self, ids: &'a [String], _ctx: &'a CallCtx) -> BoxFuture<'a, Result<usize, RetrieveError>> {
        Box::pin(async move {
            let _writing = self.writing.lock().await;
            let removed: Vec<u64> = {
                let mut table = self.write();
                let mut take = |id: &String| table.take(id).and_then(|(slot, _)| table.key_of(slot));
                ids.iter().filter_map(&mut take).collect()
            };
            self.settle();
            self.index.remove(&removed).await?;
            Ok(removed.len())
        })
    }

    fn count(&self) -> BoxFuture<'_, Result<usize, RetrieveError>> {
        Box::pin(async move { Ok(self.read().live()) })
    }

    fn get<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Document>>, RetrieveError>> {
        Box::pin(async move {
            let table = self.read();
            Ok(ids.iter().map(|id| table.find(id).and_then(|slot| table.get(slot)).cloned()).collect())
        })
    }

    fn ids_of<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Vec<String>, RetrieveError>> {
        Box::pin(async move { Ok(self.read().ids_of(source)) })
    }
}
