//! Drawing the events from one read.

use memchr::memchr2;

use super::{Event, Field, SseDecoder, parse_field};
use crate::WireError;

/// The events of one read, see [`SseDecoder::feed`].
#[derive(Debug)]
pub struct Events<'d, 'r> {
    decoder: &'d mut SseDecoder,
    read: &'r [u8],
    pos: usize,
    /// Where in the read the event's only data line is, as long as it needs no copy.
    span: Option<(usize, usize)>,
}

impl<'d, 'r> Events<'d, 'r> {
    pub(super) fn new(decoder: &'d mut SseDecoder, read: &'r [u8], pos: usize) -> Self {
        Self { decoder, read, pos, span: None }
    }

    /// The next event that is complete, or `None` when the read has no more.
    ///
    /// After [`WireError::InvalidUtf8`] the stream can be read on, the event is skipped. [`WireError::EventTooLarge`]
    /// is final.
    // Not `Iterator`: an event may borrow from the decoder, so it ends before the next one is drawn.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, WireError> {
        self.decoder.forget_event()?;
        self.span = None;
        if !self.advance()? {
            return Ok(None);
        }
        self.decoder.event(self.span.map(|(start, end)| &self.read[start..end]), false).map(Some)
    }

    /// Goes on to the end of the next event; false if the read ends before.
    fn advance(&mut self) -> Result<bool, WireError> {
        while let Some(&first) = self.read.get(self.pos) {
            let rest = &self.read[self.pos..];
            let end = if first == b'\n' || first == b'\r' { Some(0) } else { memchr2(b'\n', b'\r', rest) };
            let Some(len) = end else { break };
            let start = self.pos;
            self.skip_line_end(start + len);
            if self.decoder.buf.len() > self.decoder.data_len {
                // The line began in an earlier read, so it is not blank.
                self.decoder.check_room(self.decoder.buf.len(), len)?;
                self.decoder.append(&rest[..len]);
                self.decoder.buffered_line()?;
            } else if len > 0 {
                self.line(start, &rest[..len])?;
            } else if self.decoder.end_event() {
                return Ok(true);
            }
        }
        self.keep_rest()?;
        Ok(false)
    }

    fn skip_line_end(&mut self, at: usize) {
        self.pos = at + 1;
        if self.read[at] == b'\r' {
            match self.read.get(self.pos) {
                Some(b'\n') => self.pos += 1,
                Some(_) => {}
                None => self.decoder.skip_lf = true,
            }
        }
    }

    /// Interprets a line that lies in this read.
    fn line(&mut self, start: usize, line: &[u8]) -> Result<(), WireError> {
        let held = self.span.map_or(self.decoder.data_len, |(start, end)| end - start);
        self.decoder.check_room(held, line.len())?;
        let (field, offset) = parse_field(line);
        if field != Field::Data {
            return self.decoder.other_field(field, &line[offset..]);
        }
        if self.decoder.data_lines == 0 {
            self.span = Some((start + offset, start + line.len()));
            self.decoder.data_lines = 1;
        } else {
            self.copy_span();
            self.decoder.append_data(&line[offset..]);
        }
        Ok(())
    }

    /// Moves a borrowed data line into the decoder, because the event goes on.
    fn copy_span(&mut self) {
        if let Some((start, end)) = self.span.take() {
            self.decoder.data_lines = 0;
            self.decoder.append_data(&self.read[start..end]);
        }
    }

    /// The read is at its end: keeps what the next one continues.
    fn keep_rest(&mut self) -> Result<(), WireError> {
        self.copy_span();
        let rest = &self.read[self.pos..];
        self.pos = self.read.len();
        self.decoder.check_room(self.decoder.buf.len(), rest.len())?;
        self.decoder.append(rest);
        Ok(())
    }
}
