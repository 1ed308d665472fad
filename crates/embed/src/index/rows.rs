//! The vectors of an index: as they were given, and as codes of eight bits.

use std::collections::HashMap;

use super::block::Block;
use super::metric::Metric;
use crate::kernels::{self, Coded, Factors, Query};
use crate::{EmbedError, Neighbour};

/// The largest code: with -127 to 127 no pair of products is cut in the kernels.
const TOP: f32 = 127.0;
/// 1.5 * 2^23.
const WHOLE: f32 = 12_582_912.0;
/// What 32-bit sums of a few thousand products may be wrong by, in parts of the product of the lengths.
const ROUNDING: f32 = 1e-4;

/// Vectors with their ids, in the order in which they came. Those that were removed stay until the index is packed.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) dim: usize,
    pub(super) metric: Metric,
    /// How many codes a row has: the dimension, up to a multiple of 64.
    pub(super) stride: usize,
    pub(super) ids: Block<u64>,
    pub(super) vectors: Block<f32>,
    pub(super) codes: Block<i8>,
    pub(super) factors: Block<Factors>,
    /// The row of each id that is there.
    pub(super) places: HashMap<u64, u32>,
}

/// A query as the kernels want it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) vector: Vec<f32>,
    codes: Vec<i8>,
    scale: f32,
    error: f32,
    length: f32,
    distance: bool,
}

impl Prepared {
    pub(super) fn query(&self) -> Query<'_> {
        let weight = if self.distance { 2.0 } else { 1.0 };
        Query {
            codes: &self.codes,
            scale: self.scale,
            // What the codes of the query leave out, and what the sums round: twice the lengths for distances.
            per_length: weight * (self.error + ROUNDING * self.length),
            per_error: weight * (self.length + self.error),
        }
    }
}

impl Rows {
    pub(super) fn new(dim: usize, metric: Metric) -> Self {
        Self {
            dim,
            metric,
            stride: dim.next_multiple_of(64),
            ids: Block::default(),
            vectors: Block::default(),
            codes: Block::default(),
            factors: Block::default(),
            places: HashMap::new(),
        }
    }

    /// How many rows there are, with those that were removed.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn id(&self, row: u32) -> u64 {
        self.ids.as_slice().get(row as usize).copied().unwrap_or_default()
    }

    /// Whether nobody removed the row or replaced it.
    pub(super) fn alive(&self, row: u32) -> bool {
        self.places.len() == self.len() || self.places.get(&self.id(row)) == Some(&row)
    }

    pub(super) fn vector(&self, row: u32) -> &[f32] {
        let start = row as usize * self.dim;
        self.vectors.as_slice().get(start..start + self.dim).unwrap_or_default()
    }

    pub(super) fn coded(&self) -> Coded<'_> {
        Coded { codes: self.codes.as_slice(), factors: self.factors.as_slice(), stride: self.stride }
    }

    pub(super) fn score(&self, query: &[f32], row: u32) -> Neighbour {
        Neighbour { id: self.id(row), score: self.metric.score(query, self.vector(row)) }
    }

    /// A vector as it is kept and coded; `None` where its length is beyond what can be compared.
    pub(super) fn prepare(&self, vector: &[f32]) -> Option<Prepared> {
        let mut vector = vector.to_vec();
        let mut length = kernels::dot(&vector, &vector).sqrt();
        if self.metric == Metric::Cosine {
            length = normalise(&mut vector);
        }
        if !(length * length * 4.0).is_finite() {
            return None;
        }
        let mut codes = vec![0i8; self.stride];
        let largest = vector.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > f32::MIN_POSITIVE * TOP { largest / TOP } else { 1.0 };
        let (factor, mut error) = (scale.recip(), 0.0);
        for (code, value) in codes.iter_mut().zip(&vector) {
            // To the next whole number: above 2^23 there are no others. `round` would be a call for each value.
            let rounded = (value * factor).clamp(-TOP, TOP) + WHOLE - WHOLE;
            *code = rounded as i8;
            error += (value - rounded * scale) * (value - rounded * scale);
        }
        let distance = self.metric == Metric::L2;
        Some(Prepared { vector, codes, scale, error: error.sqrt(), length, distance })
    }

    /// The query of this vector.
    pub(super) fn asked(&self, query: &[f32]) -> Result<Prepared, EmbedError> {
        if query.len() != self.dim {
            return Err(EmbedError::Dimension { expected: self.dim, found: query.len() });
        }
        let wrong = || EmbedError::NotFinite {
            row: 0,
            column: query.iter().position(|value| !value.is_finite()).unwrap_or_default(),
        };
        if query.iter().any(|value| !value.is_finite()) {
            return Err(wrong());
        }
        self.prepare(query).ok_or_else(wrong)
    }

    /// Adds the rows; the places of their ids are not told yet.
    pub(super) fn push(&mut self, ids: &[u64], prepared: &[Prepared]) -> Result<(), EmbedError> {
        self.ids.reserve(ids.len())?;
        self.factors.reserve(ids.len())?;
        self.codes.reserve(ids.len() * self.stride)?;
        self.vectors.reserve(ids.len() * self.dim)?;
        for (id, prepared) in ids.iter().zip(prepared) {
            let (factor, offset) = match self.metric {
                Metric::L2 => (2.0 * prepared.scale, -prepared.length * prepared.length),
                Metric::Cosine | Metric::Dot => (prepared.scale, 0.0),
            };
            self.ids.extend(&[*id])?;
            self.factors.extend(&[Factors { factor, offset, error: prepared.error, length: prepared.length }])?;
            self.codes.extend(&prepared.codes)?;
            self.vectors.extend(&prepared.vector)?;
        }
        Ok(())
    }

    /// These rows in this order, and nothing else.
    pub(super) fn picked(&self, order: &[u32]) -> Result<Self, EmbedError> {
        let mut rows = Self::new(self.dim, self.metric);
        rows.ids.reserve(order.len())?;
        rows.factors.reserve(order.len())?;
        rows.codes.reserve(order.len() * self.stride)?;
        rows.vectors.reserve(order.len() * self.dim)?;
        rows.places.reserve(order.len());
        for (at, row) in order.iter().enumerate() {
            let factors = self.factors.as_slice().get(*row as usize).copied().unwrap_or_default();
            rows.ids.extend(&[self.id(*row)])?;
            rows.factors.extend(&[factors])?;
            rows.codes.extend(self.coded().row(*row as usize))?;
            rows.vectors.extend(self.vector(*row))?;
            rows.places.insert(self.id(*row), at as u32);
        }
        Ok(rows)
    }
}

/// Gives the vector the length 1, and answers it: 0 for a vector of zeros, which stays as it is.
fn normalise(vector: &mut [f32]) -> f32 {
    let largest = vector.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    // Divided by the largest first: the squares of very large and very small values have no place in 32 bits.
    vector.iter_mut().for_each(|value| *value /= largest);
    let length = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt() as f32;
    vector.iter_mut().for_each(|value| *value /= length);
    1.0
}
