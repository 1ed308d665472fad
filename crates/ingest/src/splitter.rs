//! The seam: what cuts a document into pieces.

use std::fmt::Debug;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use futures_util::future::BoxFuture;

use crate::split::documents;
use crate::{Cut, IngestError, Piece};

/// Cuts a document into pieces.
///
/// Every piece is a slice of the text, byte by byte; its [`span`](Document::span) says which, in bytes and in characters. Its
/// id is `<source>#<n>`, counted from 0, and it has the metadata of its source. The pieces stand in the order of the text,
/// and together they cover it: joined by their spans they are the source again. An empty text has no piece. A piece
/// of a piece has its place in the first source.
///
/// [`conformance::check_splitter`](crate::conformance::check_splitter) tests the rules.
///
/// ```
/// use atomr_agents_core::Document;
/// use atomr_agents_ingest::{Recursive, Splitter};
///
/// let splitter = Recursive::new(12).build()?;
/// let pieces = splitter.split(&Document::new("song", "Rain in Oslo.\n\nWind."))?;
/// let texts: Vec<_> = pieces.iter().map(|piece| piece.text.as_str()).collect();
/// assert_eq!(texts, ["Rain in ", "Oslo.\n\nWind."]);
/// assert_eq!(pieces[1].id, "song#1");
/// assert_eq!(pieces[1].span.as_ref().unwrap().char_start, 8);
/// # Ok::<(), atomr_agents_ingest::IngestError>(())
/// ```
pub trait Splitter: Debug + Send + Sync + 'static {
    /// Where the pieces of a document lie in its text.
    ///
    /// # Errors
    /// [`IngestError`] for a document that cannot be cut.
    fn cut(&self, document: &Document) -> Result<Vec<Cut>, IngestError>;

    /// The pieces of a document, which still lie in it.
    ///
    /// # Errors
    /// As [`Self::cut`].
    fn pieces(&self, document: &Document) -> Result<Vec<Piece>, IngestError> {
        Ok(Piece::of(document, self.cut(document)?))
    }

    /// The pieces of a document, each a document of its own.
    ///
    /// # Errors
    /// As [`Self::cut`].
    fn split(&self, document: &Document) -> Result<Vec<Document>, IngestError> {
        Ok(documents(document, self.cut(document)?))
    }
}

impl<S: Splitter + ?Sized> Splitter for Arc<S> {
    fn cut(&self, document: &Document) -> Result<Vec<Cut>, IngestError> {
        (**self).cut(document)
    }
}

/// Cuts a document into pieces, and may wait for somebody: for an embedder, or for code elsewhere. Every [`Splitter`] is one
/// that never waits.
///
/// ```
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_ingest::{AsyncSplitter, Recursive};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_ingest::IngestError> {
/// let splitter = Recursive::new(4).build()?;
/// let pieces = AsyncSplitter::split(&splitter, &Document::new("a", "one two"), &CallCtx::new()).await?;
/// assert_eq!(pieces.len(), 2);
/// # Ok(()) }
/// ```
pub trait AsyncSplitter: Debug + Send + Sync + 'static {
    /// The pieces of a document; the rules are those of [`Splitter`]. Dropping the future stops the work.
    ///
    /// # Errors
    /// [`IngestError`] for a document that cannot be cut.
    fn split<'a>(
        &'a self,
        document: &'a Document,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, IngestError>>;
}

impl<S: Splitter> AsyncSplitter for S {
    fn split<'a>(
        &'a self,
        document: &'a Document,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, IngestError>> {
        Box::pin(std::future::ready(Splitter::split(self, document)))
    }
}

/// One splitter after the other: what the first cut off is cut by the second. The spans are those of the first source.
///
/// ```
/// use atomr_agents_core::Document;
/// use atomr_agents_ingest::{Chain, MarkdownHeader, Recursive, Splitter};
///
/// let splitter = Chain(MarkdownHeader::new().build()?, Recursive::new(9).build()?);
/// let pieces = splitter.split(&Document::new("a", "# Rain\nOften.\n# Wind\n"))?;
/// let texts: Vec<_> = pieces.iter().map(|piece| (piece.id.as_str(), piece.text.as_str())).collect();
/// assert_eq!(texts, [("a#0", "# Rain\n"), ("a#1", "Often.\n"), ("a#2", "# Wind\n")]);
/// assert_eq!(pieces[1].metadata["h1"], "Rain");
/// # Ok::<(), atomr_agents_ingest::IngestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Chain<A, B>(pub A, pub B);

impl<A: Splitter, B: Splitter> Splitter for Chain<A, B> {
    fn cut(&self, document: &Document) -> Result<Vec<Cut>, IngestError> {
        let outer = self.0.cut(document)?;
        let mut all = Vec::with_capacity(outer.len());
        for (cut, piece) in outer.iter().zip(documents(document, outer.clone())) {
            all.extend(self.1.cut(&piece)?.into_iter().map(|inner| cut.within(inner)));
        }
        Ok(all)
    }
}
