//! What is loaded, cut, indexed and found.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A text with a name, and what is known about it. Loaders make them, splitters cut them, indexes keep them and
/// retrievers find them: there is no other class of documents.
///
/// ```
/// use atomr_agents_core::Document;
/// use serde_json::json;
///
/// let document = Document::new("report.md", "Rain in Oslo.").with("year", json!(2026));
/// assert_eq!(document.metadata["year"], 2026);
/// assert_eq!(document.score, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Its name: what replaces it, removes it and tells it from others. Two documents of one index with the same id are one.
    pub id: String,
    /// The text.
    pub text: String,
    /// What is known about it; keys that end up in filters are flat.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// How well it fits what was asked: higher is better; the scale is that of whoever found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Where in its source the text stands, for a piece of another document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

/// The place of a piece in the document it was cut from. Both ranges are half open and name the same piece.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The id of the document it was cut from.
    pub source: String,
    /// Its first byte in the source's UTF-8.
    pub byte_start: usize,
    /// The byte after its last.
    pub byte_end: usize,
    /// Its first character (Unicode scalar value, as Python counts) in the source.
    pub char_start: usize,
    /// The character after its last.
    pub char_end: usize,
}

impl Document {
    /// A document of this id and text.
    #[must_use]
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { id: id.into(), text: text.into(), ..Self::default() }
    }

    /// With this known about it.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: Value) -> Self {
        self.metadata.insert(key.into(), value);
        self
    }

    /// As it was found, with this score.
    #[must_use]
    pub fn scored(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_is_not_written() {
        assert_eq!(serde_json::to_value(Document::new("a", "b")).unwrap(), json!({"id": "a", "text": "b"}));
    }

    #[test]
    fn a_document_comes_back_as_it_was() {
        let span = Span { source: "a".into(), byte_start: 0, byte_end: 3, char_start: 0, char_end: 2 };
        let document =
            Document { span: Some(span), ..Document::new("a#0", "né").with("n", json!([1, null])) }.scored(0.5);
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
    }
}
