//! Answers kept in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::{CacheError, CacheKey, CachedTurn, LlmCache, Question};

/// What an entry takes besides its answer.
const AROUND_ENTRY: usize = 256;

/// How much an [`InMemoryLlmCache`] keeps, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Answers; 1,000 without another word.
    pub max_entries: usize,
    /// Bytes of all answers together, as [`CachedTurn::size`] counts them and 256 for each; 64 MiB without another word.
    pub max_bytes: usize,
    /// How old an answer may become; an hour without another word, `None` for ever.
    pub ttl: Option<Duration>,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { max_entries: 1_000, max_bytes: 64 << 20, ttl: Some(Duration::from_secs(3_600)) }
    }
}

/// Counts of what a cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Answers that are kept now, some perhaps too old.
    pub entries: usize,
    /// The bytes they take.
    pub bytes: usize,
    /// Answers found.
    pub hits: u64,
    /// Answers asked for and not found, or too old.
    pub misses: u64,
    /// Answers dropped because there was no room or they were too old.
    pub evictions: u64,
}

/// Keeps answers in this process. When there is no room, that which was not asked for longest goes. Clones share one memory.
///
/// ```
/// use atomr_agents_cache::{CacheLimits, InMemoryLlmCache};
///
/// let cache = InMemoryLlmCache::new(CacheLimits { max_entries: 100, ..CacheLimits::default() });
/// assert_eq!(cache.stats().entries, 0);
/// ```
#[derive(Clone)]
pub struct InMemoryLlmCache {
    limits: CacheLimits,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    entries: HashMap<CacheKey, Entry>,
    /// By when each was used last; the first goes first.
    order: BTreeMap<u64, CacheKey>,
    clock: u64,
    stats: CacheStats,
}

struct Entry {
    turn: Arc<CachedTurn>,
    bytes: usize,
    born: Instant,
    used: u64,
}

/// Answers may hold what no log should; they are not printed.
impl fmt::Debug for InMemoryLlmCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryLlmCache")
            .field("limits", &self.limits)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl InMemoryLlmCache {
    /// A cache that keeps so much.
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        Self { limits, memory: Arc::default() }
    }

    /// What it holds and what it did so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.lock().stats
    }

    /// Forgets every answer. The counts of hits and misses stay.
    pub fn clear(&self) {
        let mut memory = self.lock();
        memory.entries.clear();
        memory.order.clear();
        (memory.stats.entries, memory.stats.bytes) = (0, 0);
    }

    /// Whether there is an answer, perhaps one that is too old.
    pub(crate) fn contains(&self, key: CacheKey) -> bool {
        self.lock().entries.contains_key(&key)
    }

    /// The answer under a key, as [`LlmCache::get`] gives it, without waiting.
    #[must_use]
    pub fn find(&self, key: CacheKey) -> Option<Arc<CachedTurn>> {
        let mut memory = self.lock();
        let too_old = |entry: &Entry| self.limits.ttl.is_some_and(|ttl| entry.born.elapsed() >= ttl);
        if memory.entries.get(&key).is_some_and(too_old) {
            memory.remove(key);
            memory.stats.evictions += 1;
        }
        let found = memory.touch(key);
        match found {
            Some(_) => memory.stats.hits += 1,
            None => memory.stats.misses += 1,
        }
        found
    }

    fn keep(&self, key: CacheKey, turn: Arc<CachedTurn>) {
        let bytes = turn.size() + AROUND_ENTRY;
        let mut memory = self.lock();
        memory.remove(key);
        if bytes > self.limits.max_bytes || self.limits.max_entries == 0 {
            return;
        }
        while memory.entries.len() >= self.limits.max_entries || memory.stats.bytes + bytes > self.limits.max_bytes {
            let Some((_, oldest)) = memory.order.first_key_value() else { return };
            let oldest = *oldest;
            memory.remove(oldest);
            memory.stats.evictions += 1;
        }
        memory.clock += 1;
        let used = memory.clock;
        memory.order.insert(used, key);
        memory.entries.insert(key, Entry { turn, bytes, born: Instant::now(), used });
        memory.stats.entries = memory.entries.len();
        memory.stats.bytes += bytes;
    }

    /// No code that holds this lock can leave the memory half changed: nothing in it panics.
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn touch(&mut self, key: CacheKey) -> Option<Arc<CachedTurn>> {
        let entry = self.entries.get_mut(&key)?;
        self.clock += 1;
        self.order.remove(&entry.used);
        entry.used = self.clock;
        self.order.insert(self.clock, key);
        Some(Arc::clone(&entry.turn))
    }

    fn remove(&mut self, key: CacheKey) {
        if let Some(entry) = self.entries.remove(&key) {
            self.order.remove(&entry.used);
            self.stats.entries = self.entries.len();
            self.stats.bytes -= entry.bytes;
        }
    }
}

impl Default for InMemoryLlmCache {
    fn default() -> Self {
        Self::new(CacheLimits::default())
    }
}

impl LlmCache for InMemoryLlmCache {
    fn name(&self) -> &str {
        "memory"
    }

    fn get<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Option<Arc<CachedTurn>>, CacheError>> {
        Box::pin(std::future::ready(Ok(self.find(question.key()))))
    }

    fn put<'a>(&'a self, question: &'a Question, turn: Arc<CachedTurn>) -> BoxFuture<'a, Result<(), CacheError>> {
        self.keep(question.key(), turn);
        Box::pin(std::future::ready(Ok(())))
    }

    fn max_turn_bytes(&self) -> usize {
        self.limits.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, turn};
    use atomr_agents_core::{Message, ModelRequest};
    use proptest::prelude::*;

    fn key(number: usize) -> CacheKey {
        CacheKey::of("t", "", "p", &ModelRequest::new("m", vec![Message::user(number.to_string())])).unwrap()
    }

    fn limited(max_entries: usize, max_bytes: usize) -> InMemoryLlmCache {
        InMemoryLlmCache::new(CacheLimits { max_entries, max_bytes, ttl: None })
    }

    #[tokio::test]
    async fn it_conforms() {
        conformance::check(&InMemoryLlmCache::default()).await.unwrap();
    }

    #[test]
    fn the_one_unused_for_longest_goes_first() {
        let cache = limited(2, 1 << 20);
        cache.keep(key(1), turn("one"));
        cache.keep(key(2), turn("two"));
        assert!(cache.find(key(1)).is_some());
        cache.keep(key(3), turn("three"));
        assert!(cache.find(key(2)).is_none() && cache.find(key(1)).is_some() && cache.find(key(3)).is_some());
        let stats = cache.stats();
        assert_eq!((stats.entries, stats.hits, stats.misses, stats.evictions), (2, 3, 1, 1));
        cache.clear();
        assert_eq!((cache.stats().entries, cache.stats().bytes, cache.find(key(1))), (0, 0, None));
    }

    #[test]
    fn what_does_not_fit_at_all_drives_nothing_out() {
        let cache = limited(10, 1_000);
        cache.keep(key(1), turn("small"));
        cache.keep(key(2), turn(&"x".repeat(1_000)));
        assert!(cache.find(key(1)).is_some() && cache.find(key(2)).is_none());
        limited(0, 1_000).keep(key(1), turn("small"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_is_not_found_however_often_it_is_asked_for() {
        let cache = InMemoryLlmCache::new(CacheLimits { ttl: Some(Duration::from_secs(10)), ..CacheLimits::default() });
        cache.keep(key(1), turn("one"));
        for _ in 0..9 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(cache.find(key(1)).is_some());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(cache.find(key(1)).is_none());
        assert_eq!((cache.stats().entries, cache.stats().bytes, cache.stats().evictions), (0, 0, 1));
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_its_limits_and_finds_what_it_holds(
            steps in prop::collection::vec((0usize..40, 0usize..600, prop::bool::ANY), 0..200),
        ) {
            let cache = limited(8, 4_000);
            for (number, length, put) in steps {
                if put {
                    cache.keep(key(number), turn(&"x".repeat(length)));
                    prop_assert!(cache.find(key(number)).is_some());
                } else {
                    let _ = cache.find(key(number));
                }
                let memory = cache.lock();
                prop_assert!(memory.entries.len() <= 8 && memory.stats.bytes <= 4_000);
                prop_assert_eq!(memory.entries.len(), memory.order.len());
                prop_assert_eq!(memory.entries.values().map(|entry| entry.bytes).sum::<usize>(), memory.stats.bytes);
            }
        }
    }
}
