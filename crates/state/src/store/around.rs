//! A store around another one.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Batch, BlobId, Entry, Key, Lease, Record, Scan, Store, Swept};
use crate::StoreError;

/// A [`Store`] that hands everything on to another one, except for what it does otherwise. Whatever implements this is a
/// store; each method hands on unless it is written anew.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use atomr_agents_state::{Around, Batch, Expect, Key, MemoryStore, Store, StoreError};
///
/// /// Counts what is written.
/// #[derive(Debug)]
/// struct Counted(MemoryStore, AtomicU64);
///
/// #[async_trait::async_trait]
/// impl Around for Counted {
///     fn within(&self) -> &dyn Store {
///         &self.0
///     }
///
///     async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
///         self.1.fetch_add(1, Ordering::Relaxed);
///         self.0.commit(batch).await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let counted = Counted(MemoryStore::new(), AtomicU64::new(0));
/// let (store, key): (&dyn Store, _) = (&counted, Key::new("run", "r1")?);
/// store.commit(Batch::new().put(&key, "begun", Expect::Absent)).await?;
/// assert_eq!(&store.get(&key).await?.unwrap().value[..], b"begun");
/// assert_eq!(counted.1.load(Ordering::Relaxed), 1);
/// # Ok(()) }
/// ```
#[async_trait]
#[allow(clippy::missing_errors_doc, reason = "as the methods of the same names of `Store`")]
pub trait Around: Send + Sync + fmt::Debug + 'static {
    /// The store that it is around.
    fn within(&self) -> &dyn Store;

    /// As [`Store::kind`].
    fn kind(&self) -> &'static str {
        self.within().kind()
    }

    /// As [`Store::commit`].
    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.within().commit(batch).await
    }

    /// As [`Store::get`].
    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.within().get(key).await
    }

    /// As [`Store::scan`].
    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        self.within().scan(scan).await
    }

    /// As [`Store::read`].
    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.within().read(stream, from, limit).await
    }

    /// As [`Store::end`].
    async fn end(&self, stream: &Key) -> Result<u64, StoreError> {
        self.within().end(stream).await
    }

    /// As [`Store::blobs`].
    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.within().blobs(ids).await
    }

    /// As [`Store::acquire`].
    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
        self.within().acquire(key, owner, ttl).await
    }

    /// As [`Store::renew`].
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        self.within().renew(lease, ttl).await
    }

    /// As [`Store::release`].
    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.within().release(lease).await
    }

    /// As [`Store::claim`].
    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
        self.within().claim(space, owner, ttl, limit).await
    }

    /// As [`Store::sweep`].
    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError> {
        self.within().sweep(grace).await
    }

    /// As [`Store::now_ms`].
    async fn now_ms(&self) -> Result<u64, StoreError> {
        self.within().now_ms().await
    }
}

#[async_trait]
impl<A: Around> Store for A {
    fn kind(&self) -> &'static str {
        Around::kind(self)
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        Around::commit(self, batch).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Around::get(self, key).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        Around::scan(self, scan).await
    }

    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        Around::read(self, stream, from, limit).await
    }

    async fn end(&self, stream: &Key) -> Result<u64, StoreError> {
        Around::end(self, stream).await
    }

    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        Around::blobs(self, ids).await
    }

    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
        Around::acquire(self, key, owner, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        Around::renew(self, lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        Around::release(self, lease).await
    }

    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
        Around::claim(self, space, owner, ttl, limit).await
    }

    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError> {
        Around::sweep(self, grace).await
    }

    async fn now_ms(&self) -> Result<u64, StoreError> {
        Around::now_ms(self).await
    }
}
