//! The text of a file piece by piece, whatever its encoding.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use encoding_rs::{CoderResult, Decoder, DecoderResult, Encoding};

use super::{Decoding, Source};
use crate::IngestError;

/// How many bytes are read at once.
const PIECE: usize = 1 << 16;

/// What a file says, in UTF-8. It is read by place, so that one file may be read several times.
pub(super) struct Decoded {
    id: String,
    file: File,
    encoding: &'static Encoding,
    /// How long the byte order mark is.
    mark: u64,
    replace: bool,
    decoder: Decoder,
    /// Where in the file what comes next stands.
    at: u64,
    bytes: Box<[u8]>,
    /// Which of `bytes` were read and not decoded.
    left: Range<usize>,
    text: Box<[u8]>,
    /// Which of `text` was decoded and not taken.
    ready: Range<usize>,
    /// Whether the decoder has seen the end.
    ended: bool,
}

impl Decoded {
    /// The text of a source from its beginning. Where the encoding is to be guessed, all of it is looked at first.
    ///
    /// # Errors
    /// [`IngestError::Io`].
    pub(super) fn open(source: &Source, decoding: Decoding) -> Result<Self, IngestError> {
        let file = source.handle().map_err(|error| IngestError::io(&source.id, error))?;
        let mut at = 0;
        let (encoding, mark) = decoding
            .encoding_of(|| {
                let mut bytes = vec![0; PIECE];
                let read = read_at(&file, &mut bytes, at)?;
                at += read as u64;
                bytes.truncate(read);
                Ok(bytes)
            })
            .map_err(|error| IngestError::io(&source.id, error))?;
        Ok(Self::new(source.id.clone(), file, encoding, mark as u64, decoding.replaces()))
    }

    fn new(id: String, file: File, encoding: &'static Encoding, mark: u64, replace: bool) -> Self {
        // A byte is at most three in UTF-8, and the decoder may owe a character from before.
        let (bytes, text) = (vec![0; PIECE].into(), vec![0; 3 * PIECE + 16].into());
        let decoder = encoding.new_decoder_without_bom_handling();
        let (left, ready, ended) = (0..0, 0..0, false);
        Self { id, file, encoding, mark, replace, decoder, at: mark, bytes, left, text, ready, ended }
    }

    /// The same from its beginning.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self::new(self.id.clone(), self.file.try_clone()?, self.encoding, self.mark, self.replace))
    }

    /// The file.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Decodes more, unless there is some that nobody took.
    fn more(&mut self) -> io::Result<()> {
        while self.ready.is_empty() && !self.ended {
            if self.left.is_empty() {
                let read = read_at(&self.file, &mut self.bytes, self.at)?;
                (self.at, self.left) = (self.at + read as u64, 0..read);
            }
            let left = self.bytes.get(self.left.clone()).unwrap_or_default();
            let last = left.is_empty();
            let (over, malformed, read, written) = if self.replace {
                let (result, read, written, _) = self.decoder.decode_to_utf8(left, &mut self.text, last);
                (result == CoderResult::InputEmpty, None, read, written)
            } else {
                let (result, read, written) =
                    self.decoder.decode_to_utf8_without_replacement(left, &mut self.text, last);
                let malformed = match result {
                    DecoderResult::Malformed(bad, after) => Some(u64::from(bad) + u64::from(after)),
                    _ => None,
                };
                (result == DecoderResult::InputEmpty, malformed, read, written)
            };
            (self.left.start, self.ready) = (self.left.start + read, 0..written);
            self.ended = last && over;
            if let Some(before) = malformed {
                self.ended = true;
                let behind = self.left.len() as u64;
                return Err(self.malformed(self.at.saturating_sub(behind + before)));
            }
        }
        Ok(())
    }

    fn malformed(&self, at: u64) -> io::Error {
        let mut byte = [0];
        match read_at(&self.file, &mut byte, at) {
            Ok(_) => io::Error::other(super::decode::malformed(&self.id, at, byte[0], self.encoding)),
            Err(error) => error,
        }
    }
}

/// Reads at a place until the buffer is full, or the file ends.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

impl BufRead for Decoded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.more()?;
        Ok(self.text.get(self.ready.clone()).unwrap_or_default())
    }

    fn consume(&mut self, used: usize) {
        self.ready.start = self.ready.end.min(self.ready.start + used);
    }
}

impl Read for Decoded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

/// What went wrong while a text was read.
pub(super) fn told(id: &str, error: io::Error) -> IngestError {
    error.downcast::<IngestError>().unwrap_or_else(|error| IngestError::io(id, error))
}
