//! From places in a text to documents.

use std::fmt::Write;
use std::ops::Range;

use atomr_agents_core::{Document, Span};
use serde_json::{Map, Value};

use super::chars;

/// Makes documents of slices of a source, whose starts and ends do not fall.
pub(crate) struct Pieces<'a> {
    source: &'a Document,
    /// A text of one byte a character needs no counting.
    ascii: bool,
    /// A place, and how many characters stand before it.
    known: (usize, usize),
    made: Vec<Document>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn of(source: &'a Document, expected: usize) -> Self {
        Self { source, ascii: source.text.is_ascii(), known: (0, 0), made: Vec::with_capacity(expected) }
    }

    fn chars(&self, range: Range<usize>) -> usize {
        if self.ascii {
            return range.len();
        }
        chars::count(self.source.text.as_bytes().get(range).unwrap_or_default())
    }

    /// One more piece.
    pub(crate) fn push(&mut self, range: Range<usize>, more: impl FnOnce(&mut Map<String, Value>)) {
        let Some(text) = self.source.text.get(range.clone()) else { return };
        let before = self.known.1 + self.chars(self.known.0..range.start);
        self.known = (range.start, before);
        let after = before + self.chars(range.clone());
        let (name, bytes, chars) = match &self.source.span {
            Some(span) => (&span.source, span.byte_start, span.char_start),
            None => (&self.source.id, 0, 0),
        };
        let span = Span {
            source: name.clone(),
            byte_start: bytes + range.start,
            byte_end: bytes + range.end,
            char_start: chars + before,
            char_end: chars + after,
        };
        let mut id = String::with_capacity(self.source.id.len() + 8);
        let _ = write!(id, "{}#{}", self.source.id, self.made.len());
        let mut metadata = self.source.metadata.clone();
        more(&mut metadata);
        self.made.push(Document { id, text: text.to_owned(), metadata, score: None, span: Some(span) });
    }

    pub(crate) fn done(self) -> Vec<Document> {
        self.made
    }
}

/// Pieces without more metadata than their source has.
pub(crate) fn plain(source: &Document, ranges: Vec<Range<usize>>) -> Vec<Document> {
    let mut pieces = Pieces::of(source, ranges.len());
    for range in ranges {
        pieces.push(range, |_| {});
    }
    pieces.done()
}
