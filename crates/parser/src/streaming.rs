//! JSON that is read while it is written.

use atomr_agents_core::Value;
use atomr_agents_wire::{Change, PartialJson, PartialJsonError, PartialJsonLimits};

use crate::{JsonSchema, ParseError};

const NAME: &str = "streaming_json";

/// Reads one JSON document while a model writes it: after each piece there is the value as far as it is known, and at the
/// end it is checked against a schema, if one was given.
///
/// What an open value shows is said at [`PartialJson`], which it is made of: nothing that is shown becomes another value
/// later. A piece costs what its own text costs. The text must be JSON from its first character to its last.
///
/// ```
/// use atomr_agents_parser::{JsonSchema, StreamingPartialJson};
/// use serde_json::json;
///
/// let mut parser = StreamingPartialJson::new().schema(JsonSchema::new(json!({"required": ["days"]}))?);
/// assert_eq!(parser.feed(r#"{"city": "Os"#)?, Some(&json!({"city": "Os"})));
/// assert_eq!(parser.feed(r#"lo", "days": [1"#)?, Some(&json!({"city": "Oslo", "days": []})));
/// parser.feed("]}")?;
/// assert_eq!(parser.finish()?, &json!({"city": "Oslo", "days": [1]}));
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
#[derive(Debug, Default)]
pub struct StreamingPartialJson {
    decoder: PartialJson,
    schema: Option<std::sync::Arc<JsonSchema>>,
}

impl StreamingPartialJson {
    /// A parser at the start of a document, with the limits of [`PartialJsonLimits`]: 127 levels, 1 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A parser with other limits.
    ///
    /// ```
    /// use atomr_agents_parser::StreamingPartialJson;
    /// use atomr_agents_wire::PartialJsonLimits;
    ///
    /// let limits = PartialJsonLimits { max_depth: 1, ..PartialJsonLimits::default() };
    /// assert!(StreamingPartialJson::with_limits(limits).feed("[[").is_err());
    /// ```
    #[must_use]
    pub fn with_limits(limits: PartialJsonLimits) -> Self {
        Self { decoder: PartialJson::new(limits), schema: None }
    }

    /// Checks the whole document against a schema.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<std::sync::Arc<JsonSchema>>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Takes the next piece; answers the document as far as it is known, or nothing before its value began.
    ///
    /// # Errors
    /// [`ParseError::Invalid`] for what is no JSON or breaks a limit; every later call answers the same.
    pub fn feed(&mut self, text: &str) -> Result<Option<&Value>, ParseError> {
        let fed = self.decoder.push_quiet(text);
        fed.map(|()| self.decoder.value()).map_err(|error| refused(&error, text))
    }

    /// As [`feed`](Self::feed), and adds to `changes` what became known.
    ///
    /// ```
    /// let (mut parser, mut changes) = (atomr_agents_parser::StreamingPartialJson::new(), Vec::new());
    /// parser.feed_changes("[1, 2", &mut changes)?;
    /// assert_eq!(changes.len(), 2); // the list began, and its first number is known
    /// # Ok::<(), atomr_agents_parser::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn feed_changes(&mut self, text: &str, changes: &mut Vec<Change>) -> Result<(), ParseError> {
        self.decoder.push(text, changes).map_err(|error| refused(&error, text))
    }

    /// The document as far as it is known.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        self.decoder.value()
    }

    /// Is the document whole? A number on its own is only after [`finish`](Self::finish).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.decoder.is_complete()
    }

    /// The text is at its end: answers the whole document.
    ///
    /// # Errors
    /// [`ParseError::Invalid`] for a text that ends too early, and for a document that does not fit the schema.
    pub fn finish(&mut self) -> Result<&Value, ParseError> {
        self.finish_changes(&mut Vec::new())
    }

    /// As [`finish`](Self::finish), and adds to `changes` a number that was waiting for its end.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_changes(&mut self, changes: &mut Vec<Change>) -> Result<&Value, ParseError> {
        let Self { decoder, schema } = self;
        let value = decoder.finish(changes).map_err(|error| refused(&error, ""))?;
        if let Some(schema) = schema {
            schema.check(value)?;
        }
        Ok(value)
    }
}

/// The error of a decoder, whose message has the place already; `piece` is what it was fed.
fn refused(error: &PartialJsonError, piece: &str) -> ParseError {
    let mut made = ParseError::invalid(NAME, error.to_string(), piece);
    if let ParseError::Invalid(fault) = &mut made {
        fault.place = error.offset().map(crate::Place::Byte);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use serde_json::json;

    #[test]
    fn arrays_in_objects_open_strings_and_escapes_show_and_trailing_words_are_refused() {
        let seen = |text: &str| {
            let mut parser = StreamingPartialJson::new();
            parser.feed(text).unwrap().cloned()
        };
        assert_eq!(seen(r#"{"a": [1, 2"#), Some(json!({"a": [1]})));
        assert_eq!(seen(r#"{"a": "b"#), Some(json!({"a": "b"})));
        assert_eq!(seen(r#"{"a": 1,"#), Some(json!({"a": 1})));
        assert_eq!(seen(r#"{"a": tru"#), Some(json!({})));
        assert_eq!(seen(r#"{"a": "\\\"#), Some(json!({"a": "\\"})));
        let mut parser = StreamingPartialJson::new();
        let error = parser.feed("{} x").unwrap_err();
        assert_eq!(error.fault().unwrap().place, Some(Place::Byte(3)), "{error}");
        assert!(parser.finish().is_err());
    }

    #[test]
    fn the_end_is_checked() {
        let schema = std::sync::Arc::new(JsonSchema::new(json!({"items": {"type": "string"}})).unwrap());
        let mut parser = StreamingPartialJson::new().schema(schema.clone());
        parser.feed("[1]").unwrap();
        assert!(parser.finish().unwrap_err().to_string().contains("/0: 1 is not of type"));
        let mut cut = StreamingPartialJson::new().schema(schema);
        cut.feed("[\"a\"").unwrap();
        assert!(!cut.is_complete());
        assert!(cut.finish().unwrap_err().fault().unwrap().message.contains("is cut at byte 4"));
    }

    #[test]
    fn a_hundred_thousand_pieces_take_no_longer_each() {
        // If each piece were to read all of the text again, this would take hours.
        let mut parser = StreamingPartialJson::new();
        parser.feed("[").unwrap();
        for _ in 0..100_000 {
            parser.feed("\"ab\",").unwrap();
        }
        parser.feed("1]").unwrap();
        assert_eq!(parser.finish().unwrap().as_array().unwrap().len(), 100_001);
    }
}
