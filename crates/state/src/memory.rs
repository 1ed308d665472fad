//! The store that ends with its process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;

use crate::StoreError;
use crate::store::{Batch, BlobId, Change, Entry, Expect, Fence, Key, Lease, Record, Scan, Store, Swept};

/// A store in memory: for tests, for runs that need not outlive their process, and as the rule that every other
/// store is held against. Cheap to clone; clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<Key, Record>,
    logs: HashMap<Key, Log>,
    blobs: HashMap<BlobId, Blob>,
    leases: HashMap<Key, Held>,
}

#[derive(Debug, Default)]
struct Log {
    first: u64,
    entries: std::collections::VecDeque<Entry>,
}

impl Log {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

#[derive(Debug)]
struct Blob {
    bytes: Bytes,
    used_ms: u64,
}

#[derive(Debug)]
struct Held {
    owner: String,
    token: u64,
    until_ms: u64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn until(now_ms: u64, ttl: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}

fn conflict(key: &Key, expected: impl Into<String>, found: impl Into<String>) -> StoreError {
    StoreError::Conflict { key: key.clone(), expected: expected.into(), found: found.into() }
}

impl State {
    fn holds(&self, fence: &Fence) -> Result<(), StoreError> {
        let newest = self.leases.get(&fence.key).map_or(0, |held| held.token);
        if newest == fence.token {
            return Ok(());
        }
        Err(StoreError::Fenced { key: fence.key.clone(), token: fence.token, newest })
    }

    /// Checks every expectation of a batch against what its earlier changes would leave, without changing anything.
    fn check(&self, batch: &Batch) -> Result<(), StoreError> {
        if let Some(fence) = &batch.fence {
            self.holds(fence)?;
        }
        let mut versions: HashMap<&Key, u64> = HashMap::new();
        let mut ends: HashMap<&Key, u64> = HashMap::new();
        for change in &batch.changes {
            match change {
                Change::Put { key, expect, .. } => {
                    let have = versions.entry(key).or_insert_with(|| self.version(key));
                    expected(key, *expect, *have)?;
                    *have += 1;
                }
                Change::Delete { key, expect } => {
                    let have = versions.entry(key).or_insert_with(|| self.version(key));
                    expected(key, *expect, *have)?;
                    *have = 0;
                }
                Change::Append { stream, at, entries } => {
                    let end = ends.entry(stream).or_insert_with(|| self.logs.get(stream).map_or(0, Log::end));
                    if let Some(at) = at.filter(|at| at != end) {
                        return Err(conflict(stream, format!("an end at {at}"), format!("one at {end}")));
                    }
                    *end += entries.len() as u64;
                }
                Change::Drop { stream } => {
                    ends.insert(stream, 0);
                }
                Change::Cut { .. } | Change::Blob { .. } => {}
            }
        }
        Ok(())
    }

    fn version(&self, key: &Key) -> u64 {
        self.records.get(key).map_or(0, |record| record.version)
    }

    fn apply(&mut self, change: Change, now_ms: u64) {
        match change {
            Change::Put { key, value, refs, due_ms, .. } => {
                let version = self.version(&key) + 1;
                self.records.insert(key, Record { version, value, refs, due_ms });
            }
            Change::Delete { key, .. } => {
                self.records.remove(&key);
            }
            Change::Append { stream, entries, .. } => {
                let log = self.logs.entry(stream).or_default();
                for entry in entries {
                    log.entries.push_back(Entry { at: log.end(), body: entry.body, refs: entry.refs });
                }
            }
            Change::Cut { stream, before } => {
                if let Some(log) = self.logs.get_mut(&stream) {
                    let gone = before.min(log.end()).saturating_sub(log.first);
                    log.entries.drain(..usize::try_from(gone).unwrap_or(usize::MAX).min(log.entries.len()));
                    log.first += gone;
                }
            }
            Change::Drop { stream } => {
                self.logs.remove(&stream);
            }
            Change::Blob { id, bytes } => {
                self.blobs.entry(id).or_insert(Blob { bytes, used_ms: now_ms }).used_ms = now_ms;
            }
        }
    }

    fn take(&mut self, key: &Key, owner: &str, ttl: Duration, now_ms: u64) -> Lease {
        let token = self.leases.get(key).map_or(0, |held| held.token) + 1;
        let until_ms = until(now_ms, ttl);
        self.leases.insert(key.clone(), Held { owner: owner.to_owned(), token, until_ms });
        Lease { key: key.clone(), owner: owner.to_owned(), token, until_ms }
    }

    fn named(&self) -> HashSet<BlobId> {
        let records = self.records.values().flat_map(|record| &record.refs);
        let entries = self.logs.values().flat_map(|log| &log.entries).flat_map(|entry| &entry.refs);
        records.chain(entries).copied().collect()
    }
}

fn expected(key: &Key, expect: Expect, have: u64) -> Result<(), StoreError> {
    let found = || if have == 0 { "nothing".to_owned() } else { format!("version {have}") };
    match expect {
        Expect::Absent if have != 0 => Err(conflict(key, "nothing", found())),
        Expect::Version(version) if have != version => Err(conflict(key, format!("version {version}"), found())),
        _ => Ok(()),
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let now_ms = clock_ms();
        let mut state = self.lock();
        state.check(&batch)?;
        for change in batch.changes {
            state.apply(change, now_ms);
        }
        Ok(())
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Ok(self.lock().records.get(key).cloned())
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        let state = self.lock();
        let inside = |(key, _): &(&Key, &Record)| {
            let after = scan.after.as_deref();
            key.space() == scan.space
                && key.name().starts_with(&scan.prefix)
                && after.is_none_or(|after| if scan.reverse { key.name() < after } else { key.name() > after })
        };
        let found = state.records.iter().filter(inside).map(|(key, record)| (key.clone(), record.clone()));
        Ok(if scan.reverse { found.rev().take(scan.limit).collect() } else { found.take(scan.limit).collect() })
    }

    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let state = self.lock();
        let Some(log) = state.logs.get(stream) else { return Ok(Vec::new()) };
        let skip = usize::try_from(from.saturating_sub(log.first)).unwrap_or(usize::MAX);
        Ok(log.entries.iter().skip(skip).take(limit).cloned().collect())
    }

    async fn end(&self, stream: &Key) -> Result<u64, StoreError> {
        Ok(self.lock().logs.get(stream).map_or(0, Log::end))
    }

    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let state = self.lock();
        Ok(ids.iter().map(|id| state.blobs.get(id).map(|blob| blob.bytes.clone())).collect())
    }

    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
        let now_ms = clock_ms();
        let mut state = self.lock();
        if let Some(held) = state.leases.get(key).filter(|held| held.owner != owner && held.until_ms > now_ms) {
            let (owner, left_ms) = (held.owner.clone(), held.until_ms - now_ms);
            return Err(StoreError::Held { key: key.clone(), owner, left_ms });
        }
        Ok(state.take(key, owner, ttl, now_ms))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        let mut state = self.lock();
        state.holds(&lease.fence())?;
        let until_ms = until(clock_ms(), ttl);
        if let Some(held) = state.leases.get_mut(&lease.key) {
            held.until_ms = until_ms;
        }
        Ok(Lease { until_ms, ..lease.clone() })
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.holds(&lease.fence()).is_ok()
            && let Some(held) = state.leases.get_mut(&lease.key)
        {
            // The next token is higher, and the old one lets nothing through any more.
            held.token += 1;
            held.until_ms = 0;
        }
        Ok(())
    }

    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
        let now_ms = clock_ms();
        let mut state = self.lock();
        let free = |key: &Key| state.leases.get(key).is_none_or(|held| held.until_ms <= now_ms);
        let mut due: Vec<(u64, Key, Record)> = state
            .records
            .iter()
            .filter(|(key, _)| key.space() == space && free(key))
            .filter_map(|(key, record)| Some((record.due_ms?, key.clone(), record.clone())))
            .filter(|(due_ms, ..)| *due_ms <= now_ms)
            .collect();
        due.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        due.truncate(limit);
        Ok(due
            .into_iter()
            .map(|(_, key, record)| {
                let lease = state.take(&key, owner, ttl, now_ms);
                (key, record, lease)
            })
            .collect())
    }

    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError> {
        let old_ms = clock_ms().saturating_sub(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        let mut state = self.lock();
        let named = state.named();
        let mut swept = Swept::default();
        state.blobs.retain(|id, blob| {
            let keep = named.contains(id) || blob.used_ms > old_ms;
            if !keep {
                swept.blobs += 1;
                swept.bytes += blob.bytes.len() as u64;
            }
            keep
        });
        Ok(swept)
    }

    async fn now_ms(&self) -> Result<u64, StoreError> {
        Ok(clock_ms())
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
