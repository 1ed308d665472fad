//! The store around a store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::key::EncryptionKey;
use super::seal::{Place, Sealer};
use crate::{
    Around, Batch, BlobId, Change, Entry, Expect, Key, Lease, NewEntry, Record, Scan, Store, StoreError, Swept,
};

/// The space of the record that says which key a store was written with.
const SPACE: &str = "_encryption";
const SALT: usize = 16;

/// A store whose contents are encrypted (XChaCha20-Poly1305) before another store sees them, each bound to its place. Blobs
/// are stored under keyed ids; callers use the ids they know.
///
/// Names are not encrypted: a name should not say a secret. The space `_encryption` belongs to this wrapper.
///
/// ```
/// use std::sync::Arc;
///
/// use atomr_agents_state::{Batch, EncryptedStore, EncryptionKey, Expect, Key, MemoryStore, Store};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let inner = Arc::new(MemoryStore::new());
/// let store = EncryptedStore::open(inner.clone(), &EncryptionKey::new([7; 32])).await?;
/// let key = Key::new("run", "r1")?;
/// store.commit(Batch::new().put(&key, "a secret", Expect::Absent)).await?;
/// assert_eq!(&store.get(&key).await?.unwrap().value[..], b"a secret");
/// assert!(!inner.get(&key).await?.unwrap().value.windows(6).any(|window| window == b"secret"));
/// assert!(EncryptedStore::open(inner, &EncryptionKey::new([8; 32])).await.is_err());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct EncryptedStore {
    inner: Arc<dyn Store>,
    sealer: Arc<Sealer>,
}

impl EncryptedStore {
    /// Puts encryption around a store. An empty store is bound to this key; another key is refused from then on.
    ///
    /// # Errors
    /// [`StoreError::Config`] with the setting `encryption_key` for another key than the one that the store was written with, and
    /// for a store that holds runs which were written without one; what the inner store does wrong.
    pub async fn open(inner: Arc<dyn Store>, key: &EncryptionKey) -> Result<Self, StoreError> {
        let sealer = Arc::new(Sealer::new(key));
        let at = Key::new(SPACE, "key")?;
        if inner.get(&at).await?.is_none() {
            // Behind a key they could not be read any more.
            if !inner.scan(&Scan::of(crate::run::SPACE).limit(1)).await?.is_empty() {
                let kind = inner.kind();
                let message = format!("this {kind} store holds runs that were written without a key; use an empty one");
                return Err(StoreError::Config { setting: "encryption_key", message });
            }
            let salt: [u8; SALT] = rand::random();
            let value = [&salt[..], &sealer.check(&salt)].concat();
            match inner.commit(Batch::new().put(&at, value, Expect::Absent)).await {
                // Somebody else has bound it in the meantime: to which key, is looked at below.
                Ok(()) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let bound = inner.get(&at).await?.map(|record| record.value).unwrap_or_default();
        let matches = bound.split_first_chunk::<SALT>().is_some_and(|(salt, check)| {
            // Compared in constant time.
            <[u8; 32]>::try_from(check).is_ok_and(|check| blake3::Hash::from(check) == sealer.check(salt))
        });
        if !matches {
            let message = format!("this {} store was written with another key", inner.kind());
            return Err(StoreError::Config { setting: "encryption_key", message });
        }
        Ok(Self { inner, sealer })
    }

    /// Whether a store was bound to a key, whichever it is.
    ///
    /// # Errors
    /// What the store does wrong.
    pub async fn is_around(inner: &dyn Store) -> Result<bool, StoreError> {
        Ok(inner.get(&Key::new(SPACE, "key")?).await?.is_some())
    }

    fn ids(&self, refs: &[BlobId]) -> Vec<BlobId> {
        refs.iter().map(|id| self.sealer.id(id)).collect()
    }

    fn sealed(&self, change: Change) -> Result<Change, StoreError> {
        Ok(match change {
            Change::Put { key, value, refs, due_ms, expect } => {
                let value = self.sealer.seal_with(Place::Record(&key, due_ms), &refs, &value)?;
                Change::Put { value, refs: self.ids(&refs), key, due_ms, expect }
            }
            Change::Append { stream, at, entries } => {
                let seal = |entry: NewEntry| {
                    let body = self.sealer.seal_with(Place::Entry(&stream), &entry.refs, &entry.body)?;
                    Ok(NewEntry { body, refs: self.ids(&entry.refs) })
                };
                let entries = entries.into_iter().map(seal).collect::<Result<_, StoreError>>()?;
                Change::Append { stream, at, entries }
            }
            Change::Blob { id, bytes } => {
                let id = self.sealer.id(&id);
                let bytes = self.sealer.seal(Place::Blob(&id), &bytes)?;
                Change::Blob { id, bytes }
            }
            other @ (Change::Delete { .. } | Change::Cut { .. } | Change::Drop { .. }) => other,
        })
    }

    fn record(&self, key: &Key, record: Record) -> Result<Record, StoreError> {
        let place = Place::Record(key, record.due_ms);
        let (value, refs) = self.sealer.open_with(place, &record.refs, &record.value)?;
        Ok(Record { value, refs, ..record })
    }
}

#[async_trait]
impl Around for EncryptedStore {
    fn within(&self) -> &dyn Store {
        &*self.inner
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let changes = batch.changes.into_iter().map(|change| self.sealed(change)).collect::<Result<_, _>>()?;
        self.inner.commit(Batch { changes, ..batch }).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await?.map(|record| self.record(key, record)).transpose()
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        let found = self.inner.scan(scan).await?;
        found.into_iter().map(|(key, record)| Ok((key.clone(), self.record(&key, record)?))).collect()
    }

    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let entries = self.inner.read(stream, from, limit).await?;
        let open = |entry: Entry| {
            let (body, refs) = self.sealer.open_with(Place::Entry(stream), &entry.refs, &entry.body)?;
            Ok(Entry { at: entry.at, body, refs })
        };
        entries.into_iter().map(open).collect()
    }

    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let ids = self.ids(ids);
        let found = self.inner.blobs(&ids).await?;
        let open = |(id, bytes): (&BlobId, Option<Bytes>)| {
            bytes.map(|bytes| self.sealer.open(Place::Blob(id), &bytes)).transpose()
        };
        ids.iter().zip(found).map(open).collect()
    }

    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
        let claimed = self.inner.claim(space, owner, ttl, limit).await?;
        claimed.into_iter().map(|(key, record, lease)| Ok((key.clone(), self.record(&key, record)?, lease))).collect()
    }

    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError> {
        let swept = self.inner.sweep(grace).await?;
        Ok(Swept { bytes: swept.bytes.saturating_sub(swept.blobs * Sealer::OVERHEAD), ..swept })
    }
}
