//! What a response says.

use serde_json::Value;

use super::calls::CallNote;
use crate::{ProviderError, ToolCallEvent};

/// Something that a response says.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponsesEvent {
    /// The output item that it belongs to, by the provider's number; 0 for what belongs to the whole response.
    pub item: u32,
    /// What it says.
    pub kind: ResponsesEventKind,
}

/// What a [`ResponsesEvent`] says. Texts are pieces, never empty.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ResponsesEventKind {
    /// The response began. Once, first; both are empty where the server sends none.
    Started {
        /// The provider's id of the response.
        id: String,
        /// The model that answers.
        model: String,
    },
    /// A message of the model began.
    MessageStarted {
        /// What the message is for (`commentary`, `final_answer`), where the model says so.
        phase: Option<String>,
    },
    /// A piece of the visible text.
    Text(String),
    /// A piece of a refusal.
    Refusal(String),
    /// Log probabilities of the tokens of this piece, as sent.
    Logprobs(Value),
    /// Where the text so far comes from, as sent.
    Annotation(Value),
    /// A piece of the reasoning: of its summary, or of the reasoning itself where the server shows it.
    Reasoning(String),
    /// The next piece of the reasoning begins a new part of it.
    ReasoningPart,
    /// A reasoning item is complete: the whole item, as it must be sent back.
    ReasoningDone(Value),
    /// A tool call began.
    ToolCallStarted {
        /// The call's place in the order of appearance.
        index: u32,
        /// The id to answer with (`call_id`).
        id: String,
        /// The tool's name.
        name: String,
        /// A custom tool: its input is free text, not JSON.
        custom: bool,
    },
    /// A piece of a call's arguments, or of a custom tool's input.
    ToolCallDelta {
        /// The call's place in the order of appearance.
        index: u32,
        /// The piece.
        arguments: String,
    },
    /// A call is complete. Announced only by [`ResponsesDecoder::done`](crate::ResponsesDecoder::done); [`ResponsesEventKind::Finish`] is what allows
    /// to act on it.
    ToolCallFinished {
        /// The call's place in the order of appearance.
        index: u32,
        /// Its id, as announced.
        id: String,
        /// The tool's name, as announced.
        name: String,
        /// The arguments' text, valid JSON or not; the input of a custom tool.
        arguments: String,
        /// A custom tool: its input is free text, not JSON.
        custom: bool,
        /// The output limit cut it, says the provider.
        incomplete: bool,
        /// The namespace that the call must be sent back with, where there is one.
        namespace: Option<String>,
    },
    /// An output item of another type is complete, as sent: a tool that the provider runs, a compaction and so on.
    ItemDone {
        /// Its type.
        item_type: String,
        /// The whole item.
        item: Value,
    },
    /// The usage, as sent. At most once, at the end.
    Usage(Value),
    /// The response ended. At most once, last; missing where the stream broke off or failed.
    Finish {
        /// The status that the server gave it: `completed`, `incomplete`, or (a whole body) `queued` and the like.
        status: String,
        /// Why it is incomplete, where the server says so.
        reason: Option<String>,
    },
    /// The provider reports an error. More events may follow, also the same error told again.
    Error(Box<ProviderError>),
}

/// Puts what is new of calls into `out`.
pub(crate) fn call_events(out: &mut Vec<ResponsesEvent>) -> impl FnMut(&CallNote, ToolCallEvent) {
    move |note, event| {
        let (item, custom) = (note.output_index, note.custom);
        let kind = match event {
            ToolCallEvent::Started { index, id, name } => {
                ResponsesEventKind::ToolCallStarted { index, id, name, custom }
            }
            ToolCallEvent::Delta { index, arguments } => ResponsesEventKind::ToolCallDelta { index, arguments },
            ToolCallEvent::Finished { index, id, name, arguments } => {
                let namespace = Some(note.namespace.clone()).filter(|namespace| !namespace.is_empty());
                let incomplete = note.incomplete;
                ResponsesEventKind::ToolCallFinished { index, id, name, arguments, custom, incomplete, namespace }
            }
        };
        push(out, item, kind);
    }
}

pub(crate) fn push(out: &mut Vec<ResponsesEvent>, item: u64, kind: ResponsesEventKind) {
    out.push(ResponsesEvent { item: u32::try_from(item).unwrap_or(u32::MAX), kind });
}
