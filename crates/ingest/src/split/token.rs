//! Pieces of so many tokens.

use std::sync::Arc;

use atomr_agents_core::Document;
use atomr_agents_tokens::TokenCounter;

use super::cut::{Limits, Seams};
use super::{Cut, Length};
use crate::{IngestError, Splitter};

/// Cuts texts into pieces of at most `chunk_size` tokens, as full as can be: between words, with the space before the word
/// that it belongs to, else between two graphemes. White space is kept as it is, and each piece is counted as a text of
/// its own.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::Document;
/// use atomr_agents_ingest::{Splitter, Token};
/// use atomr_agents_tokens::BpeCounter;
///
/// let splitter = Token::new(Arc::new(BpeCounter), "gpt-4o", 4, 1)?;
/// let pieces = splitter.split(&Document::new("a", "one two  three four five six"))?;
/// let texts: Vec<_> = pieces.iter().map(|piece| piece.text.as_str()).collect();
/// assert_eq!(texts, ["one two  three", " three four five six"]);
/// # Ok::<(), atomr_agents_ingest::IngestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Token {
    limits: Limits,
}

impl Token {
    /// A splitter for pieces of at most `chunk_size` tokens of a model, of which two neighbours share up to `overlap`.
    ///
    /// # Errors
    /// [`IngestError::Config`] for a size of 0 or an overlap that is not smaller than the size.
    pub fn new(
        counter: Arc<dyn TokenCounter>,
        model: &str,
        chunk_size: usize,
        overlap: usize,
    ) -> Result<Self, IngestError> {
        Ok(Self { limits: Limits::checked(chunk_size, overlap, Length::tokens(counter, model))? })
    }
}

/// Places between words.
struct Words;

/// Whether a word with its space begins at `at`, or a line.
fn begins(bytes: &[u8], at: usize) -> bool {
    let (Some(before), Some(after)) = (at.checked_sub(1).and_then(|at| bytes.get(at)), bytes.get(at)) else {
        return false;
    };
    // Of several spaces, the last one belongs to the word.
    let word_next = || bytes.get(at + 1).is_some_and(|next| !next.is_ascii_whitespace());
    *before == b'\n' || (after.is_ascii_whitespace() && (!before.is_ascii_whitespace() || word_next()))
}

impl Seams for Words {
    fn last(&self, text: &str, floor: usize, end: usize, free: &dyn Fn(usize) -> bool) -> Option<usize> {
        let bytes = text.as_bytes();
        (floor + 1..=end).rev().find(|at| begins(bytes, *at) && free(*at))
    }

    fn first(&self, text: &str, from: usize, to: usize, free: &dyn Fn(usize) -> bool) -> Option<usize> {
        let bytes = text.as_bytes();
        (from..=to).find(|at| begins(bytes, *at) && free(*at))
    }
}

impl Splitter for Token {
    fn cut(&self, document: &Document) -> Result<Vec<Cut>, IngestError> {
        let mut ranges = Vec::new();
        self.limits.cut(&document.text, 0..document.text.len(), &Words, &mut ranges);
        Ok(ranges.into_iter().map(Cut::new).collect())
    }
}
