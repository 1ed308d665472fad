//! Only the tool calls of an answer.

use super::{AnthropicDecoder, AnthropicEvent, Sink};
use crate::{ToolCallEvent, ToolCallLimits, WireError};

/// Reads only the tool calls of an Anthropic message, for who wants nothing else of it: texts cost nothing.
///
/// ```
/// use atomr_agents_wire::{AnthropicToolCalls, ToolCallEvent};
///
/// let mut calls = AnthropicToolCalls::new();
/// calls.feed(r#"{"index":0,"content_block":{"type":"tool_use","id":"t1","name":"add","input":{}}}"#)?;
/// calls.feed(r#"{"index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#)?;
/// let want = ToolCallEvent::Finished { index: 0, id: "t1".into(), name: "add".into(), arguments: r#"{"a":1}"#.into() };
/// assert_eq!(calls.finish(), [want]);
/// # Ok::<(), atomr_agents_wire::WireError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AnthropicToolCalls {
    limits: ToolCallLimits,
    decoder: AnthropicDecoder,
    finished: Finished,
}

/// Keeps calls that are whole and nothing else.
#[derive(Clone, Debug, Default)]
struct Finished(Vec<ToolCallEvent>);

impl Sink for Finished {
    fn text(&mut self, _text: &str) {}
    fn thinking(&mut self, _text: &str) {}
    fn call_delta(&mut self, _index: u32, _arguments: &str) {}
    fn event(&mut self, event: AnthropicEvent) {
        if let AnthropicEvent::ToolCallFinished { index, id, name, arguments, .. } = event {
            self.0.push(ToolCallEvent::Finished { index, id, name, arguments });
        }
    }
}

impl AnthropicToolCalls {
    /// A reader with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with these limits.
    #[must_use]
    pub fn with_limits(limits: ToolCallLimits) -> Self {
        Self { limits, decoder: AnthropicDecoder::with_limits(limits), finished: Finished::default() }
    }

    /// Takes the data of one event, with or without its outer `type`, or a whole message. Events without tool calls
    /// are fine.
    ///
    /// # Errors
    /// [`WireError`] when it is no such JSON or breaks the protocol, e.g. two calls of one index.
    pub fn feed(&mut self, json: &str) -> Result<(), WireError> {
        self.decoder.read(None, json, &mut self.finished)
    }

    /// The calls as far as they were written, as [`ToolCallEvent::Finished`] in the order of appearance. The reader is
    /// empty afterwards.
    pub fn finish(&mut self) -> Vec<ToolCallEvent> {
        self.decoder.close_all(&mut self.finished);
        self.decoder = AnthropicDecoder::with_limits(self.limits);
        let mut calls = std::mem::take(&mut self.finished.0);
        calls.sort_by_key(|call| match call {
            ToolCallEvent::Started { index, .. }
            | ToolCallEvent::Delta { index, .. }
            | ToolCallEvent::Finished { index, .. } => *index,
        });
        calls
    }
}
