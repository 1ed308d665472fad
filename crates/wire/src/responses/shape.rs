//! The shape of the Responses API: one event of a stream, an output item, a response; borrowed from the document.
//!
//! Keys that are not listed are skipped without allocation; null is the same as a missing key.

use serde_json::value::RawValue;

use crate::in_place::{List, fill};
use crate::tolerant::{Arguments, Lax, Text};

/// One event of the stream. Events of all types have their fields here.
#[derive(Debug, Default)]
pub(crate) struct Event<'a> {
    pub(crate) kind: Text<'a>,
    pub(crate) output_index: Option<u64>,
    pub(crate) content_index: Option<u64>,
    pub(crate) summary_index: Option<u64>,
    pub(crate) delta: Lax<'a>,
    pub(crate) arguments: Arguments<'a>,
    pub(crate) input: Lax<'a>,
    pub(crate) item: Option<&'a RawValue>,
    pub(crate) response: Option<&'a RawValue>,
    pub(crate) annotation: Option<&'a RawValue>,
    pub(crate) logprobs: Option<&'a RawValue>,
    pub(crate) error: Option<&'a RawValue>,
}
fill!(Event:
    plain {
        kind = "type", output_index, content_index, summary_index, delta, arguments, input, item, response, annotation,
        logprobs, error
    }
    nested {}
);

/// What an output item is. The rest of it has another shape for each type, so it is read when the type is known.
#[derive(Debug, Default)]
pub(crate) struct ItemHead<'a> {
    pub(crate) kind: Text<'a>,
}
fill!(ItemHead: plain { kind = "type" } nested {});

/// A `function_call` or a `custom_tool_call`.
#[derive(Debug, Default)]
pub(crate) struct CallItem<'a> {
    pub(crate) id: Text<'a>,
    pub(crate) call_id: Text<'a>,
    pub(crate) name: Text<'a>,
    pub(crate) namespace: Text<'a>,
    pub(crate) status: Text<'a>,
    pub(crate) arguments: Arguments<'a>,
    pub(crate) input: Lax<'a>,
}
fill!(CallItem: plain { id, call_id, name, namespace, status, arguments, input } nested {});

/// A `message` or a `reasoning` item.
#[derive(Debug, Default)]
pub(crate) struct TextItem<'a> {
    pub(crate) phase: Text<'a>,
    pub(crate) content: List<ContentPart<'a>>,
    pub(crate) summary: List<ContentPart<'a>>,
}
fill!(TextItem: plain { phase } nested { content, summary });

/// One part of a message's or a reasoning item's content.
#[derive(Debug, Default)]
pub(crate) struct ContentPart<'a> {
    pub(crate) text: Lax<'a>,
    pub(crate) refusal: Lax<'a>,
    pub(crate) annotations: Option<&'a RawValue>,
    pub(crate) logprobs: Option<&'a RawValue>,
}
fill!(ContentPart: plain { text, refusal, annotations, logprobs } nested {});

/// A response: a whole body, or what the first and the last events of a stream carry.
#[derive(Debug, Default)]
pub(crate) struct Response<'a> {
    pub(crate) id: Text<'a>,
    pub(crate) model: Text<'a>,
    pub(crate) status: Text<'a>,
    pub(crate) output: Option<&'a RawValue>,
    pub(crate) usage: Option<&'a RawValue>,
    pub(crate) error: Option<&'a RawValue>,
    pub(crate) incomplete_details: Option<IncompleteDetails<'a>>,
}
fill!(Response: plain { id, model, status, output, usage, error } nested { incomplete_details });

/// Why a response is incomplete.
#[derive(Debug, Default)]
pub(crate) struct IncompleteDetails<'a> {
    pub(crate) reason: Text<'a>,
}
fill!(IncompleteDetails: plain { reason } nested {});
