//! A text cut where no token of OpenAI's vocabularies reaches across.

/// The parts of a text. Their tokens, each alone, are the tokens of the text.
///
/// The vocabularies `cl100k_base` and `o200k_base` first cut a text into pieces by a regular expression, and no token
/// reaches from one piece into the next. Their expressions look nowhere back, and ahead only at the end of white space.
/// So a cut is safe where a piece must end whatever came before it, and where no white space ends:
///
/// - between something that is no white space and a space: in no piece a space follows anything else;
/// - between an ASCII letter and an ASCII sign, digit or line break other than an apostrophe: a word ends there (with the
///   apostrophe it may go on: `don't`);
/// - between a line break and an ASCII letter: no word begins with a line break.
pub(super) struct Segments<'a> {
    rest: &'a str,
}

impl<'a> Segments<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.rest.as_bytes();
        let mut before = *bytes.first()?;
        let mut at = 1;
        while let Some(&byte) = bytes.get(at) {
            if is_cut(before, byte) || (before >= 0x80 && byte == b' ' && ends_word(self.rest, at)) {
                break;
            }
            before = byte;
            at += 1;
        }
        // A cut is before an ASCII byte or at the end: always between two characters.
        let (segment, rest) = self.rest.split_at_checked(at)?;
        self.rest = rest;
        Some(segment)
    }
}

/// Whether an ASCII byte may be cut from the one before it.
fn is_cut(before: u8, byte: u8) -> bool {
    if before.is_ascii_alphabetic() {
        return byte.is_ascii() && !byte.is_ascii_alphabetic() && byte != b'\'';
    }
    match byte {
        b' ' => before.is_ascii() && !is_space(before),
        _ => matches!(before, b'\n' | b'\r') && byte.is_ascii_alphabetic(),
    }
}

/// ASCII's white space, as `\s` has it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Whether the character before `at` is a letter or a digit, and so no white space.
fn ends_word(text: &str, at: usize) -> bool {
    text.get(..at).and_then(|before| before.chars().next_back()).is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        Segments::of(text).collect()
    }

    #[test]
    fn a_text_is_cut_where_words_end() {
        assert_eq!(
            cut("The cat, isn't  it?\n\nYes 42!"),
            ["The", " cat", ",", " isn't", "  it", "?\n\n", "Yes", " 42!"]
        );
        assert_eq!(cut("новый год"), ["новый", " год"]);
        assert_eq!(cut("a\u{a0} b"), ["a\u{a0} b"]);
        assert_eq!(cut(""), Vec::<&str>::new());
    }
}
