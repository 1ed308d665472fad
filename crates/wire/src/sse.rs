//! Server-sent events, as WHATWG defines the format, from reads cut anywhere.

use std::time::Duration;

use crate::WireError;

mod events;

pub use events::Events;

/// How large one event may be unless the caller says otherwise.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 1 << 20;

/// An event type or id longer than this is no name.
const MAX_NAME_BYTES: usize = 4096;
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// One server-sent event.
///
/// `data` borrows from the read where the whole event lies in one read and has one data line; else from the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The data lines, joined by line feeds.
    pub data: &'a str,
    /// The event's type; `None` where the server names none, which the standard calls `message`.
    pub event: Option<&'a str>,
    /// The last id that the stream named, empty before the first.
    pub id: &'a str,
    /// The stream ended without the blank line that completes this event. The standard drops such an event; some
    /// servers never send the last blank line, so it is handed out with this mark.
    pub unterminated: bool,
}

/// What went by so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SseStats {
    /// Events handed out, an unterminated last one included.
    pub events: u64,
    /// Comment lines, which servers send to keep a connection alive.
    pub comments: u64,
    /// Events with more than one data line.
    pub multi_line_events: u64,
    /// The last event came without its blank line.
    pub unterminated_tail: bool,
}

/// Decodes a stream of server-sent events.
///
/// Feed it the reads as they come; the events do not depend on where the reads were cut. Line ends are LF, CR or CRLF,
/// mixed at will. It holds at most [`max_event_bytes`](Self::with_max_event_bytes) (plus the names of type and id) and
/// looks at each byte a fixed number of times.
///
/// ```
/// use atomr_agents_wire::SseDecoder;
///
/// let mut decoder = SseDecoder::new();
/// let mut events = decoder.feed(b"data: one\n\n: ping\n\ndata: tw");
/// assert_eq!(events.next_event()?.map(|e| e.data), Some("one"));
/// assert_eq!(events.next_event()?, None);
/// let mut events = decoder.feed(b"o\r");
/// assert_eq!(events.next_event()?, None);
/// assert_eq!(decoder.finish()?.map(|e| (e.data, e.unterminated)), Some(("two", true)));
/// # Ok::<(), atomr_agents_wire::WireError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SseDecoder {
    /// The data of the event so far, then, from `data_len` on, a line whose end has not come yet. One buffer for both
    /// keeps the sum below the limit.
    buf: Vec<u8>,
    data_len: usize,
    data_lines: u32,
    /// The event was handed out and is to be forgotten at the next call.
    handed_out: bool,
    event: String,
    id: String,
    retry: Option<Duration>,
    /// How many bytes of a byte order mark were seen; `None` once past the start of the stream.
    bom: Option<usize>,
    /// The last read ended with CR: a LF at the start of the next one belongs to it.
    skip_lf: bool,
    max_event_bytes: usize,
    /// The limit that was passed; nothing can be decoded after that.
    failed: Option<usize>,
    stats: SseStats,
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl SseDecoder {
    /// A decoder at the start of a stream, with [`DEFAULT_MAX_EVENT_BYTES`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_max_event_bytes(DEFAULT_MAX_EVENT_BYTES)
    }

    /// A decoder that refuses events whose lines (the data so far and the current line) are larger than this.
    #[must_use]
    pub fn with_max_event_bytes(max_event_bytes: usize) -> Self {
        Self {
            buf: Vec::new(),
            data_len: 0,
            data_lines: 0,
            handed_out: false,
            event: String::new(),
            id: String::new(),
            retry: None,
            bom: Some(0),
            skip_lf: false,
            max_event_bytes,
            failed: None,
            stats: SseStats::default(),
        }
    }

    /// Takes the next read. Draw the events from what this returns until it has no more: what was not drawn is lost.
    pub fn feed<'d, 'r>(&'d mut self, read: &'r [u8]) -> Events<'d, 'r> {
        let pos = self.read_start(read);
        Events::new(self, read, pos)
    }

    /// Ends the stream. An event that still waits for its blank line is handed out, marked as unterminated.
    pub fn finish(&mut self) -> Result<Option<Event<'_>>, WireError> {
        self.forget_event()?;
        if self.buf.len() > self.data_len {
            self.buffered_line()?;
        }
        let open = self.data_lines > 0;
        self.stats.unterminated_tail = open;
        if !self.end_event() {
            return Ok(None);
        }
        self.event(None, open).map(Some)
    }

    /// Counts so far.
    #[must_use]
    pub fn stats(&self) -> SseStats {
        self.stats
    }

    /// The reconnection time that the server asked for last.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// The last id that the stream named, empty before the first.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.id
    }

    /// Passes over what belongs to the stream's start or to the read before; returns where the lines begin.
    fn read_start(&mut self, read: &[u8]) -> usize {
        let mut pos = 0;
        while let (Some(seen), Some(&byte)) = (self.bom, read.get(pos)) {
            if byte != BOM[seen] {
                // No mark after all: what looked like one is the start of the first line.
                self.buf.extend_from_slice(&BOM[..seen]);
                self.bom = None;
                break;
            }
            pos += 1;
            self.bom = if seen + 1 < BOM.len() { Some(seen + 1) } else { None };
        }
        if let Some(&byte) = read.get(pos)
            && std::mem::take(&mut self.skip_lf)
            && byte == b'\n'
        {
            pos += 1;
        }
        pos
    }

    /// Clears the event that the caller has seen.
    fn forget_event(&mut self) -> Result<(), WireError> {
        if let Some(limit) = self.failed {
            return Err(WireError::EventTooLarge { limit });
        }
        if self.handed_out {
            self.handed_out = false;
            self.buf.clear();
            self.data_len = 0;
            self.data_lines = 0;
            self.event.clear();
        }
        Ok(())
    }

    /// Is there room for this many bytes of the current line beside `held` bytes?
    fn check_room(&mut self, held: usize, more: usize) -> Result<(), WireError> {
        if held.saturating_add(more) > self.max_event_bytes { self.fail(self.max_event_bytes) } else { Ok(()) }
    }

    fn fail(&mut self, limit: usize) -> Result<(), WireError> {
        self.failed = Some(limit);
        self.buf = Vec::new();
        Err(WireError::EventTooLarge { limit })
    }

    /// Appends to the buffer; doubling stops at the limit, so that the capacity keeps to it too.
    fn append(&mut self, bytes: &[u8]) {
        let needed = self.buf.len() + bytes.len();
        if needed > self.buf.capacity() {
            let target = (self.buf.capacity() * 2).max(256).min(self.max_event_bytes).max(needed);
            self.buf.reserve_exact(target - self.buf.len());
        }
        self.buf.extend_from_slice(bytes);
    }

    /// Adds one data line, given as its value. Only when no unfinished line is in the buffer.
    fn append_data(&mut self, value: &[u8]) {
        if self.data_lines > 0 {
            self.append(b"\n");
        }
        self.append(value);
        self.data_len = self.buf.len();
        self.data_lines = self.data_lines.saturating_add(1);
    }

    /// Interprets the line at the end of the buffer, which is complete now.
    fn buffered_line(&mut self) -> Result<(), WireError> {
        let start = self.data_len;
        let (field, offset) = parse_field(&self.buf[start..]);
        let (value, end) = (start + offset, self.buf.len());
        if field == Field::Data {
            let mut to = start;
            if self.data_lines > 0 {
                // There is room: the field's name is longer than a line feed.
                self.buf[to] = b'\n';
                to += 1;
            }
            self.buf.copy_within(value..end, to);
            self.data_len = to + (end - value);
            self.data_lines = self.data_lines.saturating_add(1);
            self.buf.truncate(self.data_len);
            return Ok(());
        }
        let line = self.buf.split_off(start);
        self.other_field(field, &line[offset..])
    }

    /// Interprets a line that is no data.
    fn other_field(&mut self, field: Field, value: &[u8]) -> Result<(), WireError> {
        match field {
            Field::Comment => self.stats.comments += 1,
            Field::Event | Field::Id if value.len() > MAX_NAME_BYTES => return self.fail(MAX_NAME_BYTES),
            Field::Event => {
                self.event.clear();
                self.event.push_str(&String::from_utf8_lossy(value));
            }
            Field::Id if !value.contains(&0) => {
                self.id.clear();
                self.id.push_str(&String::from_utf8_lossy(value));
            }
            Field::Retry if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let millis = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                self.retry = millis.map(Duration::from_millis).or(self.retry);
            }
            Field::Data | Field::Id | Field::Retry | Field::Unknown => {}
        }
        Ok(())
    }

    /// The event ends here; says whether there is one to hand out.
    fn end_event(&mut self) -> bool {
        if self.data_lines == 0 {
            self.event.clear();
            return false;
        }
        self.stats.events += 1;
        self.stats.multi_line_events += u64::from(self.data_lines > 1);
        self.handed_out = true;
        true
    }

    fn event<'a>(&'a self, borrowed: Option<&'a [u8]>, unterminated: bool) -> Result<Event<'a>, WireError> {
        let bytes = borrowed.unwrap_or(&self.buf[..self.data_len]);
        let data =
            std::str::from_utf8(bytes).map_err(|error| WireError::InvalidUtf8 { offset: error.valid_up_to() })?;
        let event = if self.event.is_empty() { None } else { Some(self.event.as_str()) };
        Ok(Event { data, event, id: &self.id, unterminated })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Id,
    Retry,
    Comment,
    Unknown,
}

/// Tells a line's field and where its value begins. The line is not empty.
fn parse_field(line: &[u8]) -> (Field, usize) {
    let (field, name) = match line {
        [b'd', b'a', b't', b'a', ..] => (Field::Data, 4),
        [b':', ..] => return (Field::Comment, 1),
        [b'e', b'v', b'e', b'n', b't', ..] => (Field::Event, 5),
        [b'i', b'd', ..] => (Field::Id, 2),
        [b'r', b'e', b't', b'r', b'y', ..] => (Field::Retry, 5),
        _ => return (Field::Unknown, line.len()),
    };
    match line.get(name) {
        None => (field, name),
        Some(b':') if line.get(name + 1) == Some(&b' ') => (field, name + 2),
        Some(b':') => (field, name + 1),
        Some(_) => (Field::Unknown, line.len()),
    }
}

#[cfg(test)]
mod tests;
