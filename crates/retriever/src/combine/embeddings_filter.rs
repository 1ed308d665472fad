//! Only what is near enough.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use atomr_agents_embed::Embedder;
use futures_util::future::BoxFuture;

use super::{best, cosine};
use crate::vector::matched;
use crate::{Query, RetrieveError, Retriever};

/// Keeps, of what a retriever finds, the documents whose cosine with the query is at least a threshold. Query and documents are
/// embedded in one call. A document keeps its score, unless [`EmbeddingsFilter::rescore`] is asked for.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_embed::MockEmbedder;
/// use atomr_agents_retriever::{Bm25, Bm25Options, EmbeddingsFilter, Retriever};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_retriever::RetrieveError> {
/// let index = Bm25::new(Bm25Options::default())?;
/// index.add(vec![Document::new("a", "rain oslo"), Document::new("b", "rain on a long grey road far from any sea")])?;
/// let near = EmbeddingsFilter::new(Arc::new(index), Arc::new(MockEmbedder::new(512)?), 0.8)?;
/// assert_eq!(near.retrieve(&"oslo rain".into(), &CallCtx::new()).await?.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct EmbeddingsFilter {
    base: Arc<dyn Retriever>,
    embedder: Arc<dyn Embedder>,
    threshold: f64,
    rescore: bool,
}

impl EmbeddingsFilter {
    /// What `base` finds with a cosine of at least `threshold`.
    ///
    /// # Errors
    /// [`RetrieveError::Invalid`] for a threshold outside of -1 to 1.
    pub fn new(base: Arc<dyn Retriever>, embedder: Arc<dyn Embedder>, threshold: f64) -> Result<Self, RetrieveError> {
        if !(-1.0..=1.0).contains(&threshold) {
            return Err(RetrieveError::invalid("threshold", format!("must lie between -1 and 1, not {threshold}")));
        }
        Ok(Self { base, embedder, threshold, rescore: false })
    }

    /// Whether the cosine becomes the score, and orders what is found. It does not, by default.
    #[must_use]
    pub fn rescore(mut self, rescore: bool) -> Self {
        self.rescore = rescore;
        self
    }
}

/// The cosine of each document with the query; one call of the embedder.
pub(super) async fn cosines(
    embedder: &dyn Embedder,
    query: &str,
    documents: &[Document],
    ctx: &CallCtx,
) -> Result<Vec<f64>, RetrieveError> {
    let texts: Vec<&str> = std::iter::once(query).chain(documents.iter().map(|one| one.text.as_str())).collect();
    let vectors = embedder.embed(&texts, ctx).await?;
    let vectors = matched(texts.len(), Some(&vectors), vectors.dim())?;
    let query = vectors.row(0).unwrap_or_default();
    Ok(vectors.rows().skip(1).map(|vector| cosine(query, vector)).collect())
}

impl Retriever for EmbeddingsFilter {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        Box::pin(async move {
            let found = self.base.retrieve(query, ctx).await?;
            if found.is_empty() {
                return Ok(found);
            }
            let near = cosines(&*self.embedder, &query.text, &found, ctx).await?;
            let kept = found.into_iter().zip(near).filter(|(_, near)| *near >= self.threshold);
            if !self.rescore {
                return Ok(kept.map(|(document, _)| document).collect());
            }
            let kept: Vec<Document> = kept.map(|(document, near)| document.scored(near)).collect();
            Ok(best(kept, usize::MAX))
        })
    }
}
