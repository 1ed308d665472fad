//! The seam: what makes vectors of texts.

use std::fmt::Debug;
use std::sync::Arc;

use atomr_agents_core::CallCtx;
use futures_util::future::BoxFuture;

use crate::{EmbedError, Vectors};

/// Makes a vector of each text. Nearness of the vectors is nearness of meaning, or of whatever the model learned.
///
/// [`conformance::check_embedder`](crate::conformance::check_embedder) tests the rules.
pub trait Embedder: Debug + Send + Sync + 'static {
    /// What makes the vectors: provider, model and what else changes them. Vectors of two embedders with the same name
    /// are the same; caches rely on it.
    fn model(&self) -> &str;

    /// How many numbers a vector has; `None` where only the first answer tells.
    fn dim(&self) -> Option<usize>;

    /// One vector for each text, in their order; no text gives no vector. Dropping the future stops the work.
    ///
    /// # Errors
    /// [`EmbedError`]; what was done before the failure is in [`EmbedError::Partial`].
    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>>;
}

// What several share is an embedder, too.
impl<E: Embedder + ?Sized> Embedder for Arc<E> {
    fn model(&self) -> &str {
        (**self).model()
    }

    fn dim(&self) -> Option<usize> {
        (**self).dim()
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        (**self).embed(texts, ctx)
    }
}
