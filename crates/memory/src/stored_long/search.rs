//! How a [`StoredLong`] is searched.

use std::cmp::Reverse;

use atomr_agents_core::{CallCtx, Value};
use serde_json::Map;

use super::index::{Source, Wanted};
use super::{Stored, StoredLong};
use crate::clock::now_ms;
use crate::keeper::{by_words, read};
use crate::parts::{Asked, asked, deep, fused, text_of};
use crate::{MemoryError, Namespace, Search, StoreItem};

impl StoredLong {
    pub(super) async fn find(&self, search: &Search, ctx: &CallCtx) -> Result<Vec<StoreItem>, MemoryError> {
        let ranked = match asked(search, self.options.embedder.as_ref(), ctx).await? {
            Asked::Nothing => return Ok(Vec::new()),
            Asked::Latest => return self.latest(search).await,
            Asked::Meaning(vector) => self.by_meaning(search, &vector).await?,
            Asked::Words(words) => self.by_words(search, &words, search.top_k).await?,
            Asked::Both(vector, words) => {
                let deep = deep(search.top_k);
                let wide = Search { top_k: deep, ..search.clone() };
                let (near, worded) =
                    futures_util::try_join!(self.by_meaning(&wide, &vector), self.by_words(&wide, &words, deep))?;
                fused([near, worded], search.top_k)
            }
        };
        self.items(ranked).await
    }

    async fn by_meaning(&self, search: &Search, unit: &[f32]) -> Result<Vec<(String, f64)>, MemoryError> {
        let (now, limit) = (now_ms(), self.options.max_searched);
        let allowed = match &search.filter {
            Some(_) => Some(self.values_below(search).await?.into_iter().map(|(place, _)| place).collect()),
            None => None,
        };
        let source = Source {
            vectors: &self.vectors,
            changes: &self.changes,
            namespace: &search.namespace,
            model: self.options.embedder.as_ref().map(|embedder| embedder.model()),
            limit,
        };
        let wanted = Wanted { now, allowed, unit, top_k: search.top_k };
        self.indexes.nearest(&source, &wanted, self.options.max_indexed).await
    }

    async fn by_words(&self, search: &Search, words: &str, limit: usize) -> Result<Vec<(String, f64)>, MemoryError> {
        let all = self.values_below(search).await?;
        let texts: Vec<String> = all.iter().map(|(_, stored)| text_of(&stored.value)).collect();
        let best = by_words(&texts, words, limit)?;
        Ok(best.into_iter().filter_map(|(at, score)| Some((all.get(at)?.0.clone(), score))).collect())
    }

    /// What lies below the namespace of a search, is there and fulfils its filter, by place.
    async fn values_below(&self, search: &Search) -> Result<Vec<(String, Stored)>, MemoryError> {
        let (now, limit) = (now_ms(), self.options.max_searched);
        let records = self.values.all(&search.namespace.path()?, &search.namespace, limit).await?;
        let mut all = Vec::with_capacity(records.len());
        let none = Map::new();
        for (key, record) in records {
            let stored: Stored = read(key.name(), &record)?;
            let fields = if let Value::Object(fields) = &stored.value { fields } else { &none };
            if !stored.is_over(now) && search.filter.as_ref().is_none_or(|filter| filter.matches(fields)) {
                all.push((key.name().to_owned(), stored));
            }
        }
        Ok(all)
    }

    async fn latest(&self, search: &Search) -> Result<Vec<StoreItem>, MemoryError> {
        let mut all = self.values_below(search).await?;
        all.sort_by(|(a, one), (b, other)| (Reverse(one.updated_ms), a).cmp(&(Reverse(other.updated_ms), b)));
        all.truncate(search.top_k);
        all.into_iter().map(|(place, stored)| item(&place, stored, None)).collect()
    }

    /// The items of these places, with these scores. One that is gone meanwhile is left out.
    async fn items(&self, ranked: Vec<(String, f64)>) -> Result<Vec<StoreItem>, MemoryError> {
        let mut items = Vec::with_capacity(ranked.len());
        for (place, score) in ranked {
            if let Some(record) = self.values.get(&place).await? {
                items.push(item(&place, read(&place, &record)?, Some(score))?);
            }
        }
        Ok(items)
    }
}

fn item(place: &str, stored: Stored, score: Option<f64>) -> Result<StoreItem, MemoryError> {
    let Some((namespace, key)) = Namespace::of_place(place) else {
        let message = "its name is that of no item".to_owned();
        return Err(MemoryError::Damaged { place: place.to_owned(), message });
    };
    Ok(StoreItem { score, ..stored.item(namespace, key) })
}
