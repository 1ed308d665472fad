//! Vectors that are kept, so that a text is embedded once.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::CallCtx;
use atomr_agents_embed::{EmbedError, Embedder, Vectors};
use atomr_agents_state::{Batch, Durability, Expect, Key, Store};
use futures_util::future::{BoxFuture, join_all};

use crate::IngestError;

/// Keeps vectors by key.
///
/// [`conformance::check_cache`](crate::conformance::check_cache) tests the rules.
pub trait KvCache: Debug + Send + Sync + 'static {
    /// The vector of each key; `None` for one that is not kept.
    ///
    /// # Errors
    /// [`IngestError`] where the cache does not work.
    fn get<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Vec<f32>>>, IngestError>>;

    /// Keeps each vector under its key; one that is there is replaced.
    ///
    /// # Errors
    /// [`IngestError`] where the cache does not work.
    fn put(&self, entries: Vec<(String, Vec<f32>)>) -> BoxFuture<'_, Result<(), IngestError>>;
}

/// Vectors in memory, up to a number of them; the one used longest ago goes first.
#[derive(Debug)]
pub struct MemoryKvCache {
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The vectors, and when each was used last.
    vectors: HashMap<String, (u64, Vec<f32>)>,
    /// The keys by when they were used.
    used: BTreeMap<u64, String>,
    clock: u64,
}

impl Kept {
    fn touch(&mut self, key: &str) -> Option<Vec<f32>> {
        self.clock += 1;
        let (when, vector) = self.vectors.get_mut(key)?;
        let before = std::mem::replace(when, self.clock);
        let vector = vector.clone();
        if let Some(key) = self.used.remove(&before) {
            self.used.insert(self.clock, key);
        }
        Some(vector)
    }

    fn keep(&mut self, key: String, vector: Vec<f32>, most: usize) {
        self.clock += 1;
        if let Some((before, _)) = self.vectors.insert(key.clone(), (self.clock, vector)) {
            self.used.remove(&before);
        }
        self.used.insert(self.clock, key);
        while self.vectors.len() > most {
            let Some((_, oldest)) = self.used.pop_first() else { break };
            self.vectors.remove(&oldest);
        }
    }
}

impl MemoryKvCache {
    /// A cache of at most so many vectors.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }
}

impl KvCache for MemoryKvCache {
    fn get<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Vec<f32>>>, IngestError>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = keys.iter().map(|key| kept.touch(key)).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn put(&self, entries: Vec<(String, Vec<f32>)>) -> BoxFuture<'_, Result<(), IngestError>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        entries.into_iter().for_each(|(key, vector)| kept.keep(key, vector, self.most));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Vectors in a store, where other processes find them, too.
#[derive(Clone, Debug)]
pub struct StoreKvCache {
    store: Arc<dyn Store>,
}

const SPACE: &str = "ingest-vector";
/// How many records are asked for at once.
const AT_ONCE: usize = 64;

impl StoreKvCache {
    /// A cache in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl KvCache for StoreKvCache {
    fn get<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Vec<f32>>>, IngestError>> {
        Box::pin(async move {
            let mut all = Vec::with_capacity(keys.len());
            for some in keys.chunks(AT_ONCE) {
                let found =
                    join_all(some.iter().map(|key| async { self.store.get(&Key::new(SPACE, key)?).await })).await;
                for record in found {
                    let vector = record?.map(|record| {
                        let four = record.value.chunks_exact(4);
                        four.filter_map(|four| four.try_into().ok().map(f32::from_le_bytes)).collect()
                    });
                    all.push(vector);
                }
            }
            Ok(all)
        })
    }

    fn put(&self, entries: Vec<(String, Vec<f32>)>) -> BoxFuture<'_, Result<(), IngestError>> {
        Box::pin(async move {
            // What is lost with the power is made again.
            let mut batch = Batch::new().durability(Durability::Relaxed);
            for (key, vector) in entries {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                batch = batch.put(&Key::new(SPACE, &key)?, bytes, Expect::Any);
            }
            Ok(self.store.commit(batch).await?)
        })
    }
}

/// An embedder that remembers: a text that it has seen, under the same model, is not embedded again. Equal texts of one
/// call are embedded once.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_embed::{Embedder, MockEmbedder};
/// use atomr_agents_ingest::{CachedEmbedder, MemoryKvCache};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let embedder = CachedEmbedder::new(Arc::new(MockEmbedder::new(8)?), Arc::new(MemoryKvCache::new(1_000)));
/// let first = embedder.embed(&["rain", "wind"], &CallCtx::new()).await?;
/// assert_eq!(embedder.embed(&["wind", "rain"], &CallCtx::new()).await?.row(1), first.row(0));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct CachedEmbedder {
    inner: Arc<dyn Embedder>,
    cache: Arc<dyn KvCache>,
}

/// The key of a text under a model.
fn key(model: &str, text: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    // The length keeps a model's name apart from the text.
    hasher.update(&(model.len() as u64).to_le_bytes()).update(model.as_bytes()).update(text.as_bytes());
    hasher.finalize().to_hex().to_string()
}

impl CachedEmbedder {
    /// An embedder before which a cache stands.
    #[must_use]
    pub fn new(inner: Arc<dyn Embedder>, cache: Arc<dyn KvCache>) -> Self {
        Self { inner, cache }
    }

    fn failed(&self, error: IngestError) -> EmbedError {
        let (what, kind, message) = ("the cache of vectors".to_owned(), error.kind(), error.to_string());
        EmbedError::Failed { what, kind, message, source: Some(Arc::new(error)) }
    }

    /// The vectors of texts that are not kept, as far as they could be made, and what stopped the rest.
    async fn made(
        &self,
        texts: &[&str],
        ctx: &CallCtx,
    ) -> Result<(Vec<usize>, Vectors, Option<EmbedError>), EmbedError> {
        match self.inner.embed(texts, ctx).await {
            Ok(vectors) if vectors.len() == texts.len() => Ok(((0..texts.len()).collect(), vectors, None)),
            Ok(vectors) => Err(EmbedError::Failed {
                what: self.inner.model().to_owned(),
                kind: atomr_agents_core::Kind::Protocol,
                message: format!("it gave {} vectors for {} texts", vectors.len(), texts.len()),
                source: None,
            }),
            Err(EmbedError::Partial { done, vectors, cause, .. }) => Ok((done, *vectors, Some(*cause))),
            Err(error) => Err(error),
        }
    }
}

impl Embedder for CachedEmbedder {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn dim(&self) -> Option<usize> {
        self.inner.dim()
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        Box::pin(async move {
            if texts.is_empty() {
                return self.inner.embed(texts, ctx).await;
            }
            let keys: Vec<String> = texts.iter().map(|text| key(self.model(), text)).collect();
            let mut found = self.cache.get(&keys).await.map_err(|error| self.failed(error))?;
            found.resize(texts.len(), None);
            // What was kept for another dimension is none of ours.
            let fits = |vector: &Vec<f32>| !vector.is_empty() && self.dim().is_none_or(|dim| dim == vector.len());
            let mut known: HashMap<&str, Vec<f32>> = HashMap::new();
            let mut missing: Vec<(&str, &str)> = Vec::new();
            let mut asked = std::collections::HashSet::new();
            for ((text, key), found) in texts.iter().zip(&keys).zip(found) {
                match found.filter(fits) {
                    Some(vector) => drop(known.insert(key, vector)),
                    None if asked.insert(key.as_str()) => missing.push((key, text)),
                    None => {}
                }
            }
            let mut cause = None;
            if !missing.is_empty() {
                let wanted: Vec<&str> = missing.iter().map(|(_, text)| *text).collect();
                match self.made(&wanted, ctx).await {
                    Ok((done, vectors, stopped)) => {
                        let rows =
                            done.iter().zip(vectors.rows()).filter_map(|(at, row)| Some((missing.get(*at)?.0, row)));
                        let rows: Vec<(&str, Vec<f32>)> = rows.map(|(key, row)| (key, row.to_vec())).collect();
                        let entries = rows.iter().map(|(key, row)| ((*key).to_owned(), row.clone())).collect();
                        self.cache.put(entries).await.map_err(|error| self.failed(error))?;
                        known.extend(rows);
                        cause = stopped;
                    }
                    // What is kept is done, whatever the embedder says.
                    Err(error) if !known.is_empty() => cause = Some(error),
                    Err(error) => return Err(error),
                }
            }
            let vectors: Vec<Option<&Vec<f32>>> = keys.iter().map(|key| known.get(key.as_str())).collect();
            let dim = vectors.iter().flatten().next().map_or(0, |vector| vector.len());
            let all = Vectors::new(dim, vectors.iter().flatten().flat_map(|vector| vector.iter().copied()).collect());
            let Some(cause) = cause else { return all };
            let done = vectors.iter().enumerate().filter(|(_, vector)| vector.is_some()).map(|(at, _)| at).collect();
            let (model, wanted) = (self.model().to_owned(), texts.len());
            Err(EmbedError::Partial { model, wanted, done, vectors: Box::new(all?), cause: Box::new(cause) })
        })
    }
}
