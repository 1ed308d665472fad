//! Pieces of a certain size, cut where a text is cut best.

use std::ops::Range;

use atomr_agents_core::Document;
use memchr::{memchr_iter, memrchr_iter};

use super::cut::{Limits, Seams};
use super::{Cut, Length};
use crate::{IngestError, Splitter};

/// Paragraphs, lines, sentences, words.
pub const SEPARATORS: [&str; 5] = ["\n\n", "\r\n\r\n", "\n", ". ", " "];

/// A separator, and the byte of it that is looked for.
#[derive(Clone, Debug)]
struct Separator {
    text: Box<[u8]>,
    /// Its rarest byte as far as one can guess, and where in it that stands.
    key: (u8, usize),
}

impl Separator {
    fn new(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let last = bytes.len().checked_sub(1)?;
        let at = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(last);
        Some(Self { text: bytes.into(), key: (*bytes.get(at)?, at) })
    }

    /// Where the separator ends whose key stands at `key`.
    fn end(&self, bytes: &[u8], key: usize) -> Option<usize> {
        let start = key.checked_sub(self.key.1)?;
        let end = start + self.text.len();
        (bytes.get(start..end)? == &*self.text).then_some(end)
    }
}

/// Separators, the best ones first.
#[derive(Clone, Debug)]
pub(crate) struct Separators(Vec<Separator>);

impl Separators {
    pub(crate) fn new<S: AsRef<str>>(all: &[S]) -> Result<Self, IngestError> {
        let made: Option<Vec<_>> = all.iter().map(|text| Separator::new(text.as_ref())).collect();
        made.map(Self).ok_or_else(|| IngestError::config("separators", "must not hold an empty text"))
    }
}

impl Seams for Separators {
    fn last(&self, text: &str, floor: usize, end: usize, free: &dyn Fn(usize) -> bool) -> Option<usize> {
        let bytes = text.as_bytes().get(..end)?;
        self.0.iter().find_map(|separator| {
            // What ends behind `floor` may begin before it.
            let from = (floor + 1).saturating_sub(separator.text.len() - separator.key.1).min(end);
            let found = memrchr_iter(separator.key.0, bytes.get(from..)?);
            found.filter_map(|key| separator.end(bytes, from + key)).find(|at| *at > floor && *at <= end && free(*at))
        })
    }

    fn first(&self, text: &str, from: usize, to: usize, free: &dyn Fn(usize) -> bool) -> Option<usize> {
        let bytes = text.as_bytes().get(..to)?;
        let near = from + (to - from) / 2;
        let first = |separator: &Separator, before: usize| {
            let begin = from.saturating_sub(separator.text.len());
            let found = memchr_iter(separator.key.0, bytes.get(begin..)?);
            let mut ends = found.filter_map(|key| separator.end(bytes, begin + key));
            ends.find(|at| *at >= from && free(*at)).filter(|at| *at <= before)
        };
        // A good place in the first half; else any.
        self.0.iter().find_map(|separator| first(separator, near)).or_else(|| {
            let ends = self.0.iter().filter_map(|separator| first(separator, to));
            ends.min()
        })
    }
}

/// Cuts texts into pieces of at most `chunk_size`: behind the last paragraph that has room, else the last line, the last
/// sentence, the last word, else between two graphemes. What separates stays with the piece before it. Neighbours share
/// up to `overlap`, which counts in the size of both.
///
/// A piece is longer than the limit only where a single grapheme is.
///
/// ```
/// use atomr_agents_core::Document;
/// use atomr_agents_ingest::{Recursive, Splitter};
///
/// let splitter = Recursive::new(10).overlap(4).build()?;
/// let pieces = splitter.split(&Document::new("a", "one two three four"))?;
/// let texts: Vec<_> = pieces.iter().map(|piece| piece.text.as_str()).collect();
/// assert_eq!(texts, ["one two ", "two three ", "four"]);
/// # Ok::<(), atomr_agents_ingest::IngestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recursive {
    limits: Limits,
    separators: Separators,
}

/// Makes a [`Recursive`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RecursiveBuilder {
    size: usize,
    overlap: usize,
    separators: Vec<String>,
    length: Length,
}

impl Recursive {
    /// A splitter for pieces of at most this many characters.
    #[expect(clippy::new_ret_no_self, reason = "what it is made of is checked when all of it is known")]
    pub fn new(chunk_size: usize) -> RecursiveBuilder {
        let separators = SEPARATORS.map(str::to_owned).to_vec();
        RecursiveBuilder { size: chunk_size, overlap: 0, separators, length: Length::Chars }
    }

    /// Where the pieces of a text lie.
    #[must_use]
    pub fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        self.limits.cut(text, 0..text.len(), &self.separators, &mut ranges);
        ranges
    }
}

impl RecursiveBuilder {
    /// How much two neighbours share at most. 0.
    pub fn overlap(mut self, overlap: usize) -> Self {
        self.overlap = overlap;
        self
    }

    /// Behind what to cut, the best first. [`SEPARATORS`].
    pub fn separators<S: Into<String>>(mut self, separators: impl IntoIterator<Item = S>) -> Self {
        self.separators = separators.into_iter().map(Into::into).collect();
        self
    }

    /// In what size and overlap are counted. Characters.
    pub fn length(mut self, length: Length) -> Self {
        self.length = length;
        self
    }

    /// The splitter.
    ///
    /// # Errors
    /// [`IngestError::Config`] for a size of 0, an overlap that is not smaller than the size, or an empty separator.
    pub fn build(self) -> Result<Recursive, IngestError> {
        let limits = Limits::checked(self.size, self.overlap, self.length)?;
        Ok(Recursive { limits, separators: Separators::new(&self.separators)? })
    }
}

impl Splitter for Recursive {
    fn cut(&self, document: &Document) -> Result<Vec<Cut>, IngestError> {
        Ok(self.ranges(&document.text).into_iter().map(Cut::new).collect())
    }
}
