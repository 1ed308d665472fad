//! Retrievers made of retrievers.

mod compression;
mod embeddings_filter;
mod ensemble;
mod mmr;
mod multi_query;
mod parent;
mod rerank;
mod self_query;
mod time_weighted;

pub use compression::{Compressor, ContextualCompression, ModelCompressor, SentenceCompressor};
pub use embeddings_filter::EmbeddingsFilter;
pub use ensemble::Ensemble;
pub use mmr::{Mmr, mmr};
pub use multi_query::MultiQuery;
pub use parent::ParentDocument;
pub use rerank::{EmbeddingReranker, ModelReranker, RerankedRetriever, Reranker};
pub use self_query::{Field, FieldType, SelfQuery};
pub use time_weighted::TimeWeighted;

use atomr_agents_core::Document;

use crate::{Query, RetrieveError};

/// How many candidates a retriever asks another one for, where it says nothing else.
const CANDIDATES: usize = 50;
/// How many calls of a model are under way at once.
const AT_ONCE: usize = 8;

/// How many documents answer a query, and the query for the candidates that they are chosen of; none where none are wanted.
fn candidates(query: &Query, top_k: usize, candidates: usize) -> Result<Option<(usize, Query)>, RetrieveError> {
    query.check()?;
    let k = query.top_k.unwrap_or(top_k);
    Ok((k > 0).then(|| (k, query.clone().top_k(k.max(candidates)))))
}

/// The cosine of two vectors; 0 where one of them has no direction.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let length = (dot(a, a) * dot(b, b)).sqrt();
    if length > 0.0 { dot(a, b) / length } else { 0.0 }
}

/// The best first, at most `k`, equals by id.
fn best(mut found: Vec<Document>, k: usize) -> Vec<Document> {
    crate::vector::by_score(&mut found);
    found.truncate(k);
    found
}
