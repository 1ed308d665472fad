//! What is newer counts more.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use atomr_agents_core::{CallCtx, Document, Value};
use futures_util::future::BoxFuture;

use super::{CANDIDATES, best, candidates};
use crate::filter::type_of;
use crate::{Query, RetrieveError, Retriever};

/// Multiplies the score of what a retriever finds by `exp(-decay · hours)`, by the age of the document: a key of its metadata
/// has the time as milliseconds since 1970, `ts_ms` by default. A negative score is divided by it. A document without the key
/// keeps its score; one from the future is as one of now.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_retriever::{Bm25, Bm25Options, Retriever, TimeWeighted};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_retriever::RetrieveError> {
/// let index = Bm25::new(Bm25Options::default())?;
/// let (old, new) = (json!(0), json!(3_600_000));
/// index.add(vec![Document::new("a", "rain").with("ts_ms", old), Document::new("b", "rain").with("ts_ms", new)])?;
/// let search = TimeWeighted::new(Arc::new(index), 0.5)?.at(7_200_000);
/// let found = search.retrieve(&"rain".into(), &CallCtx::new()).await?;
/// assert_eq!(found[0].id, "b");
/// assert!((found[1].score.unwrap() / found[0].score.unwrap() - (-0.5f64).exp()).abs() < 1e-12);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TimeWeighted {
    base: Arc<dyn Retriever>,
    decay: f64,
    key: String,
    at: Option<i64>,
    top_k: usize,
    candidates: usize,
}

impl TimeWeighted {
    /// What `base` finds, weighed by age; five documents where a query does not say.
    ///
    /// # Errors
    /// [`RetrieveError::Invalid`] for a decay below 0.
    pub fn new(base: Arc<dyn Retriever>, decay: f64) -> Result<Self, RetrieveError> {
        crate::hybrid::weighs("decay", decay)?;
        Ok(Self { base, decay, key: "ts_ms".into(), at: None, top_k: 5, candidates: CANDIDATES })
    }

    /// The key of the metadata that has the time.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// Ages as of this time, in milliseconds since 1970, instead of now.
    #[must_use]
    pub fn at(mut self, ms: i64) -> Self {
        self.at = Some(ms);
        self
    }

    /// How many documents are found where a query does not say.
    #[must_use]
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// How many documents are weighed, at least: 50 by default.
    #[must_use]
    pub fn candidates(mut self, candidates: usize) -> Self {
        self.candidates = candidates;
        self
    }

    fn weighed(&self, document: Document, now: f64) -> Result<Document, RetrieveError> {
        let then = match document.metadata.get(&self.key) {
            None | Some(Value::Null) => return Ok(document),
            Some(Value::Number(then)) => then.as_f64().unwrap_or(now),
            Some(other) => {
                let problem = format!("has {} as {:?}, not milliseconds", type_of(other), self.key);
                return Err(RetrieveError::Document { id: document.id, problem });
            }
        };
        let hours = (now - then).max(0.0) / 3_600_000.0;
        let factor = (-self.decay * hours).exp();
        let score = document.score.unwrap_or(0.0);
        // What is worse than nothing becomes worse with age, too.
        let weighed = if score < 0.0 { (score / factor).max(f64::MIN) } else { score * factor };
        Ok(document.scored(weighed))
    }
}

impl Retriever for TimeWeighted {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        Box::pin(async move {
            let Some((k, deep)) = candidates(query, self.top_k, self.candidates)? else { return Ok(Vec::new()) };
            let found = self.base.retrieve(&deep, ctx).await?;
            let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3);
            let now = self.at.map_or_else(clock, |ms| ms as f64);
            let weighed: Result<Vec<_>, _> = found.into_iter().map(|document| self.weighed(document, now)).collect();
            Ok(best(weighed?, k))
        })
    }
}
