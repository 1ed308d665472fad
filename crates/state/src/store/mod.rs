//! The one store seam.
//!
//! A store holds four things, and everything that outlives a process is made of them:
//!
//! - **records**: small values under a [`Key`], each with a version that counts its changes, replaced by compare-and-swap;
//! - **logs**: entries at positions 0, 1, 2 … of a stream, only ever added at the end and cut at the front;
//! - **blobs**: bytes under their own hash, stored once however often they are named;
//! - **leases**: who may write, for how long, with a fencing token that only grows.
//!
//! All writes go through [`Store::commit`]: a [`Batch`] happens whole or not at all, and only while its fence holds.

mod around;
mod batch;
mod blob;
mod key;
mod lease;
mod log;
mod record;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use around::Around;
pub use batch::{Batch, Change, Durability, Expect};
pub use blob::{BadBlobId, BlobId};
pub use key::Key;
pub(crate) use key::NAME_MAX;
pub use lease::{Fence, Lease};
pub use log::{Entry, NewEntry};
pub use record::{Record, Scan};

use crate::StoreError;

/// Where things outlive the process. Implementations run [`crate::conformance::store`].
///
/// A call whose future is dropped has either happened or not; it never happens in part, and it never leaves the store
/// unusable for the next call.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// What kind of store it is, in one word: `memory`, `sqlite`, `postgres`.
    fn kind(&self) -> &'static str;

    /// Does everything in `batch`, in its order, or nothing. When it returns, the batch survives what its
    /// [`Durability`] says.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the batch's fence is not the newest token of its lease; [`StoreError::Conflict`] when an
    /// expectation fails. Both before anything is changed. What the medium itself can do wrong is
    /// [`StoreError::Full`], [`StoreError::ReadOnly`], [`StoreError::Unavailable`], [`StoreError::Io`] and
    /// [`StoreError::Corrupt`].
    async fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// The record under `key`.
    ///
    /// # Errors
    /// When the medium fails.
    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError>;

    /// The records of a space in the byte order of their names.
    ///
    /// # Errors
    /// When the medium fails.
    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError>;

    /// Up to `limit` entries of `stream` from position `from` on, or from the first that is still there. Empty for a
    /// stream that does not exist.
    ///
    /// # Errors
    /// When the medium fails.
    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// The position that the next entry of `stream` will get: 0 for a stream that does not exist. Cutting the front
    /// does not change it.
    ///
    /// # Errors
    /// When the medium fails.
    async fn end(&self, stream: &Key) -> Result<u64, StoreError>;

    /// The blobs of these ids, in the same order; `None` where there is none.
    ///
    /// # Errors
    /// When the medium fails.
    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError>;

    /// Takes the lease `key` for `ttl`, on the store's own clock. Its token is higher than every earlier one. An owner who
    /// still holds it gets it again, with a higher token: what it wrote before under the old one is fenced.
    ///
    /// # Errors
    /// [`StoreError::Held`] while somebody else holds it.
    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError>;

    /// Holds a lease for `ttl` from now on.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when somebody else took it since, or it was released. A lease that ran out and that nobody
    /// took can be renewed.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError>;

    /// Lets a lease go. Nothing happens if it was lost already.
    ///
    /// # Errors
    /// When the medium fails.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Takes the leases of up to `limit` records of `space` that are due ([`Record::due_ms`]) on the store's clock and that nobody
    /// holds, the longest due first. The lease has the key of the record. Two workers never get the same one.
    ///
    /// # Errors
    /// When the medium fails.
    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError>;

    /// Removes the blobs that no record and no entry names ([`Record::refs`], [`Entry::refs`]) and that nobody has written for
    /// `grace`. Gives how many, and how many bytes they had.
    ///
    /// # Errors
    /// When the medium fails.
    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError>;

    /// Milliseconds since the Unix epoch, on the store's clock.
    ///
    /// # Errors
    /// When the medium fails.
    async fn now_ms(&self) -> Result<u64, StoreError>;
}

/// What [`Store::sweep`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many blobs.
    pub blobs: u64,
    /// How many bytes they had.
    pub bytes: u64,
}
