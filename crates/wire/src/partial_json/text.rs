//! The inside of a JSON string, from pieces cut anywhere.

use std::borrow::Cow;

use super::PartialJsonError;
use super::input::Input;

/// The place within an escape that the text so far ends in. None of it shows until the escape is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// After `\`.
    Backslash,
    /// Within the hexadecimal digits after `\u`; `high` is the first half of a surrogate pair.
    Hex { high: Option<u16>, digits: u8, code: u16 },
    /// After the first half of a surrogate pair.
    High(u16),
    /// After that and `\`.
    HighBackslash(u16),
}

/// How the text that a scan took ended.
#[derive(Debug)]
pub(super) enum End {
    /// With the closing quote.
    Closed,
    /// With the input.
    Starved,
    /// With a character that no string has.
    Bad(PartialJsonError),
}

/// Reads a string from after its opening quote to its closing one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextScanner(Escape);

impl TextScanner {
    /// Takes what `input` has of the string, escapes resolved.
    pub(super) fn scan<'i>(&mut self, input: &mut Input<'i>) -> (Cow<'i, str>, End) {
        if self.0 == Escape::None {
            let plain = input.take_plain();
            match input.peek() {
                None => return (plain.into(), End::Starved),
                Some(b'"') => {
                    input.advance();
                    return (plain.into(), End::Closed);
                }
                Some(_) => {
                    let mut text = plain.to_owned();
                    let end = self.scan_escaped(input, &mut text);
                    return (text.into(), end);
                }
            }
        }
        let mut text = String::new();
        let end = self.scan_escaped(input, &mut text);
        (text.into(), end)
    }

    fn scan_escaped(&mut self, input: &mut Input<'_>, text: &mut String) -> End {
        loop {
            if self.0 == Escape::None {
                text.push_str(input.take_plain());
            }
            let Some(byte) = input.peek() else { return End::Starved };
            match (self.0, byte) {
                (Escape::None, b'"') => {
                    input.advance();
                    return End::Closed;
                }
                (Escape::None, b'\\') => self.0 = Escape::Backslash,
                (Escape::None, _) => return End::Bad(input.unexpected("no control character in a string")),
                (escape, byte) => match escape.next(byte) {
                    Ok((next, resolved)) => {
                        self.0 = next;
                        text.extend(resolved);
                    }
                    Err(expected) => return End::Bad(input.unexpected(expected)),
                },
            }
            input.advance();
        }
    }
}

impl Escape {
    /// One byte further in an escape: the place after it and the character that it completes, else what was expected.
    fn next(self, byte: u8) -> Result<(Self, Option<char>), &'static str> {
        let hex = |high| Self::Hex { high, digits: 0, code: 0 };
        match self {
            Self::None | Self::Backslash => match byte {
                b'u' => Ok((hex(None), None)),
                _ => match simple(byte) {
                    Some(char) => Ok((Self::None, Some(char))),
                    None => Err("one of \"\\/bfnrtu after a backslash"),
                },
            },
            Self::High(high) if byte == b'\\' => Ok((Self::HighBackslash(high), None)),
            Self::HighBackslash(high) if byte == b'u' => Ok((hex(Some(high)), None)),
            Self::High(_) | Self::HighBackslash(_) => Err("the second half of a surrogate pair"),
            Self::Hex { high, digits, code } => {
                let Some(digit) = char::from(byte).to_digit(16) else { return Err("four hexadecimal digits") };
                let code = code << 4 | digit as u16;
                if digits < 3 {
                    return Ok((Self::Hex { high, digits: digits + 1, code }, None));
                }
                match (high, code) {
                    (None, 0xd800..=0xdbff) => Ok((Self::High(code), None)),
                    _ => match char::decode_utf16(high.into_iter().chain([code])).next() {
                        Some(Ok(char)) => Ok((Self::None, Some(char))),
                        _ => Err("a whole surrogate pair"),
                    },
                }
            }
        }
    }
}

fn simple(byte: u8) -> Option<char> {
    Some(match byte {
        b'"' | b'\\' | b'/' => char::from(byte),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}
