//! What implementations of [`LongStore`](crate::LongStore) are made of, so that they all mean the same by a search.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document, Value};
use atomr_agents_embed::{EmbedError, Embedder, Vectors};
use atomr_agents_retriever::{RRF_K, fuse};

use crate::{By, MemoryError, Search};

/// What a search asks for, once it is known what can be compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// Nothing: no item is wanted.
    Nothing,
    /// The items that were written last.
    Latest,
    /// Those nearest to this vector, which has length 1.
    Meaning(Vec<f32>),
    /// Those that share these words.
    Words(String),
    /// Both, each looked at [`deep`], and [`fused`].
    Both(Vec<f32>, String),
}

/// Checks a search, and makes the vector of its query where it is compared by meaning.
///
/// # Errors
/// [`MemoryError::Retrieve`] for a filter that cannot be asked, [`MemoryError::Embed`] for a vector that cannot be compared or
/// made, [`MemoryError::Name`] where one is needed and there is no embedder.
pub async fn asked(search: &Search, embedder: Option<&Arc<dyn Embedder>>, ctx: &CallCtx) -> Result<Asked, MemoryError> {
    if let Some(filter) = &search.filter {
        filter.check()?;
    }
    if search.top_k == 0 {
        return Ok(Asked::Nothing);
    }
    let vector = wanted_vector(search, embedder, ctx).await?;
    let words = match search.by {
        By::Words | By::Both => search.query.clone(),
        By::Best if vector.is_none() => search.query.clone(),
        _ => None,
    };
    Ok(match (vector, words) {
        (None, None) => Asked::Latest,
        (Some(vector), None) => Asked::Meaning(vector),
        (None, Some(words)) => Asked::Words(words),
        (Some(vector), Some(words)) => Asked::Both(vector, words),
    })
}

/// The vector to compare with, of length 1; `None` where it is not compared by meaning.
async fn wanted_vector(
    search: &Search,
    embedder: Option<&Arc<dyn Embedder>>,
    ctx: &CallCtx,
) -> Result<Option<Vec<f32>>, MemoryError> {
    if search.by == By::Words {
        return Ok(None);
    }
    if let Some(given) = &search.embedding {
        return Ok(Some(unit(given)?));
    }
    let (Some(query), Some(_)) = (&search.query, embedder) else {
        return match (search.by, &search.query) {
            (By::Best, _) | (_, None) => Ok(None),
            _ => Err(MemoryError::name("embedder", "is missing: without one only words can be compared".into())),
        };
    };
    let made = embed(embedder, std::slice::from_ref(query), ctx).await?;
    made.first().map(|vector| unit(vector)).transpose().map_err(Into::into)
}

/// A vector for each text; none without an embedder.
///
/// # Errors
/// [`MemoryError::Embed`].
pub async fn embed(
    embedder: Option<&Arc<dyn Embedder>>,
    texts: &[String],
    ctx: &CallCtx,
) -> Result<Vec<Vec<f32>>, MemoryError> {
    let Some(embedder) = embedder.filter(|_| !texts.is_empty()) else { return Ok(Vec::new()) };
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Ok(embedder.embed(&texts, ctx).await?.rows().map(<[f32]>::to_vec).collect())
}

/// What is read, searched and embedded of a value.
#[must_use]
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => match fields.get("text") {
            Some(Value::String(text)) => text.clone(),
            _ => value.to_string(),
        },
        other => other.to_string(),
    }
}

/// How many of each ranking are merged: deep enough that an item which is good in both is in both.
#[must_use]
pub fn deep(top_k: usize) -> usize {
    top_k.saturating_mul(4).max(50)
}

/// Two rankings as one, by reciprocal ranks; equals by place.
#[must_use]
pub fn fused(rankings: [Vec<(String, f64)>; 2], top_k: usize) -> Vec<(String, f64)> {
    let named = |ranking: Vec<(String, f64)>| ranking.into_iter().map(|(place, _)| Document::new(place, "")).collect();
    let fused = fuse(rankings.map(|ranking| (1.0, named(ranking))).into(), RRF_K);
    let mut fused: Vec<_> = fused.into_iter().map(|one| (one.id, one.score.unwrap_or_default())).collect();
    fused.sort_by(|(a, one), (b, other)| other.total_cmp(one).then_with(|| a.cmp(b)));
    fused.truncate(top_k);
    fused
}

/// Whether a vector can be kept: it has values, and all are finite.
///
/// # Errors
/// [`EmbedError::Invalid`] and its like.
pub fn check_vector(vector: &[f32]) -> Result<(), EmbedError> {
    Vectors::new(vector.len(), vector.to_vec()).map(|_| ())
}

/// The vector of a query, with length 1.
fn unit(vector: &[f32]) -> Result<Vec<f32>, EmbedError> {
    check_vector(vector)?;
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length == 0.0 || !length.is_finite() {
        return Err(EmbedError::invalid("embedding", "must have a length that is finite and not 0"));
    }
    Ok(vector.iter().map(|value| value / length).collect())
}

/// The values of an item's vector, scaled to length 1; zeros as they are. In 64 bits, where no length is beyond the numbers.
pub fn scaled<V: Iterator<Item = f32> + Clone>(values: V) -> impl Iterator<Item = f32> {
    let length = values.clone().map(|value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    values.map(move |value| (f64::from(value) * scale) as f32)
}
