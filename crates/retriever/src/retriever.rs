//! The seam: what finds documents.

use std::fmt::Debug;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{Filter, RetrieveError};

/// What is looked for. A text is one: `Query::from("rain in Oslo")`.
///
/// ```
/// use atomr_agents_retriever::{Filter, Query};
///
/// let query = Query::new("rain").filter(Filter::ge("year", 2020)).top_k(3);
/// assert_eq!((query.text.as_str(), query.top_k), ("rain", Some(3)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The words.
    pub text: String,
    /// What the metadata of everything that is found must fulfil.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// How many documents at most; the retriever's own number, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
}

impl Query {
    /// These words, without a filter.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Only what fulfils this, and the filters that are there.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter.take() {
            Some(have) => Filter::all([have, filter]),
            None => filter,
        });
        self
    }

    /// At most this many documents.
    #[must_use]
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.top_k = Some(top_k);
        self
    }

    /// Whether it can be asked; every retriever asks this first.
    ///
    /// # Errors
    /// As [`Filter::check`].
    pub fn check(&self) -> Result<(), RetrieveError> {
        self.filter.as_ref().map_or(Ok(()), Filter::check)
    }

    /// Whether the filter, if there is one, holds for a document.
    pub(crate) fn fits(&self, document: &Document) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(&document.metadata))
    }

    /// The same filter and number with other words.
    #[must_use]
    pub fn reworded(&self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self.clone() }
    }
}

impl From<&str> for Query {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Query {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Finds documents.
///
/// What is found has a score, the best first, each document once, not more than asked for; the filter of the query holds
/// for all of it. Documents of equal score stand in an order that is always the same. Nothing else of a document is changed.
///
/// [`conformance::check_retriever`](crate::conformance::check_retriever) tests the rules.
pub trait Retriever: Debug + Send + Sync + 'static {
    /// The documents that fit best. Dropping the future stops the work.
    ///
    /// # Errors
    /// [`RetrieveError`]; nothing found is no error.
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>>;
}

impl<R: Retriever + ?Sized> Retriever for Arc<R> {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        (**self).retrieve(query, ctx)
    }
}
