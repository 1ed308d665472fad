//! Vectors of one dimension, one after the other.

use crate::EmbedError;

/// Vectors of one dimension in one block of memory: row `i` stands at `i * dim`. Every value is finite.
///
/// ```
/// use atomr_agents_embed::Vectors;
///
/// let vectors = Vectors::new(2, vec![1.0, 0.0, 0.5, 0.5])?;
/// assert_eq!(vectors.row(1), Some(&[0.5, 0.5][..]));
/// assert!(Vectors::new(2, vec![1.0]).is_err());
/// assert!(Vectors::new(1, vec![f32::NAN]).is_err());
/// # Ok::<(), atomr_agents_embed::EmbedError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    dim: usize,
    values: Vec<f32>,
}

impl Vectors {
    /// The rows of a block.
    ///
    /// # Errors
    /// [`EmbedError::Dimension`] where `dim` is 0 or the block holds no whole number of rows; [`EmbedError::NotFinite`]
    /// names the first row and column that is NaN or infinite.
    pub fn new(dim: usize, values: Vec<f32>) -> Result<Self, EmbedError> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            let found = if dim == 0 { 0 } else { values.len() % dim };
            return Err(EmbedError::Dimension { expected: dim.max(1), found });
        }
        // The sum of any NaN or infinity with anything is none that is finite: one pass without a branch for the usual case.
        if !values.iter().fold(0.0f32, |sum, value| sum + value * 0.0).is_finite()
            && let Some(at) = values.iter().position(|value| !value.is_finite())
        {
            return Err(EmbedError::NotFinite { row: at / dim, column: at % dim });
        }
        Ok(Self { dim, values })
    }

    /// No vector, of this dimension.
    ///
    /// # Errors
    /// As [`Vectors::new`].
    pub fn empty(dim: usize) -> Result<Self, EmbedError> {
        Self::new(dim, Vec::new())
    }

    /// How many numbers a vector has.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many vectors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One vector.
    #[must_use]
    pub fn row(&self, at: usize) -> Option<&[f32]> {
        self.values.get(at.checked_mul(self.dim)?..)?.get(..self.dim)
    }

    /// The vectors in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> + '_ {
        self.values.chunks_exact(self.dim)
    }

    /// The whole block.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The whole block, to keep.
    #[must_use]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// These and the others behind them.
    ///
    /// # Errors
    /// [`EmbedError::Dimension`] where theirs is another one.
    pub fn append(&mut self, others: &Self) -> Result<(), EmbedError> {
        if others.dim != self.dim {
            return Err(EmbedError::Dimension { expected: self.dim, found: others.dim });
        }
        self.values.extend_from_slice(&others.values);
        Ok(())
    }
}
