//! The quick way through the events that come by the thousand.
//!
//! A delta in the very form in which the API writes it is read without a JSON parser; anything else (another order of
//! keys, white space elsewhere, `\u` escapes, a mistake) is `None` and goes the general way, which is the one that counts:
//! a test holds both against each other.

use memchr::memchr2;

/// What a [`Piece`] adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    Text,
    Thinking,
    Input,
}

/// A piece of text, of a thought or of a tool's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) index: u64,
    pub(crate) kind: PieceKind,
    pub(crate) text: &'a str,
}

/// Reads the commonest events; `scratch` is where a text with escapes is put.
pub(crate) fn piece<'a>(json: &'a str, scratch: &'a mut String) -> Option<Piece<'a>> {
    let rest = json.strip_prefix(r#"{"type":"content_block_delta","index":"#)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = rest.split_at_checked(digits)?;
    // No number of blocks has more digits; one that begins with 0 is no JSON.
    if digits > 4 || (digits > 1 && number.starts_with('0')) {
        return None;
    }
    let index = number.parse().ok()?;
    let rest = rest.strip_prefix(r#","delta":{"type":""#)?;
    let (kind, rest) = if let Some(rest) = rest.strip_prefix(r#"input_json_delta","partial_json":""#) {
        (PieceKind::Input, rest)
    } else if let Some(rest) = rest.strip_prefix(r#"text_delta","text":""#) {
        (PieceKind::Text, rest)
    } else {
        (PieceKind::Thinking, rest.strip_prefix(r#"thinking_delta","thinking":""#)?)
    };
    let (text, rest) = string(rest, scratch)?;
    // The API pads its events with spaces before the last brace.
    let end = rest.strip_prefix('}')?.trim_start_matches(' ');
    (end == "}").then_some(Piece { index, kind, text })
}

/// The rest of a JSON string up to its closing quote, and what follows it.
fn string<'a>(json: &'a str, scratch: &'a mut String) -> Option<(&'a str, &'a str)> {
    scratch.clear();
    let mut from = 0;
    loop {
        let rest = json.get(from..)?;
        let at = memchr2(b'"', b'\\', rest.as_bytes())?;
        let plain = rest.get(..at)?;
        if plain.bytes().any(|byte| byte < 0x20) {
            return None;
        }
        let after = rest.get(at + 1..)?;
        if rest.as_bytes()[at] == b'"' {
            if from == 0 {
                return Some((plain, after));
            }
            scratch.push_str(plain);
            return Some((scratch, after));
        }
        scratch.push_str(plain);
        scratch.push(match after.as_bytes().first()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            _ => return None,
        });
        from += at + 2;
    }
}
