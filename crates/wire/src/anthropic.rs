//! Anthropic Messages, streamed or whole.

mod calls;
mod frame;
mod open;
mod piece;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use calls::AnthropicToolCalls;

use crate::document::parse;
use crate::in_place::{Fill, InPlace, read_document};
use crate::{DONE_MARKER, ProviderError, ToolCallLimits, WireError};
use frame::{Delta, Ending, Frame, Message};
use open::{Kind, Open};
use piece::{Piece, PieceKind};

/// Something that an Anthropic message says. Texts are pieces, never empty.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnthropicEvent {
    /// The answer began.
    Started {
        /// The provider's id of the answer; empty where none is sent.
        id: String,
        /// The model that answers; empty where none is sent.
        model: String,
    },
    /// A piece of the visible text.
    Text(String),
    /// Where the text of the block that ended just now comes from, as sent. One for each source, at the block's end.
    Citation(Value),
    /// A piece of a thought.
    Thinking(String),
    /// The proof of the thought that ended just now, which may have had no text.
    Signature(String),
    /// A thought that is kept secret: its sealed form.
    RedactedThinking(String),
    /// A tool call began.
    ToolCallStarted {
        /// The call's place among the calls, in the order of appearance.
        index: u32,
        /// Its id.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A piece of a call's arguments.
    ToolCallDelta {
        /// The call's place among the calls.
        index: u32,
        /// The piece.
        arguments: String,
    },
    /// A call is written to its end. [`AnthropicEvent::Finish`] is what allows to act on it.
    ToolCallFinished {
        /// The call's place among the calls.
        index: u32,
        /// Its id, as announced.
        id: String,
        /// The tool's name, as announced.
        name: String,
        /// The arguments' text, valid JSON or not; empty where the tool was called without any.
        arguments: String,
        /// Who called, where it was not the model itself: code that the provider runs. As sent.
        caller: Option<Value>,
    },
    /// A whole block of another type (tools that the provider runs, their results, compaction), as sent, with its
    /// deltas put in.
    Block(Value),
    /// The container in which the provider ran code, as sent.
    Container(Value),
    /// All usage numbers so far, later ones over earlier ones, as sent. It replaces earlier usage.
    Usage(Value),
    /// The answer is complete. At most once, at the end; missing where the stream broke off or failed.
    Finish {
        /// Why it ended.
        reason: String,
        /// The stop sequence that was met.
        stop_sequence: Option<String>,
        /// More about a refusal, as sent.
        details: Option<Value>,
    },
    /// The provider reports an error in the middle of its answer. Nothing of the stream counts after it.
    Error {
        /// The error.
        error: Box<ProviderError>,
        /// The provider's id of the request, where the error names it.
        request_id: Option<String>,
    },
}

/// The names of the events that matter.
const NAMES: [&str; 6] = [
    "content_block_delta",
    "content_block_start",
    "content_block_stop",
    "message_start",
    "message_delta",
    "message_stop",
];

/// Where the decoder puts what it finds. What comes often is lent, so that nobody pays for what nobody wants.
pub(crate) trait Sink {
    fn text(&mut self, text: &str);
    fn thinking(&mut self, text: &str);
    fn call_delta(&mut self, index: u32, arguments: &str);
    fn event(&mut self, event: AnthropicEvent);
}

impl Sink for Vec<AnthropicEvent> {
    fn text(&mut self, text: &str) {
        self.push(AnthropicEvent::Text(text.to_owned()));
    }
    fn thinking(&mut self, text: &str) {
        self.push(AnthropicEvent::Thinking(text.to_owned()));
    }
    fn call_delta(&mut self, index: u32, arguments: &str) {
        self.push(AnthropicEvent::ToolCallDelta { index, arguments: arguments.to_owned() });
    }
    fn event(&mut self, event: AnthropicEvent) {
        self.push(event);
    }
}

/// Decodes one answer: feed it the data of every event with [`chunk`](Self::chunk), then call [`done`](Self::done) at
/// the end of the body; or give it a whole JSON body with [`body`](Self::body).
///
/// The terminal event is `message_stop`: without it nothing is finished, whatever had arrived.
#[derive(Clone, Debug, Default)]
pub struct AnthropicDecoder {
    limits: ToolCallLimits,
    /// The blocks that have begun and not ended; the API has one at a time.
    open: Vec<Open>,
    /// The provider's index and the id of every call so far, in the order of appearance.
    calls: Vec<(u32, String)>,
    /// The index of a block that names none.
    next_index: u64,
    /// Bytes held for calls and for other blocks that arrive in pieces.
    total_bytes: usize,
    usage: Map<String, Value>,
    ending: Option<(String, Option<String>, Option<Value>)>,
    stopped: bool,
    failed: bool,
    done: bool,
    scratch: String,
}

impl AnthropicDecoder {
    /// A decoder for one answer, with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with these limits, which hold for the indices of all blocks and for the input of the provider's own
    /// tools too.
    #[must_use]
    pub fn with_limits(limits: ToolCallLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Was the terminal event `message_stop` seen?
    #[must_use]
    pub fn saw_stop(&self) -> bool {
        self.stopped
    }

    /// Takes the data of one event. After the terminal event, an error or [`done`](Self::done) nothing is taken.
    pub fn chunk(&mut self, data: &str, out: &mut Vec<AnthropicEvent>) -> Result<(), WireError> {
        self.read(None, data, out)
    }

    /// Takes one event with its name. Kinds that are new are passed over, so one that was damaged on its way would be
    /// lost, and a piece of a tool's arguments with it: where the name is known, the data must say the same.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk), and [`WireError::NamesDiffer`].
    pub fn event(&mut self, name: Option<&str>, data: &str, out: &mut Vec<AnthropicEvent>) -> Result<(), WireError> {
        self.read(name, data, out)
    }

    /// Takes a whole body, [`done`](Self::done) included.
    pub fn body(&mut self, json: &str, out: &mut Vec<AnthropicEvent>) -> Result<(), WireError> {
        self.read(None, json, out)?;
        self.done(out)
    }

    /// The body is at its end: reports how the answer ended.
    ///
    /// An answer whose end the provider announced reports a call that the token limit cut too. In a stream that broke
    /// off or failed, blocks that had not ended are forgotten, and there is no [`AnthropicEvent::Finish`].
    pub fn done(&mut self, out: &mut Vec<AnthropicEvent>) -> Result<(), WireError> {
        if std::mem::replace(&mut self.done, true) || self.failed || !self.stopped {
            return Ok(());
        }
        let Some((reason, stop_sequence, details)) = self.ending.take() else { return Ok(()) };
        self.close_all(out);
        out.push(AnthropicEvent::Finish { reason, stop_sequence, details });
        Ok(())
    }

    pub(crate) fn read(&mut self, name: Option<&str>, data: &str, out: &mut impl Sink) -> Result<(), WireError> {
        let json = data.trim_ascii();
        if self.stopped || self.failed || self.done {
            return Ok(());
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let quick = piece::piece(json, &mut scratch).map(|piece| self.piece(piece, out));
        self.scratch = scratch;
        match quick {
            Some(taken) => taken,
            None if json.is_empty() || json == DONE_MARKER => Ok(()),
            None => self.frame(name, json, out),
        }
    }

    /// The general way.
    fn frame(&mut self, name: Option<&str>, json: &str, out: &mut impl Sink) -> Result<(), WireError> {
        let mut frame = Frame::default();
        read_document(json, InPlace(&mut frame))?;
        if let Some(name) = name.filter(|name| NAMES.contains(name))
            && !["", name].contains(&frame.kind.as_str())
        {
            return Err(WireError::NamesDiffer { name: name.to_owned(), kind: frame.kind.as_str().to_owned() });
        }
        match frame.kind.as_str() {
            "content_block_delta" => self.delta(&frame, out),
            "content_block_start" => self.begin(frame.index, frame.content_block, out),
            "content_block_stop" => self.stop(frame.index, out),
            "message_start" => self.message(frame.message, false, out),
            "message_delta" => self.message_delta(&frame, out),
            "message_stop" => {
                self.stopped = true;
                Ok(())
            }
            "message" => {
                let whole: &RawValue = parse(json)?;
                self.message(Some(whole), true, out)?;
                self.stopped = true;
                Ok(())
            }
            "error" => self.error(json, out),
            // Deltas are also passed on without the outer type; what they hold says what they are.
            "" if frame.error.is_some() => self.error(json, out),
            "" if frame.content_block.is_some() => self.begin(frame.index, frame.content_block, out),
            "" if frame.delta.is_some() && frame.index.is_some() => self.delta(&frame, out),
            "" if frame.message.is_some() => self.message(frame.message, false, out),
            _ => Ok(()), // pings, and what is new
        }
    }

    fn piece(&mut self, piece: Piece<'_>, out: &mut impl Sink) -> Result<(), WireError> {
        if piece.text.is_empty() && piece.kind != PieceKind::Input {
            return Ok(());
        }
        let at = self.open.iter().rposition(|open| u64::from(open.index) == piece.index);
        match (piece.kind, at) {
            (PieceKind::Input, Some(at)) => self.input(at, piece.text, out),
            (PieceKind::Input, None) => Err(WireError::OrphanArguments),
            (PieceKind::Text, Some(at)) if self.open[at].is_other() => self.grow(at, "text", piece.text),
            (PieceKind::Text, _) => {
                out.text(piece.text);
                Ok(())
            }
            (PieceKind::Thinking, _) => {
                out.thinking(piece.text);
                Ok(())
            }
        }
    }

    fn delta(&mut self, frame: &Frame<'_>, out: &mut impl Sink) -> Result<(), WireError> {
        let Some(raw) = frame.delta else { return Ok(()) };
        let delta: Delta<'_> = fill(raw)?;
        let last = self.open.last().map_or(0, |open| u64::from(open.index));
        let index = frame.index.unwrap_or(last);
        let (kind, text) = match (delta.kind.as_str(), &delta.partial_json) {
            ("input_json_delta", None) => (PieceKind::Input, ""),
            ("input_json_delta" | "", Some(piece)) => (PieceKind::Input, piece.as_str()),
            ("text_delta", _) => (PieceKind::Text, delta.text.as_str()),
            ("thinking_delta", _) => (PieceKind::Thinking, delta.thinking.as_str()),
            _ => return self.other_delta(index, &delta, raw),
        };
        self.piece(Piece { index, kind, text }, out)
    }

    /// Deltas that are kept until their block ends; unknown ones are kept only in blocks that are kept whole.
    fn other_delta(&mut self, index: u64, delta: &Delta<'_>, raw: &RawValue) -> Result<(), WireError> {
        let Some(at) = self.open.iter().rposition(|open| u64::from(open.index) == index) else { return Ok(()) };
        match (&mut self.open[at].kind, delta.kind.as_str()) {
            (Kind::Text { citations }, "citations_delta") => {
                if let Some(citation) = delta.citation {
                    citations.push(parse(citation.get())?);
                    self.hold(citation.get().len())?;
                }
            }
            (Kind::Thinking { signature }, "signature_delta") => {
                signature.push_str(delta.signature.as_str());
                self.hold(delta.signature.as_str().len())?;
            }
            (Kind::Other { .. }, _) => {
                let fields: Map<String, Value> = parse(raw.get())?;
                for (key, value) in fields.into_iter().filter(|(key, _)| key != "type") {
                    match value {
                        Value::String(text) => self.grow(at, &key, &text)?,
                        value => self.open[at].set(key, value),
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, message: Option<&RawValue>, whole: bool, out: &mut impl Sink) -> Result<(), WireError> {
        let Some(raw) = message else { return Ok(()) };
        let message: Message<'_> = fill(raw)?;
        let (id, model) = (message.id.as_str().to_owned(), message.model.as_str().to_owned());
        out.event(AnthropicEvent::Started { id, model });
        self.used(message.usage, out)?;
        for (index, block) in message.content.iter().flatten().enumerate().filter(|_| whole) {
            self.begin(Some(index as u64), Some(block), out)?;
            self.stop(Some(index as u64), out)?;
        }
        if whole { self.ends(&message.ending, out) } else { Ok(()) }
    }

    fn message_delta(&mut self, frame: &Frame<'_>, out: &mut impl Sink) -> Result<(), WireError> {
        self.used(frame.usage, out)?;
        match frame.delta {
            Some(delta) => self.ends(&fill::<Delta<'_>>(delta)?.ending, out),
            None => Ok(()),
        }
    }

    fn ends(&mut self, ending: &Ending<'_>, out: &mut impl Sink) -> Result<(), WireError> {
        if let Some(container) = ending.container {
            out.event(AnthropicEvent::Container(parse(container.get())?));
        }
        if !ending.stop_reason.as_str().is_empty() {
            let sequence = ending.stop_sequence.as_ref().map(|sequence| sequence.as_str().to_owned());
            let details = ending.stop_details.map(|details| parse(details.get())).transpose()?;
            self.ending = Some((ending.stop_reason.as_str().to_owned(), sequence, details));
        }
        Ok(())
    }

    /// Later numbers count, but a null says nothing.
    fn used(&mut self, usage: Option<&RawValue>, out: &mut impl Sink) -> Result<(), WireError> {
        let Some(usage) = usage else { return Ok(()) };
        self.hold(usage.get().len())?;
        let Value::Object(usage) = parse(usage.get())? else { return Ok(()) };
        for (key, value) in usage {
            if !value.is_null() || !self.usage.contains_key(&key) {
                self.usage.insert(key, value);
            }
        }
        out.event(AnthropicEvent::Usage(Value::Object(self.usage.clone())));
        Ok(())
    }

    fn error(&mut self, json: &str, out: &mut impl Sink) -> Result<(), WireError> {
        self.failed = true;
        let document: Value = parse(json)?;
        let request_id = document["request_id"].as_str().map(str::to_owned);
        let error = Box::new(ProviderError::from_document(document));
        out.event(AnthropicEvent::Error { error, request_id });
        Ok(())
    }
}

/// Reads a part of a document.
fn fill<'de, T: Fill<'de>>(raw: &'de RawValue) -> Result<T, WireError> {
    let mut part = T::default();
    read_document(raw.get(), InPlace(&mut part))?;
    Ok(part)
}

#[cfg(test)]
mod tests;
