//! The documents by number, by id and by source.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;

use atomr_agents_core::Document;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::source_of;

/// Documents under numbers that only rise. Each has a key, too, which it keeps when the numbers are made anew: a vector index
/// knows documents by it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// By number; `None` for one that is gone.
    documents: Vec<Option<Document>>,
    /// By number, rising.
    keys: Vec<u64>,
    next: u64,
    ids: HashTable<u32>,
    /// What was cut from another document, by that.
    pieces: HashMap<String, BTreeSet<u32>>,
    live: usize,
    hasher: RandomState,
}

impl Table {
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// How many numbers belong to documents that are gone.
    pub(crate) fn gone(&self) -> usize {
        self.documents.len() - self.live
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Document> {
        self.documents.get(slot as usize)?.as_ref()
    }

    pub(crate) fn id(&self, slot: u32) -> &str {
        self.get(slot).map_or("", |document| &document.id)
    }

    /// The number of an id.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(id.as_bytes());
        self.ids.find(hash, |slot| self.id(*slot) == id).copied()
    }

    /// The number of a key.
    pub(crate) fn slot_of(&self, key: u64) -> Option<u32> {
        let at = match self.keys.get(key as usize) {
            // As long as the numbers were never made anew, key and number are the same.
            Some(here) if *here == key => key as usize,
            _ => self.keys.binary_search(&key).ok()?,
        };
        self.documents.get(at)?.as_ref().map(|_| at as u32)
    }

    /// The key of a number.
    pub(crate) fn key_of(&self, slot: u32) -> Option<u64> {
        self.keys.get(slot as usize).copied()
    }

    pub(crate) fn next_key(&self) -> u64 {
        self.next
    }

    /// Keeps a document, whose id is not there, under the next number and key.
    pub(crate) fn push(&mut self, document: Document) {
        let key = self.next;
        self.push_keyed(document, key);
    }

    /// Keeps a document under the next number and this key, which is above all others.
    pub(crate) fn push_keyed(&mut self, document: Document, key: u64) {
        let slot = self.documents.len() as u32;
        if source_of(&document) != document.id {
            self.pieces.entry(source_of(&document).to_owned()).or_default().insert(slot);
        }
        let hash = self.hasher.hash_one(document.id.as_bytes());
        self.documents.push(Some(document));
        self.keys.push(key);
        self.next = self.next.max(key + 1);
        self.live += 1;
        let (documents, hasher) = (&self.documents, &self.hasher);
        let id = |slot: u32| documents.get(slot as usize).and_then(Option::as_ref).map_or("", |document| &document.id);
        self.ids.insert_unique(hash, slot, |slot| hasher.hash_one(id(*slot).as_bytes()));
    }

    /// Takes out the document of an id, with its number.
    pub(crate) fn take(&mut self, id: &str) -> Option<(u32, Document)> {
        let slot = self.find(id)?;
        let hash = self.hasher.hash_one(id.as_bytes());
        if let Ok(entry) = self.ids.find_entry(hash, |here| *here == slot) {
            entry.remove();
        }
        let document = self.documents.get_mut(slot as usize)?.take()?;
        self.live -= 1;
        let source = source_of(&document);
        if source != document.id
            && let Some(pieces) = self.pieces.get_mut(source)
        {
            pieces.remove(&slot);
            if pieces.is_empty() {
                self.pieces.remove(source);
            }
        }
        Some((slot, document))
    }

    /// Numbers the documents anew: number `i` is what was `old[i]`.
    pub(crate) fn renumber(&mut self, old: &[u32]) {
        let mut documents = std::mem::take(&mut self.documents);
        let keys = std::mem::take(&mut self.keys);
        self.ids.clear();
        self.pieces.clear();
        self.live = 0;
        for slot in old {
            if let (Some(document), Some(key)) =
                (documents.get_mut(*slot as usize).and_then(Option::take), keys.get(*slot as usize))
            {
                self.push_keyed(document, *key);
            }
        }
    }

    /// The ids of a source, in order.
    pub(crate) fn ids_of(&self, source: &str) -> Vec<String> {
        let pieces = self.pieces.get(source).into_iter().flatten().copied();
        let whole =
            self.find(source).filter(|slot| self.get(*slot).is_some_and(|document| source_of(document) == source));
        let mut ids: Vec<String> = pieces.chain(whole).map(|slot| self.id(slot).to_owned()).collect();
        ids.sort_unstable();
        ids
    }

    /// The documents that are there, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Document)> {
        self.documents.iter().enumerate().filter_map(|(slot, one)| one.as_ref().map(|one| (slot as u32, one)))
    }
}
