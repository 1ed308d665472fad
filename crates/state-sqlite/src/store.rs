//! The store.

use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use atomr_agents_state::{
    Batch, BlobId, Change, Durability, Entry, Fence, Key, Lease, Record, Scan, Store, StoreError, Swept,
};
use bytes::Bytes;

use crate::backup::backup;
use crate::connect;
use crate::options::SqliteOptions;
use crate::place::Place;
use crate::readers::{Readers, Reading};
use crate::tables;
use crate::verify::{Damage, verify};
use crate::writer::{Write, Writer};

/// Up to so many rows are read on the caller's thread.
const LITTLE: usize = 16;

/// A store in one SQLite file. Cheap to clone; clones are the same store. See the page of the crate.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens a database, or makes it (readable only by its owner) where there is none. It takes some milliseconds, and waits
    /// for another process that is about to make it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for what is no database, or has fewer commits than were noted beside it;
    /// [`StoreError::UnsupportedFormat`] for one of a newer version; [`StoreError::Config`] for the database of another
    /// program and for options that make no sense; what the medium does wrong.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        options.check()?;
        let place = Place::find(path.as_ref())?;
        let opened = connect::open(&place, options.patience)?;
        let readers = Readers::new(place.clone(), &options);
        let writer = Writer::new(place, options, readers.clone(), opened);
        Ok(Self { inner: Arc::new(Inner { writer, readers }) })
    }

    /// Reads everything and tells what is not as it was written: the structure of the file, checksums, gaps in logs,
    /// references to blobs that are not there. Others go on writing meanwhile. Nothing found is an empty list; it ends after a
    /// thousand findings.
    ///
    /// # Errors
    /// When the medium fails.
    ///
    /// ```
    /// # use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let store = SqliteStore::open(folder.path().join("runs.db"), SqliteOptions::default())?;
    /// assert!(store.verify().await?.is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn verify(&self) -> Result<Vec<Damage>, StoreError> {
        let place = self.inner.writer.place().clone();
        self.inner.readers.read(Reading::Much, move |conn| verify(conn, &place)).await
    }

    /// Copies the database as it is now into a new file, which only its owner can read. Others go on writing meanwhile. Copying
    /// the file itself while it is open would leave out what is in its write-ahead log.
    ///
    /// # Errors
    /// [`StoreError::Config`] if there is a file already; what either medium does wrong, and then there is no new file.
    ///
    /// ```
    /// # use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let store = SqliteStore::open(folder.path().join("runs.db"), SqliteOptions::default())?;
    /// store.backup(folder.path().join("copy.db")).await?;
    /// SqliteStore::open(folder.path().join("copy.db"), SqliteOptions::default())?;
    /// # Ok(()) }
    /// ```
    pub async fn backup(&self, to: impl AsRef<Path>) -> Result<(), StoreError> {
        let to = to.as_ref().to_owned();
        self.inner.readers.read(Reading::Much, move |conn| backup(conn, &Place::find(&to)?)).await
    }

    /// Where the database is, with every symbolic link resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.writer.place().path()
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Whether the caller's thread is one of many, and may wait for the medium for a moment: a task of the runtime holds up one
/// thread of it for no longer than handing the work over would take. Who polls a call outside of a task may be anything, such
/// as the thread that runs the event loop of another language.
pub(crate) fn may_wait() -> bool {
    tokio::task::try_id().is_some()
}

/// Waits for at most `patience` of real time: what is waited for happens on other threads, which a test that has stopped the
/// runtime's clock does not stop.
pub(crate) async fn until<F: Future>(patience: Duration, future: F) -> Option<F::Output> {
    let begun = Instant::now();
    let mut future = std::pin::pin!(future);
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, future.as_mut()).await {
            Ok(output) => return Some(output),
            Err(_) if begun.elapsed() >= patience => return None,
            Err(_) => {}
        }
    }
}

/// Which lease a batch is written under.
fn holder(fence: &Fence) -> u64 {
    let mut hasher = DefaultHasher::new();
    fence.key.hash(&mut hasher);
    hasher.finish()
}

/// About how many bytes a batch writes.
fn size(batch: &Batch) -> usize {
    let size = |change: &Change| match change {
        Change::Put { value, refs, .. } => value.len() + refs.len() * BlobId::LEN,
        Change::Append { entries, .. } => {
            entries.iter().map(|entry| entry.body.len() + entry.refs.len() * BlobId::LEN).sum()
        }
        Change::Blob { bytes, .. } => bytes.len(),
        Change::Delete { .. } | Change::Cut { .. } | Change::Drop { .. } => 0,
    };
    batch.changes.iter().map(size).sum()
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let by = batch.fence.as_ref().map(holder);
        let write = Write { bytes: size(&batch), by, alone: batch.alone, ..Write::of(batch.durability) };
        self.inner.writer.write(write, move |tx| tables::apply(tx, &batch)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let key = key.clone();
        self.inner.readers.read(Reading::Little, move |conn| tables::get_record(conn, &key)).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        let (scan, reading) = (scan.clone(), reading(scan.limit));
        self.inner.readers.read(reading, move |conn| tables::scan(conn, &scan)).await
    }

    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let stream = stream.clone();
        self.inner.readers.read(reading(limit), move |conn| tables::read(conn, &stream, from, limit)).await
    }

    async fn end(&self, stream: &Key) -> Result<u64, StoreError> {
        let stream = stream.clone();
        self.inner.readers.read(Reading::Little, move |conn| tables::end(conn, &stream)).await
    }

    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let ids = ids.to_vec();
        let get = move |conn: &_| ids.iter().map(|id| tables::get_blob(conn, id)).collect();
        // Blobs are what is large.
        self.inner.readers.read(Reading::Much, get).await
    }

    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
        let (key, owner) = (key.clone(), owner.to_owned());
        let job = move |tx: &tables::Tx<'_>| tables::acquire(tx, &key, &owner, ttl);
        self.inner.writer.write(Write::of(LEASES), job).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        let lease = lease.clone();
        self.inner.writer.write(Write::of(LEASES), move |tx| tables::renew(tx, &lease, ttl)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.inner.writer.write(Write::of(LEASES), move |tx| tables::release(tx, &lease)).await
    }

    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
        let (space, owner) = (space.to_owned(), owner.to_owned());
        let job = move |tx: &tables::Tx<'_>| tables::claim(tx, &space, &owner, ttl, limit);
        self.inner.writer.write(Write::of(LEASES), job).await
    }

    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError> {
        // It reads much: so it is the writer's thread that does it.
        self.inner
            .writer
            .write(Write { long: true, ..Write::of(Durability::Full) }, move |tx| tables::sweep(tx, grace))
            .await
    }

    async fn now_ms(&self) -> Result<u64, StoreError> {
        Ok(clock_ms())
    }
}

/// Who holds a lease dies with the power, and a full commit under it makes it as durable as itself.
const LEASES: Durability = Durability::Relaxed;

fn reading(limit: usize) -> Reading {
    if limit <= LITTLE { Reading::Little } else { Reading::Much }
}
