//! From bytes to text.

use std::io;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{CoderResult, DecoderResult, Encoding, UTF_8};

use crate::IngestError;

/// In which encoding texts are, and what becomes of bytes that are none of it.
///
/// A byte order mark at the beginning decides, whatever else was said.
///
/// ```
/// use atomr_agents_ingest::Decoding;
///
/// let utf8 = Decoding::default();
/// assert_eq!(utf8.decode("a.txt", "né".as_bytes())?, "né");
/// let error = utf8.decode("a.txt", b"n\xe9e").unwrap_err();
/// assert_eq!(error.to_string(), "a.txt: byte 1 (0xe9) is not UTF-8; name the encoding, or have such bytes replaced");
/// assert_eq!(Decoding::named("latin-1")?.decode("a.txt", b"n\xe9e")?, "née");
/// assert_eq!(utf8.replacing().decode("a.txt", b"n\xe9e")?, "n\u{fffd}e");
/// # Ok::<(), atomr_agents_ingest::IngestError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoding {
    /// None guesses.
    encoding: Guess,
    replace: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Guess {
    #[default]
    Utf8,
    Known(&'static Encoding),
    Detect,
}

impl Decoding {
    /// The encoding of this name (`utf-8`, `latin-1`, `windows-1252`, `shift_jis`, …), or `detect` for a guess by what the
    /// bytes look like.
    ///
    /// # Errors
    /// [`IngestError::Config`] for a name that nobody knows.
    pub fn named(name: &str) -> Result<Self, IngestError> {
        // As Python spells some of them.
        let known = match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "detect" => return Ok(Self { encoding: Guess::Detect, replace: false }),
            "latin-1" => Encoding::for_label(b"latin1"),
            "utf-8-sig" => Some(UTF_8),
            _ => Encoding::for_label(name.as_bytes()),
        };
        let unknown = || IngestError::config("encoding", format!("must be an encoding or \"detect\", not {name:?}"));
        Ok(Self { encoding: Guess::Known(known.ok_or_else(unknown)?), replace: false })
    }

    /// Replaces what is no text by U+FFFD, instead of refusing it.
    #[must_use]
    pub fn replacing(mut self) -> Self {
        self.replace = true;
        self
    }

    /// The text of these bytes.
    ///
    /// # Errors
    /// [`IngestError::Invalid`] names the first byte that is no text.
    pub fn decode(&self, id: &str, bytes: &[u8]) -> Result<String, IngestError> {
        let mut whole = Some(bytes);
        let found = self.encoding_of(|| Ok(whole.take().unwrap_or_default()));
        let (encoding, skip) = found.map_err(|error| IngestError::io(id, error))?;
        let body = bytes.get(skip..).unwrap_or_default();
        if encoding == UTF_8
            && let Ok(text) = std::str::from_utf8(body)
        {
            return Ok(text.to_owned());
        }
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let room = |most: Option<usize>| most.unwrap_or(body.len().saturating_mul(3));
        if self.replace {
            let mut text = String::with_capacity(room(decoder.max_utf8_buffer_length(body.len())));
            let (result, _, _) = decoder.decode_to_string(body, &mut text, true);
            debug_assert_eq!(result, CoderResult::InputEmpty);
            return Ok(text);
        }
        let mut text = String::with_capacity(room(decoder.max_utf8_buffer_length_without_replacement(body.len())));
        match decoder.decode_to_string_without_replacement(body, &mut text, true) {
            (DecoderResult::InputEmpty, _) => Ok(text),
            (DecoderResult::Malformed(bad, after), read) => {
                let at = skip + read.saturating_sub(usize::from(bad) + usize::from(after));
                Err(malformed(id, at as u64, bytes.get(at).copied().unwrap_or_default(), encoding))
            }
            (DecoderResult::OutputFull, _) => Err(IngestError::invalid(id, "the text does not fit into memory")),
        }
    }

    /// The encoding of a text whose pieces `next` gives, until there is none; and how long its byte order mark is.
    pub(super) fn encoding_of<B: AsRef<[u8]>>(
        &self,
        mut next: impl FnMut() -> io::Result<B>,
    ) -> io::Result<(&'static Encoding, usize)> {
        let mut piece = next()?;
        if let Some(marked) = Encoding::for_bom(piece.as_ref()) {
            return Ok(marked);
        }
        let encoding = match self.encoding {
            Guess::Utf8 => UTF_8,
            Guess::Known(encoding) => encoding,
            Guess::Detect => {
                let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
                while !piece.as_ref().is_empty() {
                    detector.feed(piece.as_ref(), false);
                    piece = next()?;
                }
                detector.feed(&[], true);
                detector.guess(None, Utf8Detection::Allow)
            }
        };
        Ok((encoding, 0))
    }

    /// Whether what is no text is replaced.
    pub(super) fn replaces(&self) -> bool {
        self.replace
    }
}

/// A byte that is no text.
pub(super) fn malformed(id: &str, at: u64, byte: u8, encoding: &'static Encoding) -> IngestError {
    let (what, hint) = (encoding.name(), "name the encoding, or have such bytes replaced");
    IngestError::invalid(id, format!("byte {at} ({byte:#04x}) is not {what}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_guesses_decide() {
        let decode = |name: &str, bytes: &[u8]| Decoding::named(name).unwrap().decode("f", bytes).unwrap();
        assert_eq!(decode("latin-1", b"\xef\xbb\xbfn\xc3\xa9"), "né");
        assert_eq!(decode("utf-8", b"\xff\xfen\0\xe9\0"), "né");
        assert_eq!(decode("utf-16le", b"n\0\xe9\0"), "né");
        assert_eq!(decode("shift_jis", b"\x93\xfa\x96{"), "日本");
        let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю.";
        let (bytes, _, _) = encoding_rs::WINDOWS_1251.encode(russian);
        assert_eq!(decode("detect", &bytes), russian);
        assert_eq!(decode("detect", russian.as_bytes()), russian);
    }

    #[test]
    fn what_is_no_text_is_named_by_its_place() {
        let error =
            |name: &str, bytes: &[u8]| Decoding::named(name).unwrap().decode("f", bytes).unwrap_err().to_string();
        assert!(error("utf-8", b"\xef\xbb\xbfab\xff").starts_with("f: byte 5 (0xff) is not UTF-8"));
        assert!(error("utf-8", "ab☔".as_bytes().split_last().unwrap().1).starts_with("f: byte 2 (0xe2) is not UTF-8"));
        assert!(error("shift_jis", b"ab\x93\xffcd").starts_with("f: byte 2 (0x93) is not Shift_JIS"));
        assert!(error("utf-16le", b"a\0b").starts_with("f: byte 2 (0x62) is not UTF-16LE"));
        assert!(Decoding::named("klingon").is_err());
    }
}
