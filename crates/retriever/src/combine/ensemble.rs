//! Several retrievers, fused by rank.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use futures_util::future::{BoxFuture, try_join_all};

use super::{CANDIDATES, candidates};
use crate::hybrid::weighs;
use crate::{Query, RRF_K, RetrieveError, Retriever, fuse};

/// Asks several retrievers at once and fuses what they find by rank ([`fuse`], k = 60). Ranks of a member count with its
/// weight; a member of weight 0 is not asked. One that fails fails the whole.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_retriever::{Bm25, Bm25Options, Ensemble, Retriever};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_retriever::RetrieveError> {
/// let index = |id: &str| -> Result<Arc<dyn Retriever>, _> {
///     let index = Bm25::new(Bm25Options::default())?;
///     index.add(vec![Document::new(id, "rain")])?;
///     Ok::<_, atomr_agents_retriever::RetrieveError>(Arc::new(index))
/// };
/// let ensemble = Ensemble::new(vec![(1.0, index("a")?), (2.0, index("b")?)])?;
/// let found = ensemble.retrieve(&"rain".into(), &CallCtx::new()).await?;
/// assert_eq!((found[0].id.as_str(), found[0].score), ("b", Some(2.0 / 61.0)));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<(f64, Arc<dyn Retriever>)>,
    top_k: usize,
    candidates: usize,
}

impl Ensemble {
    /// These members with their weights; ten documents are found where a query does not say.
    ///
    /// # Errors
    /// [`RetrieveError::Invalid`] without members, or for a weight that is negative or no number.
    pub fn new(members: Vec<(f64, Arc<dyn Retriever>)>) -> Result<Self, RetrieveError> {
        if members.is_empty() {
            return Err(RetrieveError::invalid("members", "must be at least one"));
        }
        members.iter().try_for_each(|(weight, _)| weighs("weights", *weight))?;
        Ok(Self { members, top_k: 10, candidates: CANDIDATES })
    }

    /// How many documents are found where a query does not say.
    #[must_use]
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// How many documents each member is asked for, at least: 50 by default.
    #[must_use]
    pub fn candidates(mut self, candidates: usize) -> Self {
        self.candidates = candidates;
        self
    }
}

impl Retriever for Ensemble {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        Box::pin(async move {
            let Some((k, deep)) = candidates(query, self.top_k, self.candidates)? else { return Ok(Vec::new()) };
            let asked = self.members.iter().filter(|(weight, _)| *weight > 0.0);
            let lists = asked
                .map(async |(weight, member)| Ok::<_, RetrieveError>((*weight, member.retrieve(&deep, ctx).await?)));
            let mut found = fuse(try_join_all(lists).await?, RRF_K);
            found.truncate(k);
            Ok(found)
        })
    }
}
