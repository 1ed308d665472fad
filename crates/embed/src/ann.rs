//! The seam: what finds the nearest vectors.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::{EmbedError, Vectors};

/// A vector that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its id.
    pub id: u64,
    /// How near it is: higher is nearer. The cosine, the dot product, or the negative square of the distance.
    pub score: f32,
}

/// Which ids may be found.
pub type Allowed<'a> = &'a (dyn Fn(u64) -> bool + Send + Sync);

/// Keeps vectors by id and finds those nearest to another one.
///
/// [`conformance::check_index`](crate::conformance::check_index) tests the rules.
pub trait AnnIndex: Debug + Send + Sync + 'static {
    /// How many values a vector must have.
    fn dim(&self) -> usize;

    /// How many vectors can be found.
    fn count(&self) -> BoxFuture<'_, Result<usize, EmbedError>>;

    /// Keeps each vector under its id; one that is there is replaced. Where an id stands twice in a call, its last vector
    /// counts. All of them are kept or none.
    ///
    /// # Errors
    /// [`EmbedError::Dimension`] for vectors of another dimension, or as many ids as there are no vectors.
    fn upsert<'a>(&'a self, ids: &'a [u64], vectors: &'a Vectors) -> BoxFuture<'a, Result<(), EmbedError>>;

    /// Forgets the vectors of these ids; answers how many were there.
    fn remove<'a>(&'a self, ids: &'a [u64]) -> BoxFuture<'a, Result<usize, EmbedError>>;

    /// The `k` nearest of those that are allowed (all, without a filter), the nearest first, equals by id. An index of
    /// fewer gives fewer; `k` = 0 gives none.
    ///
    /// # Errors
    /// [`EmbedError::Dimension`] for a query of another dimension, [`EmbedError::NotFinite`] for one with a NaN.
    fn search<'a>(
        &'a self,
        query: &'a [f32],
        k: usize,
        allowed: Option<Allowed<'a>>,
    ) -> BoxFuture<'a, Result<Vec<Neighbour>, EmbedError>>;
}
