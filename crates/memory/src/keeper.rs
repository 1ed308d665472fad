//! What both stores do with a [`Store`]: names, records and scans in pages.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::Document;
use atomr_agents_retriever::{Bm25, Bm25Options, Query};
use atomr_agents_state::{Key, Record, Scan, Store};
use serde::de::DeserializeOwned;

use crate::{MemoryError, Namespace};

/// How many records are read at once.
const PAGE: usize = 1_000;

/// A space of a store.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) store: Arc<dyn Store>,
    space: &'static str,
}

/// What is remembered is not printed.
impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.space, self.store.kind())
    }
}

impl Keeper {
    pub(crate) fn new(store: Arc<dyn Store>, space: &'static str) -> Self {
        Self { store, space }
    }

    pub(crate) fn key(&self, place: &str) -> Result<Key, MemoryError> {
        Ok(Key::new(self.space, place)?)
    }

    /// The record of an item.
    pub(crate) async fn get(&self, place: &str) -> Result<Option<Record>, MemoryError> {
        Ok(self.store.get(&self.key(place)?).await?)
    }

    /// Up to `limit` records whose names begin so.
    pub(crate) async fn page(&self, scan: Scan, limit: usize) -> Result<Vec<(Key, Record)>, MemoryError> {
        let mut found = Vec::new();
        let mut scan = Scan { space: self.space.to_owned(), ..scan };
        while found.len() < limit {
            let page = self.store.scan(&scan.clone().limit(PAGE.min(limit - found.len()))).await?;
            let Some((last, _)) = page.last() else { break };
            scan.after = Some(last.name().to_owned());
            let ended = page.len() < PAGE.min(limit - found.len());
            found.extend(page);
            if ended {
                break;
            }
        }
        Ok(found)
    }

    /// All records of a namespace or below it, which must not be more than `limit`.
    pub(crate) async fn all(
        &self,
        prefix: &str,
        namespace: &Namespace,
        limit: usize,
    ) -> Result<Vec<(Key, Record)>, MemoryError> {
        let found = self.page(Scan::of(self.space).prefix(prefix), limit + 1).await?;
        if found.len() > limit {
            return Err(MemoryError::TooMany { namespace: namespace.to_string(), limit });
        }
        Ok(found)
    }
}

/// What a record says.
pub(crate) fn read<T: DeserializeOwned>(place: &str, record: &Record) -> Result<T, MemoryError> {
    serde_json::from_slice(&record.value)
        .map_err(|error| MemoryError::Damaged { place: place.to_owned(), message: error.to_string() })
}

/// The places in `texts` that share words with `query`, the best first, with their scores.
pub(crate) fn by_words(texts: &[String], query: &str, limit: usize) -> Result<Vec<(usize, f64)>, MemoryError> {
    let index = Bm25::new(Bm25Options::default())?;
    let documents = texts.iter().enumerate().map(|(at, text)| Document::new(format!("{at:012}"), text));
    index.add(documents.collect())?;
    let found = index.search(&Query::new(query).top_k(limit))?;
    Ok(found.into_iter().filter_map(|found| Some((found.id.parse().ok()?, found.score?))).collect())
}
