//! Answers kept in a store: in a file, or in a database that machines share.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atomr_agents_state::{Batch, Change, Durability, Entry, Expect, Key, Store, StoreError};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{CacheError, CacheKey, CachedTurn, LlmCache, Question};

/// The space of the answers, and of the log that says in which order they came.
const SPACE: &str = "llm-cache";
const ORDER: &str = "order";
/// After how many new answers one looks whether some must go.
const TRIM_EVERY: u32 = 64;
/// How many are looked at at once.
const PAGE: usize = 256;

/// How much a [`StoreLlmCache`] keeps, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredLimits {
    /// Answers; 100,000 without another word. The oldest go first. All who share the store should say the same; up to 64 more
    /// are there for each of them until one of them looks.
    pub max_entries: u64,
    /// Bytes of one answer as JSON; 1 MiB without another word. A larger one is not kept.
    pub max_turn_bytes: usize,
    /// How old an answer may become; 24 hours without another word, `None` for ever.
    pub ttl: Option<Duration>,
}

impl Default for StoredLimits {
    fn default() -> Self {
        Self { max_entries: 100_000, max_turn_bytes: 1 << 20, ttl: Some(Duration::from_secs(86_400)) }
    }
}

/// Keeps answers in any [`Store`]: they outlive the process, and whoever shares the store shares them.
///
/// An answer is written without waiting for the disk ([`Durability::Relaxed`]): a power failure may take the last ones.
/// Ages are told by the clock of the machine that looks.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_cache::{CachedClient, StoreLlmCache, StoredLimits};
/// use atomr_agents_state::MemoryStore;
/// use atomr_agents_testkit::ScriptedModel;
///
/// let cache = StoreLlmCache::new(Arc::new(MemoryStore::new()), StoredLimits::default());
/// let client = CachedClient::new(Arc::new(ScriptedModel::new().text("Rain.")), Arc::new(cache));
/// ```
#[derive(Clone)]
pub struct StoreLlmCache {
    store: Arc<dyn Store>,
    limits: StoredLimits,
    /// Answers written since it was looked whether some must go.
    written: Arc<AtomicU32>,
}

impl fmt::Debug for StoreLlmCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreLlmCache")
            .field("store", &self.store.kind())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// An answer as it is stored.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    /// When, in milliseconds since the Unix epoch.
    born_ms: u64,
    turn: T,
}

/// An entry of the log: which answer, and when it was written.
#[derive(Serialize, Deserialize)]
struct Came {
    key: String,
    born_ms: u64,
}

impl StoreLlmCache {
    /// A cache in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, limits: StoredLimits) -> Self {
        Self { store, limits, written: Arc::default() }
    }

    fn failed(&self, error: StoreError) -> CacheError {
        let (cache, message) = (self.name().to_owned(), error.to_string());
        CacheError::Store { cache, message, source: Some(Arc::new(error)) }
    }

    fn damaged(&self, error: &serde_json::Error) -> CacheError {
        CacheError::Damaged { cache: self.name().to_owned(), message: error.to_string() }
    }

    fn place(&self, name: &str) -> Result<Key, CacheError> {
        Key::new(SPACE, name).map_err(|error| self.failed(error))
    }

    fn too_old(&self, born_ms: u64) -> bool {
        self.limits.ttl.is_some_and(|ttl| u128::from(now_ms().saturating_sub(born_ms)) >= ttl.as_millis())
    }

    async fn find(&self, key: CacheKey) -> Result<Option<Arc<CachedTurn>>, CacheError> {
        let place = self.place(&key.to_string())?;
        let Some(record) = self.store.get(&place).await.map_err(|error| self.failed(error))? else { return Ok(None) };
        let kept: Kept<CachedTurn> = serde_json::from_slice(&record.value).map_err(|error| self.damaged(&error))?;
        Ok((!self.too_old(kept.born_ms)).then(|| Arc::new(kept.turn)))
    }

    async fn keep(&self, key: CacheKey, turn: &CachedTurn) -> Result<(), CacheError> {
        let (key, born_ms) = (key.to_string(), now_ms());
        let value = serde_json::to_vec(&Kept { born_ms, turn }).map_err(|error| self.damaged(&error))?;
        if value.len() > self.limits.max_turn_bytes || self.limits.max_entries == 0 {
            return Ok(());
        }
        let place = self.place(&key)?;
        let came = serde_json::to_vec(&Came { key, born_ms }).map_err(|error| self.damaged(&error))?;
        let batch = Batch::new().durability(Durability::Relaxed).put(&place, value, Expect::Any).append(
            &self.place(ORDER)?,
            None,
            Bytes::from(came),
        );
        self.store.commit(batch).await.map_err(|error| self.failed(error))?;
        if self.written.fetch_add(1, Ordering::Relaxed) % TRIM_EVERY == TRIM_EVERY - 1 {
            self.trim().await?;
        }
        Ok(())
    }

    /// Removes the answers that are too old or too many. Whoever looks at the same time removes the same.
    ///
    /// # Errors
    /// [`CacheError::Store`] when the store fails.
    pub async fn trim(&self) -> Result<(), CacheError> {
        let order = self.place(ORDER)?;
        loop {
            let end = self.store.end(&order).await.map_err(|error| self.failed(error))?;
            let page = self.store.read(&order, 0, PAGE).await.map_err(|error| self.failed(error))?;
            let first_kept = end.saturating_sub(self.limits.max_entries);
            let goes = |entry: &Entry| {
                let came = serde_json::from_slice::<Came>(&entry.body).ok();
                let old = came.as_ref().is_none_or(|came| self.too_old(came.born_ms));
                (entry.at < first_kept || old).then_some((entry.at, came))
            };
            let gone: Vec<_> = page.iter().map_while(goes).collect();
            let Some((last, _)) = gone.last() else { return Ok(()) };
            let (whole, cut) = (gone.len() == PAGE, last + 1);
            let mut batch = Batch::new().durability(Durability::Relaxed);
            let mut seen = HashSet::new();
            for came in gone.into_iter().filter_map(|(_, came)| came) {
                // Written twice in one millisecond, it stands there twice.
                if seen.insert((came.key.clone(), came.born_ms)) {
                    batch = self.with_delete(batch, &came).await?;
                }
            }
            let batch = batch.with(Change::Cut { stream: order.clone(), before: cut });
            match self.store.commit(batch).await {
                Ok(()) => {}
                // One of them was written anew meanwhile; the next who looks finds it.
                Err(StoreError::Conflict { .. }) => return Ok(()),
                Err(error) => return Err(self.failed(error)),
            }
            if !whole {
                return Ok(());
            }
        }
    }

    /// With the removal of an answer, unless it was written anew since.
    async fn with_delete(&self, batch: Batch, came: &Came) -> Result<Batch, CacheError> {
        let Ok(place) = Key::new(SPACE, &came.key) else { return Ok(batch) };
        let record = self.store.get(&place).await.map_err(|error| self.failed(error))?;
        let same = |value: &[u8]| serde_json::from_slice::<Kept<serde::de::IgnoredAny>>(value).map(|kept| kept.born_ms);
        Ok(match record {
            Some(record) if same(&record.value).is_ok_and(|born_ms| born_ms == came.born_ms) => {
                batch.delete(&place, Expect::Version(record.version))
            }
            _ => batch,
        })
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl LlmCache for StoreLlmCache {
    fn name(&self) -> &str {
        self.store.kind()
    }

    fn get<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Option<Arc<CachedTurn>>, CacheError>> {
        Box::pin(self.find(question.key()))
    }

    fn put<'a>(&'a self, question: &'a Question, turn: Arc<CachedTurn>) -> BoxFuture<'a, Result<(), CacheError>> {
        Box::pin(async move { self.keep(question.key(), &turn).await })
    }

    fn max_turn_bytes(&self) -> usize {
        self.limits.max_turn_bytes
    }
}
