//! Documents that are found by their words.

use std::collections::HashMap;
use std::sync::Arc;

use atomr_agents_core::Document;

use super::inverted::{Inverted, Params};
use super::search::Wanted;
use super::table::Table;
use crate::{Analyzer, Filter, RetrieveError};

/// How many documents must be gone before it is worth to number the rest anew.
const MIN_GONE: usize = 256;

/// The documents, and the inverted index of their texts.
#[derive(Debug)]
pub(crate) struct Corpus {
    table: Table,
    inverted: Inverted,
}

/// Checks that documents can be kept; of those with the same id, the last one stays. With each its place in the call.
pub(crate) fn distinct(documents: Vec<Document>) -> Result<Vec<(usize, Document)>, RetrieveError> {
    if documents.iter().any(|document| document.id.is_empty()) {
        return Err(RetrieveError::Document { id: String::new(), problem: "has no id".into() });
    }
    let mut last: HashMap<&str, usize> = HashMap::with_capacity(documents.len());
    for (at, document) in documents.iter().enumerate() {
        last.insert(&document.id, at);
    }
    if last.len() == documents.len() {
        return Ok(documents.into_iter().enumerate().collect());
    }
    let mut keep: Vec<usize> = last.into_values().collect();
    keep.sort_unstable();
    let mut keep = keep.into_iter().peekable();
    Ok(documents.into_iter().enumerate().filter(|(at, _)| keep.next_if_eq(at).is_some()).collect())
}

impl Corpus {
    pub(crate) fn new(params: Params, analyzer: Arc<dyn Analyzer>) -> Self {
        Self { table: Table::default(), inverted: Inverted::new(params, analyzer) }
    }

    pub(crate) fn params(&self) -> Params {
        self.inverted.params
    }

    /// The name of what makes terms of texts.
    pub(crate) fn analyzer(&self) -> String {
        self.inverted.analyzer.name()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.live()
    }

    /// Keeps documents, which [`distinct`] has checked. Answers the keys of those that were replaced.
    pub(crate) fn upsert(&mut self, documents: impl IntoIterator<Item = Document>) -> Vec<u64> {
        let mut replaced = Vec::new();
        for mut document in documents {
            replaced.extend(self.take(&document.id));
            document.score = None;
            self.inverted.push(&document.text);
            self.table.push(document);
        }
        self.settle();
        replaced
    }

    /// Keeps documents that were saved, under their keys, which rise.
    pub(crate) fn restore(&mut self, documents: impl IntoIterator<Item = (u64, Document)>) {
        for (key, document) in documents {
            self.take(&document.id);
            self.inverted.push(&document.text);
            self.table.push_keyed(document, key);
        }
        self.settle();
    }

    /// Forgets documents; answers the keys of those that were there.
    pub(crate) fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) -> Vec<u64> {
        let removed = ids.into_iter().filter_map(|id| self.take(id)).collect();
        self.settle();
        removed
    }

    fn take(&mut self, id: &str) -> Option<u64> {
        let (slot, document) = self.table.take(id)?;
        self.inverted.forget(slot, &document.text);
        self.table.key_of(slot)
    }

    fn settle(&mut self) {
        self.inverted.settle();
        // A third is gone: what numbering anew costs was paid for by the calls that took them out.
        if self.inverted.gone() >= MIN_GONE.max(self.table.live() / 2) {
            let old = self.inverted.compact();
            self.table.renumber(&old);
        }
    }

    /// The best `k` documents for these words, with the keys, the best first, equals by id.
    pub(crate) fn search(&self, text: &str, k: usize, filter: Option<&Filter>) -> Vec<(u64, f64)> {
        let fits = |slot: u32| {
            filter.is_none_or(|filter| self.table.get(slot).is_some_and(|document| filter.matches(&document.metadata)))
        };
        let ties = |a: u32, b: u32| self.table.id(a).cmp(self.table.id(b));
        let wanted = Wanted { k, accept: filter.is_some().then_some(&fits), ties: &ties };
        let found = self.inverted.search(text, &wanted);
        found.into_iter().filter_map(|(slot, score)| Some((self.table.key_of(slot)?, score))).collect()
    }

    /// The document of a key.
    pub(crate) fn by_key(&self, key: u64) -> Option<&Document> {
        self.table.get(self.table.slot_of(key)?)
    }

    /// The key that the next new document gets.
    pub(crate) fn next_key(&self) -> u64 {
        self.table.next_key()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Document> {
        self.table.get(self.table.find(id)?)
    }

    pub(crate) fn ids_of(&self, source: &str) -> Vec<String> {
        self.table.ids_of(source)
    }

    /// All documents, with their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Document)> {
        self.table.iter().filter_map(|(slot, document)| Some((self.table.key_of(slot)?, document)))
    }
}
