//! Gemini's `generateContent` and `streamGenerateContent`: events of a stream, whole bodies, and the list of responses
//! that is sent where no event stream was asked for.
//!
//! Every response has the same shape; there is no terminal event. Calls come whole and mostly without ids. A
//! thought's signature may stand beside any part, also beside an empty text.

mod calls;
mod chunk;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::document::{in_range, parse, state_of};
use crate::in_place::{InPlace, read_document};
use crate::{DONE_MARKER, ProviderError, ToolCallLimits, WireError};
use calls::CallCounter;
use chunk::{Candidate, Chunk, FunctionCall, Part};

pub use calls::GeminiToolCalls;

/// The highest index of a candidate that is accepted.
const MAX_CANDIDATE_INDEX: u32 = 1023;

/// Something that an answer says.
#[derive(Clone, Debug, PartialEq)]
pub struct GeminiEvent {
    /// The candidate that it belongs to; 0 for what belongs to the whole answer.
    pub candidate: u32,
    /// What it says.
    pub kind: GeminiEventKind,
}

/// What a [`GeminiEvent`] says. Texts are pieces, never empty.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GeminiEventKind {
    /// The answer began. Once, first; both are empty where the server sends none.
    Started {
        /// The provider's id of the answer (`responseId`).
        id: String,
        /// The model that answers (`modelVersion`).
        model: String,
    },
    /// A piece of the visible text.
    Text(String),
    /// A piece of a thought.
    Thought(String),
    /// The signature beside the thought before it.
    ThoughtSignature(String),
    /// The signature beside the text that follows, or beside an empty text.
    TextSignature(String),
    /// A tool call, whole. [`GeminiEventKind::Finish`] is what allows to act on it.
    ToolCall {
        /// The call's place in its candidate, in the order of appearance.
        index: u32,
        /// Its id, empty where the server sends none.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments as they stand in the answer, empty where there are none.
        arguments: String,
        /// The signature beside the call.
        signature: Option<String>,
    },
    /// A tool that the provider itself ran: asked for or answered.
    ServerTool {
        /// The key that says which: `executableCode`, `codeExecutionResult`, `toolCall` or `toolResponse`.
        name: &'static str,
        /// The whole part, its signature included.
        part: Value,
    },
    /// A medium: the whole part (`inlineData` or `fileData`), its signature included.
    Media(Value),
    /// What belongs to the whole candidate, told at the end; pieces of one name are joined key by key.
    Metadata {
        /// `groundingMetadata`, `citationMetadata` or `urlContextMetadata`.
        name: &'static str,
        /// As sent.
        data: Value,
    },
    /// The last usage that was sent, as sent. At most once, at the end.
    Usage(Value),
    /// The prompt was refused; there is no answer. At most once, at the end.
    Blocked {
        /// Why, e.g. `SAFETY`.
        reason: String,
        /// In words, empty where the server sends none.
        message: String,
    },
    /// The candidate ended. At most once per candidate, at the end; missing where the server gave no reason or the
    /// stream broke off.
    Finish {
        /// The last reason that was sent; its number at servers that send numbers.
        reason: String,
        /// More about it, in words.
        message: Option<String>,
    },
    /// The provider reports an error in the middle of its answer. More events may follow.
    Error(Box<ProviderError>),
}

#[derive(Clone, Debug, Default)]
struct CandidateState {
    index: u32,
    calls: CallCounter,
    finish: String,
    finish_message: String,
    metadata: Vec<(&'static str, Map<String, Value>)>,
}

/// Decodes one answer: feed it the data of every event with [`chunk`](Self::chunk), then call [`done`](Self::done) at
/// the end of the body; or give it a whole JSON body with [`body`](Self::body).
///
/// ```
/// use atomr_agents_wire::{GeminiDecoder, GeminiEventKind};
///
/// let body = r#"{"candidates":[{"content":{"parts":[{"text":"Hello"}]},"finishReason":"STOP"}]}"#;
/// let mut out = Vec::new();
/// GeminiDecoder::new().body(body, &mut out)?;
/// assert_eq!(out[1].kind, GeminiEventKind::Text("Hello".into()));
/// # Ok::<(), atomr_agents_wire::WireError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct GeminiDecoder {
    limits: ToolCallLimits,
    started: bool,
    done: bool,
    candidates: Vec<CandidateState>,
    /// Reason and message of a refused prompt.
    blocked: Option<(String, String)>,
    /// The text of the last usage that was sent.
    usage: String,
}

impl GeminiDecoder {
    /// A decoder for one answer, with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with these limits for the tool calls of each candidate.
    #[must_use]
    pub fn with_limits(limits: ToolCallLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes the data of one event: a response, or a list of them. After [`done`](Self::done) nothing is taken any
    /// more.
    pub fn chunk(&mut self, data: &str, out: &mut Vec<GeminiEvent>) -> Result<(), WireError> {
        let json = data.trim_ascii();
        if json.is_empty() || json == DONE_MARKER || self.done {
            return Ok(());
        }
        each_response(json, |response| self.response(response, out))
    }

    /// Takes a whole body, [`done`](Self::done) included.
    pub fn body(&mut self, json: &str, out: &mut Vec<GeminiEvent>) -> Result<(), WireError> {
        self.chunk(json, out)?;
        self.done(out)
    }

    /// The body is at its end: reports the usage, what belongs to whole candidates, and how each ended.
    pub fn done(&mut self, out: &mut Vec<GeminiEvent>) -> Result<(), WireError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(());
        }
        if !self.usage.is_empty() {
            push(out, 0, GeminiEventKind::Usage(parse(&self.usage)?));
        }
        for state in &mut self.candidates {
            for (name, data) in state.metadata.drain(..) {
                push(out, state.index, GeminiEventKind::Metadata { name, data: Value::Object(data) });
            }
        }
        if let Some((reason, message)) = self.blocked.take() {
            push(out, 0, GeminiEventKind::Blocked { reason, message });
        }
        for state in self.candidates.drain(..).filter(|state| !state.finish.is_empty()) {
            let message = Some(state.finish_message).filter(|message| !message.is_empty());
            push(out, state.index, GeminiEventKind::Finish { reason: state.finish, message });
        }
        Ok(())
    }

    fn response(&mut self, json: &str, out: &mut Vec<GeminiEvent>) -> Result<(), WireError> {
        let mut chunk = Chunk::default();
        read_document(json, InPlace(&mut chunk))?;
        if !self.started && chunk.error.is_none() {
            self.started = true;
            let (id, model) = (chunk.id.as_str().to_owned(), chunk.model.as_str().to_owned());
            push(out, 0, GeminiEventKind::Started { id, model });
        }
        for candidate in chunk.candidates.iter() {
            self.candidate(candidate, out)?;
        }
        if let Some(usage) = chunk.usage {
            self.usage.clear();
            self.usage.push_str(usage.get());
        }
        if let Some(feedback) = chunk.feedback.filter(|feedback| is_meant(feedback.reason.as_str())) {
            self.blocked = Some((feedback.reason.0.into_owned(), feedback.message.0.into_owned()));
        }
        if chunk.error.is_some() {
            push(out, 0, GeminiEventKind::Error(Box::new(ProviderError::from_document(parse(json)?))));
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: &Candidate<'_>, out: &mut Vec<GeminiEvent>) -> Result<(), WireError> {
        let limits = self.limits;
        let state = self.state(candidate.index.unwrap_or(0))?;
        for part in candidate.content.iter().flat_map(|content| content.parts.iter()) {
            state.part(part, &limits, out)?;
        }
        if is_meant(candidate.finish.as_str()) {
            candidate.finish.as_str().clone_into(&mut state.finish);
        }
        if !candidate.finish_message.as_str().is_empty() {
            candidate.finish_message.as_str().clone_into(&mut state.finish_message);
        }
        for (name, sent) in [
            ("groundingMetadata", candidate.grounding),
            ("citationMetadata", candidate.citations),
            ("urlContextMetadata", candidate.url_context),
        ] {
            if let Some(sent) = sent.filter(|sent| sent.get() != "{}") {
                state.join(name, parse(sent.get())?);
            }
        }
        Ok(())
    }

    fn state(&mut self, index: u64) -> Result<&mut CandidateState, WireError> {
        let index = in_range("candidate", index, MAX_CANDIDATE_INDEX)?;
        let new = || CandidateState { index, ..CandidateState::default() };
        Ok(state_of(&mut self.candidates, |state| state.index == index, new))
    }
}

impl CandidateState {
    fn part(&mut self, part: &Part<'_>, limits: &ToolCallLimits, out: &mut Vec<GeminiEvent>) -> Result<(), WireError> {
        if let Some(call) = &part.call {
            return self.call(call, part.signature.as_str(), limits, out);
        }
        let of_server = [
            ("executableCode", part.code),
            ("codeExecutionResult", part.code_result),
            ("toolCall", part.server_call),
            ("toolResponse", part.server_response),
        ];
        if let Some((name, held)) = of_server.into_iter().find_map(|(name, held)| Some((name, held?))) {
            push(out, self.index, GeminiEventKind::ServerTool { name, part: whole(name, held, part)? });
            return Ok(());
        }
        let media = [("inlineData", part.inline_data), ("fileData", part.file_data)];
        if let Some((name, held)) = media.into_iter().find_map(|(name, held)| Some((name, held?))) {
            push(out, self.index, GeminiEventKind::Media(whole(name, held, part)?));
            return Ok(());
        }
        let (text, signature) = (part.text.as_str(), part.signature.as_str());
        if part.thought == Some(true) {
            push_text(out, self.index, text, GeminiEventKind::Thought);
            push_text(out, self.index, signature, GeminiEventKind::ThoughtSignature);
        } else {
            push_text(out, self.index, signature, GeminiEventKind::TextSignature);
            push_text(out, self.index, text, GeminiEventKind::Text);
        }
        Ok(())
    }

    fn call(
        &mut self,
        call: &FunctionCall<'_>,
        signature: &str,
        limits: &ToolCallLimits,
        out: &mut Vec<GeminiEvent>,
    ) -> Result<(), WireError> {
        let index = self.calls.accept(call, limits)?;
        let kind = GeminiEventKind::ToolCall {
            index,
            id: call.id.as_str().to_owned(),
            name: call.name.as_str().to_owned(),
            arguments: call.arguments.0.as_ref().to_owned(),
            signature: (!signature.is_empty()).then(|| signature.to_owned()),
        };
        push(out, self.index, kind);
        Ok(())
    }

    fn join(&mut self, name: &'static str, sent: Map<String, Value>) {
        match self.metadata.iter_mut().find(|(known, _)| *known == name) {
            Some((_, data)) => data.extend(sent),
            None => self.metadata.push((name, sent)),
        }
    }
}

/// Takes a response, or one after the other of a list of them.
fn each_response(json: &str, mut take: impl FnMut(&str) -> Result<(), WireError>) -> Result<(), WireError> {
    if json.starts_with('[') {
        return parse::<Vec<&RawValue>>(json)?.into_iter().try_for_each(|response| take(response.get()));
    }
    take(json)
}

/// The part as it was sent, as far as it means something.
fn whole(name: &str, held: &RawValue, part: &Part<'_>) -> Result<Value, WireError> {
    let mut whole = Map::new();
    whole.insert(name.to_owned(), parse(held.get())?);
    if part.thought == Some(true) {
        whole.insert("thought".into(), true.into());
    }
    if !part.signature.as_str().is_empty() {
        whole.insert("thoughtSignature".into(), part.signature.as_str().into());
    }
    Ok(Value::Object(whole))
}

/// The first value of an enumeration stands for none; some servers send it.
fn is_meant(reason: &str) -> bool {
    !matches!(reason, "" | "0") && !reason.ends_with("_UNSPECIFIED")
}

fn push(out: &mut Vec<GeminiEvent>, candidate: u32, kind: GeminiEventKind) {
    out.push(GeminiEvent { candidate, kind });
}

fn push_text(out: &mut Vec<GeminiEvent>, candidate: u32, text: &str, kind: fn(String) -> GeminiEventKind) {
    if !text.is_empty() {
        push(out, candidate, kind(text.to_owned()));
    }
}

#[cfg(test)]
mod tests;
