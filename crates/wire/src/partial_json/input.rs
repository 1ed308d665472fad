//! One piece of the text, and how far it is read.

use super::PartialJsonError;

/// What ends a run of plain text in a string: a quote, a backslash, a control character.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

/// A piece of the document with a place in it. The place is always a character boundary where text is taken.
#[derive(Debug)]
pub(super) struct Input<'i> {
    text: &'i str,
    at: usize,
    /// Bytes of the document before this piece.
    before: usize,
}

impl<'i> Input<'i> {
    pub(super) fn new(text: &'i str, before: usize) -> Self {
        Self { text, at: 0, before }
    }

    /// The place, in bytes from the start of the document.
    pub(super) fn offset(&self) -> usize {
        self.before + self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over the byte that [`peek`](Self::peek) gave.
    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// The next byte that is no white space.
    pub(super) fn peek_token(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes the text up to the next quote, backslash or control character.
    pub(super) fn take_plain(&mut self) -> &'i str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let special = |byte: &u8| SPECIAL[usize::from(*byte)];
        // For short pieces the loop is quicker than any search routine's start.
        let len = rest.bytes().position(|byte| special(&byte)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// Takes the bytes (ASCII) for which `more` says so.
    pub(super) fn take_while(&mut self, mut more: impl FnMut(u8) -> bool) -> &'i str {
        let start = self.at;
        while self.peek().is_some_and(&mut more) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The error that the next character is not what was expected.
    pub(super) fn unexpected(&self, expected: &'static str) -> PartialJsonError {
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next()).unwrap_or('\u{fffd}');
        PartialJsonError::Invalid { offset: self.offset(), expected, found }
    }
}
