//! What can be wrong with a document that arrives in pieces.

/// A reason why a document is refused. Offsets are in bytes, from the start of the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartialJsonError {
    /// The text is not JSON.
    #[error("invalid JSON at byte {offset}: expected {expected}, found {found:?}")]
    Invalid {
        /// The first character that cannot be there.
        offset: usize,
        /// What could.
        expected: &'static str,
        /// That character.
        found: char,
    },
    /// The text ended before the document did.
    #[error("the JSON is cut at byte {offset}: expected {expected}")]
    Incomplete {
        /// The end of the text.
        offset: usize,
        /// What was to follow.
        expected: &'static str,
    },
    /// An integer that no 64-bit type holds. Read as floating point it would silently be another number.
    #[error("the integer {literal} at byte {offset} does not fit into 64 bits; pass it as a string")]
    IntegerTooLarge {
        /// Where it begins.
        offset: usize,
        /// Its first 64 digits.
        literal: String,
    },
    /// A number beyond what floating point can hold.
    #[error("the number {literal} at byte {offset} is out of range")]
    NumberOutOfRange {
        /// Where it begins.
        offset: usize,
        /// Its first 64 characters.
        literal: String,
    },
    /// Objects and arrays lie in each other deeper than allowed.
    #[error("the JSON at byte {offset} is nested deeper than {limit} levels")]
    TooDeep {
        /// Where the object or array that is too deep begins.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// The text is longer than allowed.
    #[error("the JSON is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl PartialJsonError {
    /// The place in the document; none for a document that is too long.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        match self {
            Self::Invalid { offset, .. }
            | Self::Incomplete { offset, .. }
            | Self::IntegerTooLarge { offset, .. }
            | Self::NumberOutOfRange { offset, .. }
            | Self::TooDeep { offset, .. } => Some(*offset),
            Self::TooLarge { .. } => None,
        }
    }
}
