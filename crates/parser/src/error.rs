//! What can be wrong with a text, or with a parser.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use atomr_agents_core::Kind;
use thiserror::Error;

/// How many characters of a text an error shows.
const MAX_CONTEXT: usize = 200;
/// How many of them lie before the fault.
const BEFORE: usize = 80;
/// How long a message may be: what is wrong can quote the value that is.
const MAX_MESSAGE: usize = 2_000;

/// Where in a text, or in the value that it says, a fault is.
///
/// ```
/// use atomr_agents_parser::Place;
///
/// assert_eq!(Place::Byte(7).to_string(), "byte 7");
/// assert_eq!(Place::Pointer("/days/0".into()).to_string(), "/days/0");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bytes from the start of the text.
    Byte(usize),
    /// A JSON pointer into the value; empty for the whole of it.
    Pointer(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(offset) => write!(f, "byte {offset}"),
            Self::Pointer(pointer) => f.write_str(pointer),
        }
    }
}

/// What is wrong with a text.
///
/// ```
/// use atomr_agents_parser::{Json, Parser, Place};
///
/// let error = Json.parse(r#"{"days": 3, }"#).unwrap_err();
/// let fault = error.fault().unwrap();
/// assert_eq!((fault.parser.as_str(), &fault.place), ("json", &Some(Place::Byte(12))));
/// assert!(fault.context.contains("3, }"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fault {
    /// The parser that found it.
    pub parser: String,
    /// What is wrong.
    pub message: String,
    /// Where, as far as that is one place.
    pub place: Option<Place>,
    /// At most 200 characters of the text around it.
    pub context: String,
    /// What was raised by a parser that somebody else wrote.
    pub source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parser, self.message)?;
        if let Some(Place::Byte(offset)) = self.place {
            write!(f, " at byte {offset}")?;
        }
        if self.context.is_empty() { Ok(()) } else { write!(f, ", in {:?}", self.context) }
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// A text that is not what was asked for, or a parser that cannot be used.
///
/// ```
/// use atomr_agents_core::Kind;
/// use atomr_agents_parser::{Enum, Parser};
///
/// let colours = Enum::new(["red", "green"])?;
/// let error = colours.parse("mauve").unwrap_err();
/// assert_eq!(error.kind(), Kind::InvalidOutput);
/// assert_eq!(error.to_string(), r#"enum: it is none of "red", "green", in "mauve""#);
/// assert_eq!(Enum::new::<&str>([]).unwrap_err().kind(), Kind::Config);
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The text is not what was asked for.
    #[error("{0}")]
    Invalid(#[source] Box<Fault>),
    /// A setting or a schema makes no sense.
    #[error("{parser}: {setting} is wrong: {message}")]
    Config {
        /// The parser.
        parser: String,
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The text is still not what was asked for after it was repaired as often as that is allowed.
    #[error("{source} (after {attempts} repairs)")]
    Unrepaired {
        /// How often a model was asked.
        attempts: u32,
        /// What is wrong with its last answer.
        source: Box<ParseError>,
    },
    /// What a parser had to ask (a model, somebody's code) failed.
    #[error("{parser} failed: {message}")]
    Failed {
        /// The parser, or what it asked.
        parser: String,
        /// What it amounts to.
        kind: Kind,
        /// In words.
        message: String,
        /// What it ran into.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
}

impl ParseError {
    /// A fault of a text that has no one place; the error shows the beginning of the text.
    ///
    /// ```
    /// use atomr_agents_parser::ParseError;
    ///
    /// let error = ParseError::invalid("even", "13 is odd", "13");
    /// assert_eq!(error.to_string(), "even: 13 is odd, in \"13\"");
    /// ```
    #[must_use]
    pub fn invalid(parser: impl Into<String>, message: impl Into<String>, text: &str) -> Self {
        Self::build(parser.into(), message.into(), None, cut(text, MAX_CONTEXT))
    }

    /// A fault of a text at a byte of it.
    pub(crate) fn at(parser: &str, message: impl Into<String>, text: &str, offset: usize) -> Self {
        let offset = text.floor_char_boundary(offset.min(text.len()));
        let (before, after) = text.split_at(offset);
        let start = before.char_indices().rev().take(BEFORE).last().map_or(offset, |(at, _)| at);
        let taken = before[start..].chars().count();
        let context = format!("{}{}", &before[start..], cut(after, MAX_CONTEXT - taken));
        Self::build(parser.to_owned(), message.into(), Some(Place::Byte(offset)), context)
    }

    /// A fault of the value that a text says.
    pub(crate) fn within(parser: &str, message: impl Into<String>, pointer: String, text: &str) -> Self {
        Self::build(parser.to_owned(), message.into(), Some(Place::Pointer(pointer)), cut(text, MAX_CONTEXT))
    }

    fn build(parser: String, message: String, place: Option<Place>, context: String) -> Self {
        let message = cut(&message, MAX_MESSAGE);
        Self::Invalid(Box::new(Fault { parser, message, place, context, source: None }))
    }

    /// A setting that makes no sense.
    pub(crate) fn config(parser: &str, setting: &'static str, message: impl Into<String>) -> Self {
        Self::Config { parser: parser.to_owned(), setting, message: message.into() }
    }

    /// The same with what it comes from.
    #[must_use]
    pub fn from_source(mut self, error: impl StdError + Send + Sync + 'static) -> Self {
        if let Self::Invalid(fault) = &mut self {
            fault.source = Some(Arc::new(error));
        }
        self
    }

    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::InvalidOutput,
            Self::Config { .. } => Kind::Config,
            Self::Unrepaired { source, .. } => source.kind(),
            Self::Failed { kind, .. } => *kind,
        }
    }

    /// What is wrong with the text, where it is the text.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Invalid(fault) => Some(fault),
            Self::Unrepaired { source, .. } => source.fault(),
            Self::Config { .. } | Self::Failed { .. } => None,
        }
    }
}

/// At most `limit` characters of `text`.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        // The last one says that something is missing.
        Some(_) => text.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_short_lies_around_the_fault_and_cuts_no_character() {
        let text = "ä".repeat(500);
        for offset in [0, 1, 2, 500, 501, 999, 1_000, 9_999] {
            let error = ParseError::at("test", "wrong", &text, offset);
            let Some(Fault { place: Some(Place::Byte(at)), context, .. }) = error.fault() else { panic!("{error:?}") };
            assert!(*at <= offset && text.is_char_boundary(*at));
            assert!(context.chars().count() <= MAX_CONTEXT);
        }
        let error = ParseError::at("test", "wrong", "the fault lies here", 10);
        assert_eq!(error.to_string(), "test: wrong at byte 10, in \"the fault lies here\"");
        let long = ParseError::invalid("test", "x".repeat(9_000), "");
        assert_eq!(long.fault().unwrap().message.chars().count(), MAX_MESSAGE);
    }
}
