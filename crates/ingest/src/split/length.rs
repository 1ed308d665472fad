//! How long a piece is.

use std::fmt;
use std::sync::Arc;

use atomr_agents_tokens::TokenCounter;

use super::chars;

/// In what the length of a piece is counted.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_ingest::Length;
/// use atomr_agents_tokens::EstimatingCounter;
///
/// assert_eq!(Length::Chars.of("né"), 2);
/// assert!(Length::tokens(Arc::new(EstimatingCounter), "gpt-4o").of("The weather in Oslo?") >= 4);
/// ```
#[derive(Clone, Default)]
pub enum Length {
    /// Characters (Unicode scalar values, as Python counts).
    #[default]
    Chars,
    /// Tokens of a model.
    Tokens {
        /// What counts them.
        counter: Arc<dyn TokenCounter>,
        /// The model.
        model: Arc<str>,
    },
}

impl fmt::Debug for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chars => f.write_str("Chars"),
            Self::Tokens { model, .. } => write!(f, "Tokens({model:?})"),
        }
    }
}

/// Whether the space before a word stands at `at`.
fn begins_word(bytes: &[u8], at: usize) -> bool {
    let space = |at: usize| bytes.get(at).is_none_or(u8::is_ascii_whitespace);
    space(at) && !space(at + 1)
}

impl Length {
    /// Tokens of a model.
    #[must_use]
    pub fn tokens(counter: Arc<dyn TokenCounter>, model: &str) -> Self {
        Self::Tokens { counter, model: Arc::from(model) }
    }

    /// How long a text is.
    #[must_use]
    pub fn of(&self, text: &str) -> usize {
        match self {
            Self::Chars => chars::count(text.as_bytes()),
            Self::Tokens { counter, model } => usize::try_from(counter.count_text(model, text)).unwrap_or(usize::MAX),
        }
    }

    /// The farthest place up to `end` that a piece from `start` may reach: not beyond `limit`, between two characters.
    /// Where not even one character has room, it is `start`.
    pub(crate) fn reach(&self, text: &str, start: usize, end: usize, limit: usize) -> usize {
        match self {
            Self::Chars => chars::forward(text.as_bytes(), start, end, limit),
            Self::Tokens { .. } => {
                let part = text.get(start..end).unwrap_or_default();
                start + self.longest(part.len(), limit, |size| part.get(..part.floor_char_boundary(size)))
            }
        }
    }

    /// The earliest place from `start` on where a piece may begin that ends at `end` and is not longer than `limit`.
    pub(crate) fn back(&self, text: &str, start: usize, end: usize, limit: usize) -> usize {
        match self {
            Self::Chars => chars::backward(text.as_bytes(), start, end, limit),
            Self::Tokens { .. } => {
                // Of a part of a word there are more tokens than of the whole, so whole words are tried first.
                let near = start.max(end.saturating_sub(limit.saturating_mul(16)));
                let words: Vec<usize> = (near..end).filter(|at| begins_word(text.as_bytes(), *at)).collect();
                let long = |at: &usize| text.get(*at..end).is_none_or(|text| self.of(text) > limit);
                if let Some(at) = words.get(words.partition_point(long)) {
                    return *at;
                }
                let part = text.get(start..end).unwrap_or_default();
                let len = part.len();
                end - self.longest(len, limit, |size| part.get(part.ceil_char_boundary(len - size)..))
            }
        }
    }

    /// The size of the longest of a row of texts that is within the limit, where longer texts have more tokens: first in
    /// steps that follow how dense the tokens are, then by halves.
    fn longest<'a>(&self, most: usize, limit: usize, text: impl Fn(usize) -> Option<&'a str>) -> usize {
        let measured = |size: usize| {
            let text = text(size).unwrap_or_default();
            (text.len(), self.of(text))
        };
        let (mut fits, mut breaks) = (0, most + 1);
        let mut guess = limit.saturating_mul(4).min(most);
        // Each guess halves at least, or jumps to where the density of tokens leads.
        for step in 0.. {
            if breaks - fits <= 1 {
                break;
            }
            guess = guess.clamp(fits + 1, breaks - 1);
            let (size, count) = measured(guess);
            if count <= limit {
                fits = guess.max(size);
                if limit - count <= limit / 64 && step > 2 {
                    break;
                }
            } else {
                breaks = guess;
            }
            // A run of blanks is one token: it says nothing of the text behind it.
            let led = (size.saturating_mul(limit) / count.max(1)).min(size.saturating_mul(4));
            guess = if step < 6 && led > fits && led < breaks { led } else { fits + (breaks - fits) / 2 };
        }
        measured(fits).0
    }
}
