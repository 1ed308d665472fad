//! The vectors of the namespaces that are searched, in memory.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_embed::{Allowed, AnnIndex as _, EmbedError, IndexOptions, Neighbour, VectorIndex, Vectors};
use atomr_agents_state::{Key, Record, Scan};
use tokio::sync::RwLock;

use super::changes::{Changes, Since};
use super::vector::Kept;
use crate::keeper::Keeper;
use crate::{MemoryError, Namespace};

/// How many scopes are held at most, however few vectors they have.
const SCOPES: usize = 10_000;

/// The scopes that were searched last, by their paths. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Indexes(Arc<Mutex<HashMap<String, Held>>>);

/// A scope: everything below a path.
#[derive(Default)]
struct Held {
    scope: Arc<RwLock<Scope>>,
    vectors: usize,
    /// When it was searched last, by a clock that counts searches.
    used: u64,
}

/// Where vectors are read, and who tells of their changes.
pub(super) struct Source<'a> {
    pub(super) vectors: &'a Keeper,
    pub(super) changes: &'a Changes,
    pub(super) namespace: &'a Namespace,
    /// The embedder's name, where there is an embedder.
    pub(super) model: Option<&'a str>,
    pub(super) limit: usize,
}

/// What may be found: what is not over, and lies in the set if there is one.
pub(super) struct Wanted<'a> {
    pub(super) now: u64,
    pub(super) allowed: Option<HashSet<String>>,
    pub(super) unit: &'a [f32],
    pub(super) top_k: usize,
}

impl Wanted<'_> {
    fn takes(&self, place: &str, expires_ms: Option<u64>) -> bool {
        expires_ms.is_none_or(|expires| expires > self.now)
            && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(place))
    }
}

impl Indexes {
    /// The places that are nearest, with their cosines, as the store is now.
    pub(super) async fn nearest(
        &self,
        source: &Source<'_>,
        wanted: &Wanted<'_>,
        most: usize,
    ) -> Result<Vec<(String, f64)>, MemoryError> {
        let path = source.namespace.path()?;
        let scope = self.scope(&path);
        // Counted before it is looked at: what is written meanwhile is seen by the next search at the latest.
        let counts = source.changes.counts(&path).await?;
        let mut held = scope.read().await;
        if held.is_behind(&counts) {
            drop(held);
            let mut behind = scope.write().await;
            behind.follow(source, &path, &counts).await?;
            held = behind.downgrade();
        }
        let found = held.find(source, wanted);
        let vectors = held.slots.len();
        drop(held);
        self.keep_within(&path, vectors, most);
        found
    }

    fn scope(&self, path: &str) -> Arc<RwLock<Scope>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&all.entry(path.to_owned()).or_default().scope)
    }

    /// Lets go of the scopes that were not searched for longest while all have more vectors than that.
    fn keep_within(&self, path: &str, vectors: usize, most: usize) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = all.values().map(|held| held.used).max().unwrap_or(0) + 1;
        if let Some(held) = all.get_mut(path) {
            (held.vectors, held.used) = (vectors, now);
        }
        let mut together: usize = all.values().map(|held| held.vectors).sum();
        if together <= most && all.len() <= SCOPES {
            return;
        }
        let mut oldest: Vec<(u64, String)> = all.iter().map(|(path, held)| (held.used, path.clone())).collect();
        oldest.sort_unstable();
        // Some more than must be, so that it is not done at every search.
        for (_, path) in oldest {
            if together <= most - most / 8 && all.len() <= SCOPES - SCOPES / 8 {
                return;
            }
            together -= all.remove(&path).map_or(0, |gone| gone.vectors);
        }
    }
}

/// A vector that can be found.
struct Slot {
    place: String,
    expires_ms: Option<u64>,
    dim: usize,
}

/// A vector of another model.
struct Foreign {
    expires_ms: Option<u64>,
    model: String,
}

/// What lies below a path.
#[derive(Default)]
struct Scope {
    /// How many changes of each namespace are in it; `None` before the first look.
    seen: Option<BTreeMap<String, u64>>,
    ids: BTreeMap<String, u64>,
    slots: HashMap<u64, Slot>,
    foreign: BTreeMap<String, Foreign>,
    /// By dimension: usually one. None is empty.
    indexes: BTreeMap<usize, VectorIndex>,
    /// How many slots are over at some time.
    passing: usize,
    next: u64,
}

impl Scope {
    fn is_behind(&self, counts: &BTreeMap<String, u64>) -> bool {
        match &self.seen {
            None => true,
            Some(seen) => counts.iter().any(|(own, count)| seen.get(own).is_none_or(|seen| seen < count)),
        }
    }

    /// Takes over what was changed.
    async fn follow(
        &mut self,
        source: &Source<'_>,
        path: &str,
        counts: &BTreeMap<String, u64>,
    ) -> Result<(), MemoryError> {
        let Some(seen) = self.seen.take() else {
            let records = source.vectors.all(path, source.namespace, source.limit).await?;
            *self = Self::default();
            self.take(source, &records).await?;
            self.seen = Some(counts.clone());
            return Ok(());
        };
        // Without `seen`, whoever is stopped in the middle leaves a scope that is read anew.
        let mut now_seen = seen.clone();
        for (own, count) in counts {
            let before = seen.get(own).copied().unwrap_or(0);
            if before >= *count {
                continue;
            }
            match source.changes.since(own, before, *count).await? {
                Since::Places(places) => {
                    for place in places {
                        let record = source.vectors.get(&place).await?;
                        self.forget(&place)?;
                        if let Some(record) = record {
                            self.take(source, &[(source.vectors.key(&place)?, record)]).await?;
                        }
                    }
                }
                Since::Much => {
                    let records = source.vectors.page(Scan::of("").prefix(own), source.limit + 1).await?;
                    let gone = |place: &&String| place.starts_with(own);
                    let gone: Vec<String> =
                        self.ids.keys().filter(gone).chain(self.foreign.keys().filter(gone)).cloned().collect();
                    for place in gone {
                        self.forget(&place)?;
                    }
                    self.take(source, &records).await?;
                }
            }
            now_seen.insert(own.clone(), *count);
        }
        if self.slots.len() + self.foreign.len() > source.limit {
            return Err(MemoryError::TooMany { namespace: source.namespace.to_string(), limit: source.limit });
        }
        self.seen = Some(now_seen);
        Ok(())
    }

    fn forget(&mut self, place: &str) -> Result<(), MemoryError> {
        self.foreign.remove(place);
        let Some((id, slot)) = self.ids.remove(place).and_then(|id| Some((id, self.slots.remove(&id)?))) else {
            return Ok(());
        };
        self.passing -= usize::from(slot.expires_ms.is_some());
        if let Some(index) = self.indexes.get(&slot.dim) {
            index.delete(&[id])?;
            if index.is_empty() {
                self.indexes.remove(&slot.dim);
            }
        }
        Ok(())
    }

    /// Takes in vectors of places that are not in it.
    async fn take(&mut self, source: &Source<'_>, records: &[(Key, Record)]) -> Result<(), MemoryError> {
        let mut new: BTreeMap<usize, (Vec<u64>, Vec<f32>)> = BTreeMap::new();
        for (key, record) in records {
            let place = key.name();
            let Some(kept) = Kept::read(&record.value) else {
                let message = "it is no vector".to_owned();
                return Err(MemoryError::Damaged { place: place.to_owned(), message });
            };
            let (dim, expires_ms) = (kept.dim(), kept.expires_ms);
            if source.model.is_some_and(|model| !kept.is_of(model)) {
                self.foreign.insert(place.to_owned(), Foreign { expires_ms, model: kept.model() });
                continue;
            }
            let (ids, values) = new.entry(dim).or_default();
            ids.push(self.next);
            values.extend(kept.unit());
            self.ids.insert(place.to_owned(), self.next);
            self.slots.insert(self.next, Slot { place: place.to_owned(), expires_ms, dim });
            self.passing += usize::from(expires_ms.is_some());
            self.next += 1;
        }
        for (dim, (ids, values)) in new {
            let index = match self.indexes.entry(dim) {
                Entry::Occupied(index) => index.into_mut(),
                Entry::Vacant(place) => place.insert(exact(dim)?),
            };
            index.upsert(&ids, &Vectors::new(dim, values)?).await?;
        }
        Ok(())
    }

    fn find(&self, source: &Source<'_>, wanted: &Wanted<'_>) -> Result<Vec<(String, f64)>, MemoryError> {
        let mut foreign = self.foreign.iter().filter(|(place, foreign)| wanted.takes(place, foreign.expires_ms));
        if let Some((_, first)) = foreign.next() {
            return Err(MemoryError::OtherModel {
                namespace: source.namespace.to_string(),
                count: 1 + foreign.count(),
                found: first.model.clone(),
                wanted: source.model.unwrap_or_default().to_owned(),
            });
        }
        let dim = wanted.unit.len();
        if self.indexes.keys().any(|other| *other != dim) {
            let others =
                self.slots.values().filter(|slot| slot.dim != dim && wanted.takes(&slot.place, slot.expires_ms));
            if let Some(first) = others.min_by_key(|slot| &slot.place) {
                return Err(EmbedError::Dimension { expected: first.dim, found: dim }.into());
            }
        }
        let Some(index) = self.indexes.get(&dim) else { return Ok(Vec::new()) };
        let fits = |id| self.slots.get(&id).is_some_and(|slot| wanted.takes(&slot.place, slot.expires_ms));
        let fits: Option<Allowed<'_>> = if wanted.allowed.is_some() || self.passing > 0 { Some(&fits) } else { None };
        // One more than is wanted, and on from there, so that of equals at the end those with the first names are found.
        let mut k = wanted.top_k.saturating_add(1).min(self.slots.len());
        let mut found = index.find(wanted.unit, k, fits)?;
        while found.len() == k && k < self.slots.len() && ends_in_equals(&found, wanted.top_k) {
            k = k.saturating_mul(2).min(self.slots.len());
            found = index.find(wanted.unit, k, fits)?;
        }
        let named = |id| self.slots.get(&id).map(|slot| slot.place.as_str());
        let mut best: Vec<_> = found.iter().filter_map(|near| Some((named(near.id)?, near.score))).collect();
        best.sort_by(|(a, near), (b, far)| far.total_cmp(near).then_with(|| a.cmp(b)));
        best.truncate(wanted.top_k);
        Ok(best.into_iter().map(|(place, score)| (place.to_owned(), f64::from(score))).collect())
    }
}

/// Whether the last that is wanted is no nearer than the last that was found.
fn ends_in_equals(found: &[Neighbour], top_k: usize) -> bool {
    let at = |place: usize| found.get(place).map(|near| near.score);
    top_k.checked_sub(1).and_then(at) == found.last().map(|near| near.score)
}

/// An index that looks at every vector, by codes, however many there are: what a search finds does not depend on chance, and
/// no search waits while a graph is made.
fn exact(dim: usize) -> Result<VectorIndex, EmbedError> {
    VectorIndex::new(dim, IndexOptions { exact_below: usize::MAX, ..IndexOptions::default() })
}
