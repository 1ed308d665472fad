//! Small pieces are found, whole documents are given.

use std::collections::HashSet;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use futures_util::future::BoxFuture;

use super::{CANDIDATES, candidates};
use crate::{DocumentIndex, Query, RetrieveError, Retriever, source_of};

/// Looks for pieces and gives the documents that they were cut from: each once, in the order and with the score of its best
/// piece. A piece belongs to the document that its span names, or that a key of its metadata names.
///
/// The filter of a query is asked of the pieces. A piece whose document is not there is given itself.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_retriever::{Bm25, Bm25Options, ParentDocument, Retriever};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_retriever::RetrieveError> {
/// let (pieces, whole) = (Bm25::new(Bm25Options::default())?, Bm25::new(Bm25Options::default())?);
/// whole.add(vec![Document::new("a", "Rain in Oslo. Wind in Bergen.")])?;
/// pieces.add(vec![Document::new("a#1", "Wind in Bergen.").with("parent", json!("a"))])?;
/// let search = ParentDocument::new(Arc::new(pieces), Arc::new(whole)).key("parent");
/// assert_eq!(search.retrieve(&"wind".into(), &CallCtx::new()).await?[0].text, "Rain in Oslo. Wind in Bergen.");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ParentDocument {
    pieces: Arc<dyn Retriever>,
    whole: Arc<dyn DocumentIndex>,
    key: Option<String>,
    top_k: usize,
    candidates: usize,
}

impl ParentDocument {
    /// Finds in `pieces`, and gives what `whole` has; five documents where a query does not say.
    #[must_use]
    pub fn new(pieces: Arc<dyn Retriever>, whole: Arc<dyn DocumentIndex>) -> Self {
        Self { pieces, whole, key: None, top_k: 5, candidates: CANDIDATES }
    }

    /// The key of the metadata that names the document of a piece.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// How many documents are found where a query does not say.
    #[must_use]
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// How many pieces are looked for, at least: 50 by default.
    #[must_use]
    pub fn candidates(mut self, candidates: usize) -> Self {
        self.candidates = candidates;
        self
    }

    fn parent<'a>(&self, piece: &'a Document) -> &'a str {
        let named = self.key.as_ref().and_then(|key| piece.metadata.get(key)).and_then(|value| value.as_str());
        named.unwrap_or_else(|| source_of(piece))
    }
}

impl Retriever for ParentDocument {
    fn retrieve<'a>(
        &'a self,
        query: &'a Query,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        Box::pin(async move {
            let Some((k, deep)) = candidates(query, self.top_k, self.candidates)? else { return Ok(Vec::new()) };
            let mut seen = HashSet::new();
            let mut pieces = self.pieces.retrieve(&deep, ctx).await?;
            pieces.retain(|piece| seen.insert(self.parent(piece).to_owned()));
            pieces.truncate(k);
            let ids: Vec<String> = pieces.iter().map(|piece| self.parent(piece).to_owned()).collect();
            let whole = self.whole.get(&ids).await?;
            let given = |(piece, whole): (Document, Option<Document>)| match whole {
                Some(whole) => Document { score: piece.score, ..whole },
                None => piece,
            };
            Ok(pieces.into_iter().zip(whole).map(given).collect())
        })
    }
}
