//! How an index works.

use super::MOST;
use super::metric::Metric;
use crate::EmbedError;

/// How an index works; [`IndexOptions::default`] fits most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndexOptions {
    /// What near means.
    pub metric: Metric,
    /// How many vectors the index may hold: at most 4 billion, which is also the default.
    pub max_vectors: usize,
    /// From how many vectors on a graph is made. Below, every vector is looked at.
    pub exact_below: usize,
    /// Which part of the ten nearest a search through the graph shall find, between 0 and 1. How far it has to look for that
    /// is measured when the graph is made, with 128 vectors that are not in it yet: so it holds for queries that are like
    /// the vectors. Where no graph reaches it, or only more slowly than looking at every vector, there is none.
    pub recall: f32,
    /// How many links a vector chooses in the graph, 4 to 64. More find more in data without clusters, and take longer.
    pub m: usize,
    /// How many candidates it chooses them from.
    pub ef_construction: usize,
    /// How many nearest a search keeps on its way, instead of what was measured for `recall`. With it, there is a graph
    /// whatever its recall.
    pub ef: Option<usize>,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            metric: Metric::Cosine,
            max_vectors: MOST,
            exact_below: 10_000,
            recall: 0.95,
            m: 16,
            ef_construction: 100,
            ef: None,
        }
    }
}

impl IndexOptions {
    pub(super) fn check(&self, dim: usize) -> Result<(), EmbedError> {
        let options = self;
        if !(1..=65_536).contains(&dim) {
            return Err(EmbedError::invalid("dim", format!("must be between 1 and 65,536, not {dim}")));
        }
        if !(1..=MOST).contains(&options.max_vectors) {
            return Err(EmbedError::invalid("max_vectors", format!("must be between 1 and {MOST}")));
        }
        if !(0.0..1.0).contains(&options.recall) {
            return Err(EmbedError::invalid(
                "recall",
                format!("must be at least 0 and below 1, not {}", options.recall),
            ));
        }
        if !(4..=64).contains(&options.m) {
            return Err(EmbedError::invalid("m", format!("must be between 4 and 64, not {}", options.m)));
        }
        if !(1..=4096).contains(&options.ef_construction) {
            return Err(EmbedError::invalid("ef_construction", "must be between 1 and 4,096"));
        }
        check_ef(options.ef)
    }
}

pub(super) fn check_ef(ef: Option<usize>) -> Result<(), EmbedError> {
    if ef == Some(0) { Err(EmbedError::invalid("ef", "must be at least 1")) } else { Ok(()) }
}
