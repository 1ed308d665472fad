//! The shape of a chat completion: one chunk of a stream or one whole body, borrowed from the document.
//!
//! Keys that are not listed are skipped without allocation; null is the same as a missing key.

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::in_place::{Field, InPlace, List, fill};
use crate::tolerant::{Arguments, Content, Text};

/// A chunk or a body.
#[derive(Debug, Default)]
pub(crate) struct Chunk<'a> {
    pub(crate) id: Text<'a>,
    pub(crate) object: Text<'a>,
    pub(crate) model: Text<'a>,
    pub(crate) choices: List<Choice<'a>>,
    pub(crate) usage: Option<&'a RawValue>,
    pub(crate) x_groq: Option<XGroq<'a>>,
    pub(crate) error: Option<&'a RawValue>,
}
fill!(Chunk: plain { id, object, model, usage, error } nested { choices, x_groq });

/// Groq's own field: its older servers send the usage only here.
#[derive(Debug, Default)]
pub(crate) struct XGroq<'a> {
    pub(crate) usage: Option<&'a RawValue>,
}
fill!(XGroq: plain { usage } nested {});

/// One choice. Where both `delta` and `message` are sent, `message` repeats what earlier deltas said, so it is read only
/// where there is no delta.
#[derive(Debug, Default)]
pub(crate) struct Choice<'a> {
    pub(crate) index: Option<u64>,
    pub(crate) delta: Option<Delta<'a>>,
    pub(crate) message: Option<&'a RawValue>,
    pub(crate) finish_reason: Text<'a>,
    pub(crate) native_finish_reason: Text<'a>,
    pub(crate) logprobs: Option<&'a RawValue>,
    pub(crate) error: Option<&'a RawValue>,
}
fill!(Choice: plain { index, message, finish_reason, native_finish_reason, logprobs, error } nested { delta });

/// A piece of a message, or a whole message.
#[derive(Debug, Default)]
pub(crate) struct Delta<'a> {
    pub(crate) content: Option<Content<'a>>,
    pub(crate) reasoning_content: Text<'a>,
    pub(crate) reasoning: Text<'a>,
    pub(crate) reasoning_details: Option<&'a RawValue>,
    pub(crate) refusal: Text<'a>,
    pub(crate) tool_calls: List<CallDelta<'a>>,
    pub(crate) function_call: Option<FunctionDelta<'a>>,
}
fill!(Delta: plain { content, reasoning_content, reasoning, reasoning_details, refusal } nested { tool_calls, function_call });

/// One element of `tool_calls`.
#[derive(Debug, Default)]
pub(crate) struct CallDelta<'a> {
    pub(crate) index: Option<u64>,
    pub(crate) id: Text<'a>,
    pub(crate) function: Option<FunctionDelta<'a>>,
}
fill!(CallDelta: plain { index, id } nested { function });

/// The function of a call; also the whole of the deprecated `function_call`.
#[derive(Debug, Default)]
pub(crate) struct FunctionDelta<'a> {
    pub(crate) name: Text<'a>,
    pub(crate) arguments: Arguments<'a>,
}
fill!(FunctionDelta: plain { name, arguments } nested {});

/// A chunk, or the delta of one, of which only the tool calls are of interest.
#[derive(Debug, Default)]
pub(crate) struct CallsChunk<'a> {
    pub(crate) tool_calls: List<CallDelta<'a>>,
    pub(crate) choices: List<CallsChoice<'a>>,
}
fill!(CallsChunk: plain {} nested { tool_calls, choices });

/// One choice of it.
#[derive(Debug, Default)]
pub(crate) struct CallsChoice<'a> {
    pub(crate) index: Option<u64>,
    pub(crate) delta: CallsDelta<'a>,
}
fill!(CallsChoice: plain { index } nested { delta });

/// The delta of that choice; null is one without calls.
#[derive(Debug, Default)]
pub(crate) struct CallsDelta<'a> {
    pub(crate) tool_calls: List<CallDelta<'a>>,
}
fill!(CallsDelta: plain {} nested { tool_calls });

impl<'de> Field<'de> for CallsDelta<'de> {
    fn read<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        *self = Self::default();
        map.next_value_seed(InPlace(self)).map(|_| ())
    }
}
