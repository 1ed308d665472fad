//! The shape of Gemini's answers: one event of a stream or one whole body, borrowed from the document.

use serde_json::value::RawValue;

use crate::in_place::{List, fill};
use crate::tolerant::{Arguments, Text};

/// A `GenerateContentResponse`.
#[derive(Debug, Default)]
pub(crate) struct Chunk<'a> {
    pub(crate) candidates: List<Candidate<'a>>,
    pub(crate) feedback: Option<Feedback<'a>>,
    pub(crate) usage: Option<&'a RawValue>,
    pub(crate) model: Text<'a>,
    pub(crate) id: Text<'a>,
    pub(crate) error: Option<&'a RawValue>,
}
fill!(Chunk:
    plain { usage = "usageMetadata", model = "modelVersion", id = "responseId", error }
    nested { candidates, feedback = "promptFeedback" }
);

/// What the provider thinks of the prompt.
#[derive(Debug, Default)]
pub(crate) struct Feedback<'a> {
    pub(crate) reason: Text<'a>,
    pub(crate) message: Text<'a>,
}
fill!(Feedback: plain { reason = "blockReason", message = "blockReasonMessage" } nested {});

/// One candidate. An index of 0 may be left out.
#[derive(Debug, Default)]
pub(crate) struct Candidate<'a> {
    pub(crate) index: Option<u64>,
    pub(crate) content: Option<Content<'a>>,
    pub(crate) finish: Text<'a>,
    pub(crate) finish_message: Text<'a>,
    pub(crate) grounding: Option<&'a RawValue>,
    pub(crate) citations: Option<&'a RawValue>,
    pub(crate) url_context: Option<&'a RawValue>,
}
fill!(Candidate:
    plain {
        index, finish = "finishReason", finish_message = "finishMessage", grounding = "groundingMetadata",
        citations = "citationMetadata", url_context = "urlContextMetadata"
    }
    nested { content }
);

/// What a candidate says.
#[derive(Debug, Default)]
pub(crate) struct Content<'a> {
    pub(crate) parts: List<Part<'a>>,
}
fill!(Content: plain {} nested { parts });

/// One piece of it. What it holds decides its kind.
#[derive(Debug, Default)]
pub(crate) struct Part<'a> {
    pub(crate) text: Text<'a>,
    pub(crate) thought: Option<bool>,
    pub(crate) signature: Text<'a>,
    pub(crate) call: Option<FunctionCall<'a>>,
    pub(crate) code: Option<&'a RawValue>,
    pub(crate) code_result: Option<&'a RawValue>,
    pub(crate) server_call: Option<&'a RawValue>,
    pub(crate) server_response: Option<&'a RawValue>,
    pub(crate) inline_data: Option<&'a RawValue>,
    pub(crate) file_data: Option<&'a RawValue>,
}
fill!(Part:
    plain {
        text, thought, signature = "thoughtSignature", code = "executableCode", code_result = "codeExecutionResult",
        server_call = "toolCall", server_response = "toolResponse", inline_data = "inlineData", file_data = "fileData"
    }
    nested { call = "functionCall" }
);

/// A call, always whole; `partial` and `more` belong to a form that is sent only where it is asked for.
#[derive(Debug, Default)]
pub(crate) struct FunctionCall<'a> {
    pub(crate) id: Text<'a>,
    pub(crate) name: Text<'a>,
    pub(crate) arguments: Arguments<'a>,
    pub(crate) partial: Option<&'a RawValue>,
    pub(crate) more: Option<bool>,
}
fill!(FunctionCall:
    plain { id, name, arguments = "args", partial = "partialArgs", more = "willContinue" }
    nested {}
);
