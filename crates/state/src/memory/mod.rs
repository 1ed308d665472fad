//! The store that ends with its process.

#[cfg(test)]
mod model_tests;
mod tables;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;

use crate::StoreError;
use crate::store::{Batch, BlobId, Entry, Key, Lease, Record, Scan, Store, Swept};
use tables::Tables;

/// A store in memory: for tests, for runs that need not outlive their process, and as the rule that every other
/// store is held against. Cheap to clone; clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    clock: Clock,
}

/// What tells the time; the system's clock unless told.
#[derive(Clone, Default)]
struct Clock(Option<Arc<dyn Fn() -> u64 + Send + Sync>>);

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store on another clock, which tells milliseconds and never goes back: for those who simulate time, and what happens
    /// when leases run out in it.
    #[must_use]
    pub fn with_clock(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { clock: Clock(Some(Arc::new(clock))), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    fn ms(&self) -> u64 {
        if let Some(clock) = &self.0 {
            return clock();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "another clock" } else { "the system's clock" })
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.lock().commit(batch, self.clock.ms())
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Ok(self.lock().get(key))
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        Ok(self.lock().scan(scan))
    }

    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        Ok(self.lock().read(stream, from, limit))
    }

    async fn end(&self, stream: &Key) -> Result<u64, StoreError> {
        Ok(self.lock().end(stream))
    }

    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let tables = self.lock();
        Ok(ids.iter().map(|id| tables.blob(id)).collect())
    }

    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
        self.lock().acquire(key, owner, ttl, self.clock.ms())
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        self.lock().renew(lease, ttl, self.clock.ms())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.lock().release(lease);
        Ok(())
    }

    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
        Ok(self.lock().claim(space, owner, ttl, limit, self.clock.ms()))
    }

    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError> {
        let old_ms = self.clock.ms().saturating_sub(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        Ok(self.lock().sweep(old_ms))
    }

    async fn now_ms(&self) -> Result<u64, StoreError> {
        Ok(self.clock.ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_keeps_the_rules_of_the_seam() {
        crate::conformance::store(|| async { Arc::new(MemoryStore::new()) as Arc<dyn Store> }).await;
    }
}
