//! The blocks of a message, from their beginning to their end.

use serde_json::Value;
use serde_json::value::RawValue;

use super::frame::{Block, text};
use super::{AnthropicDecoder, AnthropicEvent, Sink, fill};
use crate::WireError;
use crate::document::parse;

/// A block that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// The provider's number of it.
    pub(crate) index: u32,
    pub(crate) kind: Kind,
}

/// What a block is, and what is held of it until it ends.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Text {
        citations: Vec<Value>,
    },
    Thinking {
        signature: String,
    },
    Call(Box<Call>),
    /// A block that is kept as it is.
    Other {
        block: Value,
        /// The JSON text of its `input`, where that arrives in pieces.
        input: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    place: u32,
    id: String,
    name: String,
    arguments: String,
    /// The input with which the block began; it counts where nothing follows.
    preset: Option<String>,
    caller: Option<Value>,
}

impl Open {
    pub(crate) fn is_other(&self) -> bool {
        matches!(self.kind, Kind::Other { .. })
    }

    /// Sets a field of a block that is kept as it is.
    pub(crate) fn set(&mut self, key: String, value: Value) {
        if let Kind::Other { block: Value::Object(fields), .. } = &mut self.kind {
            fields.insert(key, value);
        }
    }
}

impl AnthropicDecoder {
    pub(super) fn begin(
        &mut self,
        index: Option<u64>,
        block: Option<&RawValue>,
        out: &mut impl Sink,
    ) -> Result<(), WireError> {
        let Some(raw) = block else { return Ok(()) };
        let block: Block<'_> = fill(raw)?;
        let index = self.free_index(index, &block, out)?;
        let kind = match block.kind.as_str() {
            "tool_use" => Kind::Call(Box::new(self.begin_call(index, &block, out)?)),
            "text" => {
                let said = text(block.text)?;
                if !said.is_empty() {
                    out.text(&said);
                }
                let citations: Option<Vec<Value>> = block.citations.map(|raw| parse(raw.get())).transpose()?;
                Kind::Text { citations: citations.unwrap_or_default() }
            }
            "thinking" => {
                let thought = text(block.thinking)?;
                if !thought.is_empty() {
                    out.thinking(&thought);
                }
                Kind::Thinking { signature: text(block.signature)? }
            }
            "redacted_thinking" => {
                out.event(AnthropicEvent::RedactedThinking(text(block.data)?));
                return Ok(());
            }
            _ => Kind::Other { block: parse(raw.get())?, input: String::new() },
        };
        self.open.push(Open { index, kind });
        Ok(())
    }

    fn begin_call(&mut self, index: u32, block: &Block<'_>, out: &mut impl Sink) -> Result<Call, WireError> {
        let (id, name) = (text(block.id)?, text(block.name)?);
        if let Some((_, first)) = self.calls.iter().find(|(taken, _)| *taken == index) {
            return Err(WireError::DuplicateIndex { index, first: first.clone(), second: id });
        }
        let place = self.calls.len() as u32;
        if name.is_empty() {
            return Err(WireError::MissingToolName { index: place, id });
        }
        let preset = block.input.map(RawValue::get).filter(|input| !is_empty_object(input)).map(str::to_owned);
        let bytes = preset.as_ref().map_or(0, String::len);
        let limit = self.limits.max_tool_args;
        if bytes > limit {
            return Err(WireError::ArgumentsTooLarge { name, limit });
        }
        self.hold(id.len() + name.len() + bytes)?;
        self.calls.push((index, id.clone()));
        out.event(AnthropicEvent::ToolCallStarted { index: place, id: id.clone(), name: name.clone() });
        let caller = block.caller.map(|caller| parse::<Value>(caller.get())).transpose()?;
        let caller = caller.filter(|caller| caller["type"] != "direct");
        Ok(Call { place, id, name, arguments: String::new(), preset, caller })
    }

    /// The index of a block that begins. A block that was never closed ends where another one takes its place, but a
    /// call does not: what was meant for it could go astray.
    fn free_index(&mut self, index: Option<u64>, block: &Block<'_>, out: &mut impl Sink) -> Result<u32, WireError> {
        let (sent, max) = (index.unwrap_or(self.next_index), self.limits.max_index);
        let known = u32::try_from(sent).ok().filter(|index| *index <= max);
        let Some(index) = known else {
            return Err(WireError::IndexOutOfRange { what: "content block", index: sent, max });
        };
        if let Some(at) = self.open.iter().position(|open| open.index == index) {
            if let Kind::Call(call) = &self.open[at].kind {
                let (first, second) = (call.id.clone(), text(block.id)?);
                return Err(WireError::DuplicateIndex { index, first, second });
            }
            let open = self.open.remove(at);
            close(open.kind, out);
        }
        self.next_index = sent + 1;
        Ok(index)
    }

    pub(super) fn stop(&mut self, index: Option<u64>, out: &mut impl Sink) -> Result<(), WireError> {
        let at = match index {
            Some(index) => self.open.iter().rposition(|open| u64::from(open.index) == index),
            None => self.open.len().checked_sub(1),
        };
        if let Some(at) = at {
            let open = self.open.remove(at);
            close(open.kind, out);
        }
        Ok(())
    }

    /// Ends the blocks that the provider left open.
    pub(super) fn close_all(&mut self, out: &mut impl Sink) {
        for open in std::mem::take(&mut self.open) {
            close(open.kind, out);
        }
    }

    /// Adds to the input of a tool.
    pub(super) fn input(&mut self, at: usize, piece: &str, out: &mut impl Sink) -> Result<(), WireError> {
        if piece.is_empty() {
            return Ok(());
        }
        let (limits, total) = (self.limits, self.total_bytes + piece.len());
        let (held, name) = match &mut self.open[at].kind {
            Kind::Call(call) => (&mut call.arguments, call.name.as_str()),
            Kind::Other { input, block } => (input, block["name"].as_str().unwrap_or_default()),
            Kind::Text { .. } | Kind::Thinking { .. } => return Err(WireError::OrphanArguments),
        };
        if held.len() + piece.len() > limits.max_tool_args {
            return Err(WireError::ArgumentsTooLarge { name: name.to_owned(), limit: limits.max_tool_args });
        }
        if total > limits.max_total_bytes {
            return Err(WireError::CallsTooLarge { limit: limits.max_total_bytes });
        }
        held.push_str(piece);
        self.total_bytes = total;
        if let Kind::Call(call) = &self.open[at].kind {
            out.call_delta(call.place, piece);
        }
        Ok(())
    }

    /// Appends to a field of a block that is kept as it is.
    pub(super) fn grow(&mut self, at: usize, key: &str, piece: &str) -> Result<(), WireError> {
        self.hold(piece.len())?;
        if let Kind::Other { block: Value::Object(fields), .. } = &mut self.open[at].kind {
            match fields.get_mut(key) {
                Some(Value::String(text)) => text.push_str(piece),
                _ => {
                    fields.insert(key.to_owned(), Value::String(piece.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Counts what is held until the end of a block.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), WireError> {
        self.total_bytes += bytes;
        if self.total_bytes > self.limits.max_total_bytes {
            return Err(WireError::CallsTooLarge { limit: self.limits.max_total_bytes });
        }
        Ok(())
    }
}

/// Tells what was held back until the block's end.
fn close(kind: Kind, out: &mut impl Sink) {
    match kind {
        Kind::Text { citations } => {
            for citation in citations {
                out.event(AnthropicEvent::Citation(citation));
            }
        }
        Kind::Thinking { signature } if signature.is_empty() => {}
        Kind::Thinking { signature } => out.event(AnthropicEvent::Signature(signature)),
        Kind::Call(call) => {
            let Call { place: index, id, name, mut arguments, preset, caller } = *call;
            if let Some(preset) = preset.filter(|_| arguments.is_empty()) {
                out.call_delta(index, &preset);
                arguments = preset;
            }
            out.event(AnthropicEvent::ToolCallFinished { index, id, name, arguments, caller });
        }
        Kind::Other { mut block, input } => {
            // An input that the token limit cut stays the empty one with which the block began.
            if let (Value::Object(fields), Ok(input)) = (&mut block, serde_json::from_str::<Value>(&input)) {
                fields.insert("input".to_owned(), input);
            }
            out.event(AnthropicEvent::Block(block));
        }
    }
}

fn is_empty_object(json: &str) -> bool {
    json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|inside| inside.trim_ascii().is_empty())
}
