//! What a store does, without a clock and without I/O: every change is a function of what is there and of the time it
//! is told. The memory store runs it behind a lock; `model_tests.rs` walks through everything that several workers can
//! make of it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;

use crate::StoreError;
use crate::store::{Batch, BlobId, Change, Entry, Expect, Fence, Key, Lease, NAME_MAX, Record, Scan, Swept};

/// Everything that a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tables {
    records: BTreeMap<Key, Record>,
    logs: HashMap<Key, Log>,
    blobs: HashMap<BlobId, Blob>,
    leases: HashMap<Key, Held>,
}

// The walk tells states apart by their hash; maps are hashed in the order of their keys. Blobs are no part of it.
#[cfg(test)]
impl std::hash::Hash for Tables {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for (key, record) in &self.records {
            (key, record.version, &record.value, record.due_ms).hash(state);
        }
        for (key, log) in self.logs.iter().collect::<BTreeMap<_, _>>() {
            (key, log.first, log.entries.iter().map(|entry| &entry.body).collect::<Vec<_>>()).hash(state);
        }
        for (key, held) in self.leases.iter().collect::<BTreeMap<_, _>>() {
            (key, &held.owner, held.token, held.until_ms).hash(state);
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Log {
    first: u64,
    entries: VecDeque<Entry>,
}

impl Log {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Blob {
    bytes: Bytes,
    used_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    owner: String,
    token: u64,
    until_ms: u64,
}

fn until(now_ms: u64, ttl: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}

fn conflict(key: &Key, expected: impl Into<String>, found: impl Into<String>) -> StoreError {
    StoreError::Conflict { key: key.clone(), expected: expected.into(), found: found.into() }
}

impl Tables {
    pub(super) fn commit(&mut self, batch: Batch, now_ms: u64) -> Result<(), StoreError> {
        self.check(&batch)?;
        for change in batch.changes {
            self.apply(change, now_ms);
        }
        Ok(())
    }

    pub(super) fn get(&self, key: &Key) -> Option<Record> {
        self.records.get(key).cloned()
    }

    pub(super) fn scan(&self, scan: &Scan) -> Vec<(Key, Record)> {
        // Behind every name that begins so: names have a greatest length.
        let end = scan.prefix.clone() + &"\u{10ffff}".repeat(NAME_MAX / 4 + 1);
        let (mut low, mut high) = (Bound::Included(scan.prefix.as_str()), end.as_str());
        match scan.after.as_deref() {
            Some(after) if scan.reverse => high = high.min(after),
            Some(after) if after >= scan.prefix.as_str() => low = Bound::Excluded(after),
            _ => {}
        }
        if matches!(low, Bound::Included(low) | Bound::Excluded(low) if low >= high) {
            return Vec::new();
        }
        let key = |name: &str| Key::bound(&scan.space, name);
        let inside = self.records.range((low.map(key), Bound::Excluded(key(high))));
        let found = inside.map(|(key, record)| (key.clone(), record.clone()));
        if scan.reverse { found.rev().take(scan.limit).collect() } else { found.take(scan.limit).collect() }
    }

    pub(super) fn read(&self, stream: &Key, from: u64, limit: usize) -> Vec<Entry> {
        let Some(log) = self.logs.get(stream) else { return Vec::new() };
        let skip = usize::try_from(from.saturating_sub(log.first)).unwrap_or(usize::MAX);
        log.entries.iter().skip(skip).take(limit).cloned().collect()
    }

    pub(super) fn end(&self, stream: &Key) -> u64 {
        self.logs.get(stream).map_or(0, Log::end)
    }

    pub(super) fn blob(&self, id: &BlobId) -> Option<Bytes> {
        self.blobs.get(id).map(|blob| blob.bytes.clone())
    }

    pub(super) fn acquire(&mut self, key: &Key, owner: &str, ttl: Duration, now_ms: u64) -> Result<Lease, StoreError> {
        if let Some(held) = self.leases.get(key).filter(|held| held.owner != owner && held.until_ms > now_ms) {
            let (owner, left_ms) = (held.owner.clone(), held.until_ms - now_ms);
            return Err(StoreError::Held { key: key.clone(), owner, left_ms });
        }
        Ok(self.take(key, owner, ttl, now_ms))
    }

    pub(super) fn renew(&mut self, lease: &Lease, ttl: Duration, now_ms: u64) -> Result<Lease, StoreError> {
        self.holds(&lease.fence())?;
        let until_ms = until(now_ms, ttl);
        if let Some(held) = self.leases.get_mut(&lease.key) {
            held.until_ms = until_ms;
        }
        Ok(Lease { until_ms, ..lease.clone() })
    }

    pub(super) fn release(&mut self, lease: &Lease) {
        if self.holds(&lease.fence()).is_ok()
            && let Some(held) = self.leases.get_mut(&lease.key)
        {
            // The next token is higher, and the old one lets nothing through any more.
            held.token += 1;
            held.until_ms = 0;
        }
    }

    pub(super) fn claim(
        &mut self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
        now_ms: u64,
    ) -> Vec<(Key, Record, Lease)> {
        let free = |key: &Key| self.leases.get(key).is_none_or(|held| held.until_ms <= now_ms);
        let mut due: Vec<(u64, Key, Record)> = self
            .records
            .iter()
            .filter(|(key, _)| key.space() == space && free(key))
            .filter_map(|(key, record)| Some((record.due_ms?, key.clone(), record.clone())))
            .filter(|(due_ms, ..)| *due_ms <= now_ms)
            .collect();
        due.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        due.truncate(limit);
        due.into_iter()
            .map(|(_, key, record)| {
                let lease = self.take(&key, owner, ttl, now_ms);
                (key, record, lease)
            })
            .collect()
    }

    /// Removes the blobs that nothing names and that nobody has written since `old_ms`.
    pub(super) fn sweep(&mut self, old_ms: u64) -> Swept {
        let named = self.named();
        let mut swept = Swept::default();
        self.blobs.retain(|id, blob| {
            let keep = named.contains(id) || blob.used_ms > old_ms;
            if !keep {
                swept.blobs += 1;
                swept.bytes += blob.bytes.len() as u64;
            }
            keep
        });
        swept
    }

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

    /// The newest token of a lease.
    #[cfg(test)]
    pub(super) fn token(&self, key: &Key) -> u64 {
        self.leases.get(key).map_or(0, |held| held.token)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_scan_gives_what_looking_at_every_key_gives(
            keys in prop::collection::vec(("[ab]", "[a\u{10ffff}]{1,3}"), 0..30),
            prefix in "[a\u{10ffff}]{0,2}",
            after in prop::option::of("[a\u{10ffff}]{0,3}"),
            (limit, reverse) in (0usize..8, any::<bool>()),
        ) {
            let mut tables = Tables::default();
            for (space, name) in &keys {
                let record = Record { version: 1, value: Bytes::new(), refs: Vec::new(), due_ms: None };
                tables.records.insert(Key::new(space, name).unwrap(), record);
            }
            let scan = Scan { space: "a".to_owned(), prefix, after, limit, reverse };
            let after = |name: &str| scan.after.as_deref().is_none_or(|at| if reverse { name < at } else { name > at });
            let mut wanted: Vec<&Key> = tables.records.keys().collect();
            wanted.retain(|key| key.space() == "a" && key.name().starts_with(&scan.prefix) && after(key.name()));
            if reverse {
                wanted.reverse();
            }
            wanted.truncate(limit);
            let found = tables.scan(&scan);
            prop_assert_eq!(found.iter().map(|(key, _)| key).collect::<Vec<_>>(), wanted);
        }
    }
}
