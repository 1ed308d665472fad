//! The seam: what keeps documents to be found, and what ingestion writes to.

use std::fmt::Debug;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use atomr_agents_embed::Vectors;
use futures_util::future::BoxFuture;

use crate::RetrieveError;

/// The document that a piece was cut from; of a whole document, its own id.
///
/// ```
/// use atomr_agents_core::{Document, Span};
/// use atomr_agents_retriever::source_of;
///
/// let whole = Document::new("a.md", "Rain.");
/// let piece = Document { span: Some(Span { source: "a.md".into(), ..Span::default() }), ..Document::new("a.md#0", "Rain.") };
/// assert_eq!((source_of(&whole), source_of(&piece)), ("a.md", "a.md"));
/// ```
#[must_use]
pub fn source_of(document: &Document) -> &str {
    document.span.as_ref().map_or(&document.id, |span| &span.source)
}

/// Keeps documents by id, so that they are found.
///
/// Every call does all that it was asked or nothing. What a finished call wrote, the next search sees.
/// [`conformance::check_index`](crate::conformance::check_index) tests the rules.
pub trait DocumentIndex: Debug + Send + Sync + 'static {
    /// The dimension of the vectors that documents must come with; `None` where none are taken.
    fn dim(&self) -> Option<usize>;

    /// Keeps these documents; one whose id is there is replaced. Where an id stands twice in a call, the last one counts.
    /// Vector `i` is that of document `i`. Dropping the future leaves all of them written, or none.
    ///
    /// # Errors
    /// [`RetrieveError::Vectors`] where there is not one vector for each document, or any for an index that takes none;
    /// [`RetrieveError::Document`] for a document without an id.
    fn upsert<'a>(
        &'a self,
        documents: Vec<Document>,
        vectors: Option<Vectors>,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), RetrieveError>>;

    /// Forgets the documents of these ids; answers how many were there.
    fn remove<'a>(&'a self, ids: &'a [String], ctx: &'a CallCtx) -> BoxFuture<'a, Result<usize, RetrieveError>>;

    /// How many documents can be found.
    fn count(&self) -> BoxFuture<'_, Result<usize, RetrieveError>>;

    /// The documents of these ids, without a score; `None` for an id that is not there.
    fn get<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Document>>, RetrieveError>>;

    /// The ids of what was cut from this source (see [`source_of`]), in order.
    fn ids_of<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Vec<String>, RetrieveError>>;
}

impl<I: DocumentIndex + ?Sized> DocumentIndex for Arc<I> {
    fn dim(&self) -> Option<usize> {
        (**self).dim()
    }

    fn upsert<'a>(
        &'a self,
        documents: Vec<Document>,
        vectors: Option<Vectors>,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), RetrieveError>> {
        (**self).upsert(documents, vectors, ctx)
    }

    fn remove<'a>(&'a self, ids: &'a [String], ctx: &'a CallCtx) -> BoxFuture<'a, Result<usize, RetrieveError>> {
        (**self).remove(ids, ctx)
    }

    fn count(&self) -> BoxFuture<'_, Result<usize, RetrieveError>> {
        (**self).count()
    }

    fn get<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<Document>>, RetrieveError>> {
        (**self).get(ids)
    }

    fn ids_of<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Vec<String>, RetrieveError>> {
        (**self).ids_of(source)
    }
}
