//! What was changed, told to whoever keeps an index of it in its memory.
//!
//! Each namespace has a record that counts its changes and a log that names the places that were changed; both are written in
//! the batch of the change itself. Who has seen as many changes as there are has seen everything, whoever made them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atomr_agents_state::{Batch, Change, Expect, Scan, Store};
use bytes::Bytes;

use crate::MemoryError;
use crate::clock::now_ms;
use crate::keeper::Keeper;

/// Changes that are followed one by one; who has seen fewer of them reads the namespace anew.
const FOLLOWED: u64 = 64;
/// Each so many writes of a process the one that is due cuts its log.
const CUT_EVERY: u64 = 64;

/// The changes of a store.
#[derive(Clone)]
pub(super) struct Changes {
    keeper: Keeper,
    written: Arc<AtomicU64>,
}

/// What became of a namespace since some of its changes.
pub(super) enum Since {
    /// These places were changed.
    Places(Vec<String>),
    /// Too much to tell.
    Much,
}

/// What the names of the items of the same namespace begin with.
pub(super) fn own(place: &str) -> Result<&str, MemoryError> {
    place.find("//").and_then(|end| place.get(..end + 2)).ok_or_else(|| MemoryError::Damaged {
        place: place.to_owned(),
        message: "its name is that of no item".to_owned(),
    })
}

impl Changes {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        // Where it begins is chance, so that short lives of many processes cut, too.
        Self { keeper: Keeper::new(store, "memory-changes"), written: Arc::new(AtomicU64::new(now_ms())) }
    }

    /// The batch, which also says that it changes this place.
    pub(super) async fn tell(&self, batch: Batch, place: &str) -> Result<Batch, MemoryError> {
        let key = self.keeper.key(own(place)?)?;
        let said = batch.put(&key, Bytes::from_static(b"1"), Expect::Any);
        let said = said.append(&key, None, Bytes::copy_from_slice(place.as_bytes()));
        if !self.written.fetch_add(1, Ordering::Relaxed).is_multiple_of(CUT_EVERY) {
            return Ok(said);
        }
        let before = self.keeper.store.end(&key).await?.saturating_sub(FOLLOWED);
        Ok(said.with(Change::Cut { stream: key, before }))
    }

    /// How often each namespace below this path was changed, by what the names of its items begin with.
    pub(super) async fn counts(&self, path: &str) -> Result<BTreeMap<String, u64>, MemoryError> {
        let found = self.keeper.page(Scan::of("").prefix(path), usize::MAX).await?;
        Ok(found.into_iter().map(|(key, record)| (key.name().to_owned(), record.version)).collect())
    }

    /// What was changed in a namespace since its first `seen` changes, of which there are now `count` at least.
    pub(super) async fn since(&self, own: &str, seen: u64, count: u64) -> Result<Since, MemoryError> {
        if count - seen > FOLLOWED {
            return Ok(Since::Much);
        }
        let entries = self.keeper.store.read(&self.keeper.key(own)?, seen, FOLLOWED as usize).await?;
        let whole = entries.first().is_some_and(|first| first.at == seen)
            && entries.last().is_some_and(|last| last.at + 1 >= count);
        let mut places = Vec::with_capacity(entries.len());
        for entry in entries {
            match std::str::from_utf8(&entry.body) {
                Ok(place) if whole => places.push(place.to_owned()),
                _ => return Ok(Since::Much),
            }
        }
        places.sort_unstable();
        places.dedup();
        Ok(if whole { Since::Places(places) } else { Since::Much })
    }
}
