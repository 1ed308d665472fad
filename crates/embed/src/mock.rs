//! An embedder for tests: no model, the same vectors everywhere.

use atomr_agents_core::CallCtx;
use futures_util::future::BoxFuture;

use crate::{EmbedError, Embedder, Vectors};

/// Makes unit vectors of the words of a text, the same on every machine and in every version. Texts that share words are
/// nearer than texts that do not; meaning it knows nothing of. For tests, and where no model is at hand.
///
/// Each word (a run of letters and digits, in lower case) adds ±1 to four places that its BLAKE3 hash names; the sum is
/// scaled to length 1. A text without a word is the hash of its bytes.
///
/// ```
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_embed::{Embedder, MockEmbedder};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_embed::EmbedError> {
/// let vectors = MockEmbedder::new(256)?.embed(&["rain in Oslo", "Oslo: rain!", "a tax form"], &CallCtx::new()).await?;
/// let dot = |a: usize, b: usize| -> f32 {
///     vectors.row(a).unwrap().iter().zip(vectors.row(b).unwrap()).map(|(a, b)| a * b).sum()
/// };
/// assert!(dot(0, 1) > 0.7 && dot(0, 1) > dot(0, 2));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MockEmbedder {
    dim: usize,
    model: String,
}

impl MockEmbedder {
    /// An embedder of this dimension.
    ///
    /// # Errors
    /// [`EmbedError::Invalid`] for 0.
    pub fn new(dim: usize) -> Result<Self, EmbedError> {
        if dim == 0 {
            return Err(EmbedError::invalid("dim", "must be at least 1"));
        }
        Ok(Self { dim, model: format!("mock:{dim}") })
    }

    /// The vector of one text.
    fn vector(&self, text: &str, into: &mut Vec<f32>) {
        let start = into.len();
        into.resize(start + self.dim, 0.0);
        let Some(vector) = into.get_mut(start..) else { return };
        let mut any = false;
        for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
            any = true;
            self.add(word.to_lowercase().as_bytes(), vector);
        }
        // Words may cancel each other; then the whole text stands for them.
        if !any || vector.iter().all(|value| *value == 0.0) {
            self.add(text.as_bytes(), vector);
        }
        if vector.iter().all(|value| *value == 0.0)
            && let Some(first) = vector.first_mut()
        {
            *first = 1.0;
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|value| *value /= length);
    }

    fn add(&self, word: &[u8], vector: &mut [f32]) {
        let hash = blake3::hash(word);
        for eight in hash.as_bytes().chunks_exact(8) {
            let number = eight.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            let at = ((number >> 1) % self.dim as u64) as usize;
            if let Some(value) = vector.get_mut(at) {
                *value += if number & 1 == 0 { 1.0 } else { -1.0 };
            }
        }
    }
}

impl Embedder for MockEmbedder {
    fn model(&self) -> &str {
        &self.model
    }

    fn dim(&self) -> Option<usize> {
        Some(self.dim)
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], _ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        Box::pin(async move {
            let mut values = Vec::with_capacity(texts.len() * self.dim);
            texts.iter().for_each(|text| self.vector(text, &mut values));
            Vectors::new(self.dim, values)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_keeps_the_rules() {
        crate::conformance::check_embedder(&MockEmbedder::new(7).unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn every_text_has_a_unit_vector() {
        let ctx = CallCtx::new();
        for dim in [1, 2, 3, 384] {
            let texts = ["", " ", "a", "rain rain", "…", "né", "a b c d e f g h"];
            let vectors = MockEmbedder::new(dim).unwrap().embed(&texts, &ctx).await.unwrap();
            for row in vectors.rows() {
                assert!((row.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5, "{dim} {row:?}");
            }
        }
    }

    #[test]
    fn a_dimension_of_zero_is_refused() {
        assert_eq!(MockEmbedder::new(0).unwrap_err().to_string(), "dim must be at least 1");
    }
}
