//! The shape of one event of a stream, and of a whole message, borrowed from the document.
//!
//! Keys that are not listed are skipped without allocation; null is the same as a missing key.

use serde_json::value::RawValue;

use crate::WireError;
use crate::document::parse;
use crate::in_place::fill;
use crate::tolerant::Text;

/// One event, or a whole message, of which only the type is read here: events of types that are not known may hold other
/// things under the same names.
#[derive(Debug, Default)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Text<'a>,
    pub(crate) index: Option<u64>,
    /// A [`Delta`], in the events that have one.
    pub(crate) delta: Option<&'a RawValue>,
    pub(crate) content_block: Option<&'a RawValue>,
    pub(crate) message: Option<&'a RawValue>,
    pub(crate) usage: Option<&'a RawValue>,
    pub(crate) error: Option<&'a RawValue>,
}
fill!(Frame: plain { kind = "type", index, delta, content_block, message, usage, error } nested {});

/// What is added to a block, or (in `message_delta`) to the message.
#[derive(Debug, Default)]
pub(crate) struct Delta<'a> {
    pub(crate) kind: Text<'a>,
    pub(crate) text: Text<'a>,
    pub(crate) partial_json: Option<Text<'a>>,
    pub(crate) thinking: Text<'a>,
    pub(crate) signature: Text<'a>,
    pub(crate) citation: Option<&'a RawValue>,
    pub(crate) ending: Ending<'a>,
}
fill!(Delta: plain { kind = "type", text, partial_json, thinking, signature, citation } nested {} rest ending);

/// How a message ended.
#[derive(Debug, Default)]
pub(crate) struct Ending<'a> {
    pub(crate) stop_reason: Text<'a>,
    pub(crate) stop_sequence: Option<Text<'a>>,
    pub(crate) stop_details: Option<&'a RawValue>,
    pub(crate) container: Option<&'a RawValue>,
}
fill!(Ending: plain { stop_reason, stop_sequence, stop_details, container } nested {});

/// A message: whole, or (in `message_start`) without content.
#[derive(Debug, Default)]
pub(crate) struct Message<'a> {
    pub(crate) id: Text<'a>,
    pub(crate) model: Text<'a>,
    pub(crate) content: Option<Vec<&'a RawValue>>,
    pub(crate) usage: Option<&'a RawValue>,
    pub(crate) ending: Ending<'a>,
}
fill!(Message: plain { id, model, content, usage } nested {} rest ending);

/// A block of content: as it begins, or whole. Only its type is read here: under the same names, blocks of different
/// types hold different things.
#[derive(Debug, Default)]
pub(crate) struct Block<'a> {
    pub(crate) kind: Text<'a>,
    pub(crate) id: Option<&'a RawValue>,
    pub(crate) name: Option<&'a RawValue>,
    pub(crate) input: Option<&'a RawValue>,
    pub(crate) caller: Option<&'a RawValue>,
    pub(crate) text: Option<&'a RawValue>,
    pub(crate) thinking: Option<&'a RawValue>,
    pub(crate) signature: Option<&'a RawValue>,
    pub(crate) data: Option<&'a RawValue>,
    pub(crate) citations: Option<&'a RawValue>,
}
fill!(Block:
    plain { kind = "type", id, name, input, caller, text, thinking, signature, data, citations }
    nested {}
);

/// The text of a field; empty where there is none.
pub(crate) fn text(field: Option<&RawValue>) -> Result<String, WireError> {
    let Some(raw) = field else { return Ok(String::new()) };
    parse::<Text<'_>>(raw.get()).map(|text| text.0.into_owned())
}
