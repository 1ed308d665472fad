//! From places in a text to documents.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use atomr_agents_core::{Document, Span};
use serde_json::{Map, Value};

use super::chars;
use super::markdown::Path;

/// Where a splitter cuts a piece out of a text, and what it knows about the piece.
///
/// ```
/// use atomr_agents_ingest::Cut;
/// use serde_json::{Map, json};
///
/// let known = Map::from_iter([("language".to_owned(), json!("rust"))]);
/// assert_eq!(Cut::new(0..4).knowing(known).range(), 0..4);
/// ```
#[derive(Clone, Debug)]
pub struct Cut {
    range: Range<usize>,
    known: Known,
}

/// What is known about a piece beyond what is known about its document; told when somebody asks.
#[derive(Clone, Debug)]
enum Known {
    Nothing,
    Metadata(Arc<Map<String, Value>>),
    Headings(Arc<Path>),
}

impl Cut {
    /// A piece of these bytes.
    #[must_use]
    pub fn new(range: Range<usize>) -> Self {
        Self { range, known: Known::Nothing }
    }

    /// With this in its metadata, also in place of what its document's say. Many pieces may share it.
    #[must_use]
    pub fn knowing(self, metadata: impl Into<Arc<Map<String, Value>>>) -> Self {
        Self { known: Known::Metadata(metadata.into()), ..self }
    }

    /// Below these headings.
    pub(crate) fn below(self, headings: Arc<Path>) -> Self {
        Self { known: Known::Headings(headings), ..self }
    }

    /// Its bytes.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// A piece of a piece, which was cut out by `self`.
    pub(crate) fn within(&self, inner: Self) -> Self {
        let range = self.range.start + inner.range.start..self.range.start + inner.range.end;
        let known = match (&self.known, &inner.known) {
            (known, Known::Nothing) | (Known::Nothing, known) => known.clone(),
            _ => {
                let mut metadata = Map::new();
                self.describe(&mut metadata);
                inner.describe(&mut metadata);
                Known::Metadata(Arc::new(metadata))
            }
        };
        Self { range, known }
    }

    fn describe(&self, metadata: &mut Map<String, Value>) {
        match &self.known {
            Known::Nothing => {}
            Known::Metadata(more) => metadata.extend(more.iter().map(|(name, value)| (name.clone(), value.clone()))),
            Known::Headings(path) => path.describe(metadata),
        }
    }
}

/// A piece of a document that still lies in it: its place, of which a document is made when one is wanted.
#[derive(Clone, Debug)]
pub struct Piece {
    cut: Cut,
    chars: Range<usize>,
}

impl Piece {
    /// The pieces that are cut out of a source, whose starts and ends do not fall.
    pub(crate) fn of(source: &Document, cuts: Vec<Cut>) -> Vec<Self> {
        // A text of one byte a character needs no counting.
        let ascii = source.text.is_ascii();
        let count = |range: Range<usize>| {
            if ascii { range.len() } else { chars::count(source.text.as_bytes().get(range).unwrap_or_default()) }
        };
        // A place, and how many characters stand before it.
        let mut known = (0, 0);
        let placed = cuts.into_iter().map(|cut| {
            let before = known.1 + count(known.0..cut.range.start);
            known = (cut.range.start, before);
            let chars = before..before + count(cut.range());
            Self { cut, chars }
        });
        placed.collect()
    }

    /// Its text, in the source that it is a piece of.
    #[must_use]
    pub fn text<'a>(&self, source: &'a Document) -> &'a str {
        source.text.get(self.cut.range()).unwrap_or_default()
    }

    /// Its document, as the one with this number of the source that it is a piece of.
    #[must_use]
    pub fn document(&self, source: &Document, number: usize) -> Document {
        let (name, bytes, chars) = match &source.span {
            Some(span) => (&span.source, span.byte_start, span.char_start),
            None => (&source.id, 0, 0),
        };
        let span = Span {
            source: name.clone(),
            byte_start: bytes + self.cut.range.start,
            byte_end: bytes + self.cut.range.end,
            char_start: chars + self.chars.start,
            char_end: chars + self.chars.end,
        };
        let mut id = String::with_capacity(source.id.len() + 8);
        let _ = write!(id, "{}#{number}", source.id);
        let mut metadata = source.metadata.clone();
        self.cut.describe(&mut metadata);
        Document { id, text: self.text(source).to_owned(), metadata, score: None, span: Some(span) }
    }
}

/// Documents of pieces.
pub(crate) fn documents(source: &Document, cuts: Vec<Cut>) -> Vec<Document> {
    Piece::of(source, cuts).iter().enumerate().map(|(number, piece)| piece.document(source, number)).collect()
}
