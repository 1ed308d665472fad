//! The grammar of JSON numbers, byte by byte, and what a number amounts to.

use serde_json::Number;

use super::PartialJsonError;

/// Characters of a literal that an error repeats.
const SHOWN: usize = 64;

/// The place within a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberState {
    Start,
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl NumberState {
    /// The place after one more byte; `None` where that byte cannot go on the number.
    pub(super) fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Start, b'-') => Self::Minus,
            (Self::Start | Self::Minus, b'0') => Self::Zero,
            (Self::Start | Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    /// Is what was read so far a number?
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits)
    }
}

/// The number that a literal of the right grammar, beginning at `offset`, amounts to: the same as `serde_json`'s, but
/// an integer beyond 64 bits is refused.
pub(super) fn number(literal: &str, offset: usize) -> Result<Number, PartialJsonError> {
    if let Ok(unsigned) = literal.parse::<u64>() {
        return Ok(unsigned.into());
    }
    if let Some(negative) = literal.parse::<i64>().ok().filter(|number| *number != 0) {
        return Ok(negative.into());
    }
    let shown = || literal.chars().take(SHOWN).collect();
    // What is left: -0, which is floating point, fractions, exponents, and integers that are too large.
    if literal != "-0" && !literal.contains(['.', 'e', 'E']) {
        return Err(PartialJsonError::IntegerTooLarge { offset, literal: shown() });
    }
    serde_json::from_str(literal).map_err(|_| PartialJsonError::NumberOutOfRange { offset, literal: shown() })
}
