//! A store whose process dies at a boundary of its journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use atomr_agents_state::{Batch, BlobId, Entry, Key, Lease, Record, Scan, Store, StoreError, Swept};
use bytes::Bytes;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

/// When a process kills itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strike {
    /// Before its n-th commit, counted from 1.
    Before(u64),
    /// After its n-th commit, before anybody hears of it.
    After(u64),
}

/// A store that kills its process (SIGKILL) at one commit.
#[derive(Debug)]
pub struct Deadly {
    inner: Arc<dyn Store>,
    strike: Strike,
    commits: AtomicU64,
}

impl Deadly {
    /// Wraps a store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, strike: Strike) -> Self {
        Self { inner, strike, commits: AtomicU64::new(0) }
    }

    async fn at(&self, boundary: Strike) {
        if self.strike == boundary {
            let _ = kill_process(getpid(), Signal::KILL);
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Store for Deadly {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let commit = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        self.at(Strike::Before(commit)).await;
        let done = self.inner.commit(batch).await;
        self.at(Strike::After(commit)).await;
        done
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        self.inner.scan(scan).await
    }

    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.read(stream, from, limit).await
    }

    async fn end(&self, stream: &Key) -> Result<u64, StoreError> {
        self.inner.end(stream).await
    }

    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.inner.blobs(ids).await
    }

    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
        self.inner.acquire(key, owner, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        self.inner.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.inner.release(lease).await
    }

    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
        self.inner.claim(space, owner, ttl, limit).await
    }

    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError> {
        self.inner.sweep(grace).await
    }

    async fn now_ms(&self) -> Result<u64, StoreError> {
        self.inner.now_ms().await
    }
}
