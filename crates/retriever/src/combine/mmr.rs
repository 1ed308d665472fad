//! What fits and is not the same again.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use atomr_agents_embed::{Embedder, Vectors};
use futures_util::future::BoxFuture;

use super::{CANDIDATES, candidates, cosine};
use crate::vector::{matched, rows};
use crate::{Query, RetrieveError, Retriever};

/// Maximal marginal relevance: picks one after the other the vector with the greatest
/// `lambda · cos(query, it) - (1 - lambda) · max cos(picked, it)`; of equals, the first. Answers the places, with that value
/// for each.
///
/// ```
/// use atomr_agents_embed::Vectors;
/// use atomr_agents_retriever::mmr;
///
/// let vectors = Vectors::new(2, vec![1.0, 0.0, 1.0, 0.05, 0.0, 1.0])?;
/// let picked: Vec<usize> = mmr(&[1.0, 0.5], &vectors, 0.3, 2).into_iter().map(|(at, _)| at).collect();
/// assert_eq!(picked, [1, 2]);
/// # Ok::<(), atomr_agents_embed::EmbedError>(())
/// ```
#[must_use]
pub fn mmr(query: &[f32], vectors: &Vectors, lambda: f64, k: usize) -> Vec<(usize, f64)> {
    let relevance: Vec<f64> = vectors.rows().map(|vector| cosine(query, vector)).collect();
    // The first pick has nothing to be like.
    let mut alike: Vec<f64> = vec![0.0; relevance.len()];
    let mut left: Vec<usize> = (0..relevance.len()).collect();
    let mut picked = Vec::with_capacity(k.min(left.len()));
    while picked.len() < k && !left.is_empty() {
        let value = |at: usize| {
            lambda * relevance.get(at).copied().unwrap_or(0.0) - (1.0 - lambda) * alike.get(at).copied().unwrap_or(0.0)
        };
        let mut most = (0, f64::NEG_INFINITY);
        for (place, at) in left.iter().enumerate() {
            if value(*at) > most.1 {
                most = (place, value(*at));
            }
        }
        let at = left.remove(most.0);
        let first = picked.is_empty();
        picked.push((at, most.1));
        let Some(new) = vectors.row(at) else { continue };
        for (vector, alike) in vectors.rows().zip(&mut alike) {
            let near = cosine(new, vector);
            *alike = if first { near } else { alike.max(near) };
        }
    }
    picked
}

/// Asks a retriever for many documents and picks those that fit and differ ([`mmr`]). Query and documents are embedded in one
/// call. The score is the value that a document had when it was picked, or that of the one before where this is less.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_embed::MockEmbedder;
/// use atomr_agents_retriever::{Bm25, Bm25Options, Mmr, Retriever};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_retriever::RetrieveError> {
/// let index = Bm25::new(Bm25Options::default())?;
/// let text = [("a", "rain in Oslo"), ("b", "rain in Oslo!"), ("c", "rain and a long grey road")];
/// index.add(text.map(|(id, text)| Document::new(id, text)).into())?;
/// let search = Mmr::new(Arc::new(index), Arc::new(MockEmbedder::new(512)?), 0.3)?.top_k(2);
/// let found = search.retrieve(&"rain in Oslo".into(), &CallCtx::new()).await?;
/// assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Mmr {
    base: Arc<dyn Retriever>,
    embedder: Arc<dyn Embedder>,
    lambda: f64,
    top_k: usize,
    candidates: usize,
}

impl Mmr {
    /// Five of fifty that `base` finds. With a `lambda` of 1 only the fit counts, with 0 only the difference.
    ///
    /// # Errors
    /// [`RetrieveError::Invalid`] for a `lambda` outside of 0 to 1.
    pub fn new(base: Arc<dyn Retriever>, embedder: Arc<dyn Embedder>, lambda: f64) -> Result<Self, RetrieveError> {
        if !(0.0..=1.0).contains(&lambda) {
            return Err(RetrieveError::invalid("lambda", format!("must lie between 0 and 1, not {lambda}")));
        }
        Ok(Self { base, embedder, lambda, top_k: 5, candidates: CANDIDATES })
    }

    /// How many documents are found where a query does not say.
    #[must_use]
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Of how many documents is picked, at least: 50 by default.
    #[must_use]
    pub fn candidates(mut self, candidates: usize) -> Self {
        self.candidates = candidates;
        self
    }
}

impl Retriever for Mmr {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        Box::pin(async move {
            let Some((k, deep)) = candidates(query, self.top_k, self.candidates)? else { return Ok(Vec::new()) };
            let found = self.base.retrieve(&deep, ctx).await?;
            if found.is_empty() {
                return Ok(found);
            }
            let texts: Vec<&str> = found.iter().map(|one| one.text.as_str()).chain([query.text.as_str()]).collect();
            let all = self.embedder.embed(&texts, ctx).await?;
            let all = matched(texts.len(), Some(&all), all.dim())?;
            let vectors = rows(all, 0..found.len())?;
            let mut found: Vec<Option<Document>> = found.into_iter().map(Some).collect();
            let mut least = f64::INFINITY;
            let picked = mmr(all.row(vectors.len()).unwrap_or_default(), &vectors, self.lambda, k);
            let document = |(at, value): (usize, f64)| {
                least = value.min(least);
                found.get_mut(at).and_then(Option::take).map(|document| document.scored(least))
            };
            Ok(picked.into_iter().filter_map(document).collect())
        })
    }
}
