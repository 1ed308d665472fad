//! OpenAI chat completions, streamed or whole, with the deviations of the compatible servers.

use serde_json::Value;

use crate::chunk::{Choice, Chunk, Delta};
use crate::document::{in_range, is_meant, parse, state_of};
use crate::in_place::{InPlace, read_document};
use crate::tolerant::{Content, Piece};
use crate::{ProviderError, ToolCallAssembler, ToolCallEvent, ToolCallLimits, WireError};

/// The data of the event with which most servers end their stream.
pub const DONE_MARKER: &str = "[DONE]";

/// The highest index of a choice that is accepted.
const MAX_CHOICE_INDEX: u32 = 1023;

/// Something that a chat completion says.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatEvent {
    /// The choice that it belongs to; 0 for what belongs to the whole answer.
    pub choice: u32,
    /// What it says.
    pub kind: ChatEventKind,
}

/// What a [`ChatEvent`] says. Texts are pieces, never empty.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChatEventKind {
    /// The answer began. Once, first; both are empty where the server sends none.
    Started {
        /// The provider's id of the answer.
        id: String,
        /// The model that answers.
        model: String,
    },
    /// A piece of the visible text.
    Text(String),
    /// A piece of the reasoning text.
    Reasoning(String),
    /// Reasoning blocks as the server wants them back (`reasoning_details`).
    ReasoningDetails(Value),
    /// A piece of a refusal.
    Refusal(String),
    /// Log probabilities of the tokens of this piece, as sent.
    Logprobs(Value),
    /// A tool call began.
    ToolCallStarted {
        /// The call's place in its choice, in the order of appearance.
        index: u32,
        /// Its id, empty where the server sends none, as with the deprecated `function_call`.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A piece of a call's arguments.
    ToolCallDelta {
        /// The call's place in its choice, in the order of appearance.
        index: u32,
        /// The piece.
        arguments: String,
    },
    /// A call is complete. Announced only by [`ChatDecoder::done`]; [`ChatEventKind::Finish`] is what allows to act
    /// on it.
    ToolCallFinished {
        /// The call's place in its choice, in the order of appearance.
        index: u32,
        /// Its id, as announced.
        id: String,
        /// The tool's name, as announced.
        name: String,
        /// The arguments' text, valid JSON or not.
        arguments: String,
    },
    /// The last usage that was sent, as sent. At most once, at the end.
    Usage(Value),
    /// The choice ended. At most once per choice, at the end; missing where the server gave no reason or the stream
    /// broke off.
    Finish {
        /// The last reason that was sent.
        reason: String,
        /// The upstream provider's own word for it, where a router passes it on.
        native: Option<String>,
    },
    /// The provider reports an error in the middle of its answer. More events may follow.
    Error(Box<ProviderError>),
}

impl From<ToolCallEvent> for ChatEventKind {
    fn from(event: ToolCallEvent) -> Self {
        match event {
            ToolCallEvent::Started { index, id, name } => Self::ToolCallStarted { index, id, name },
            ToolCallEvent::Delta { index, arguments } => Self::ToolCallDelta { index, arguments },
            ToolCallEvent::Finished { index, id, name, arguments } => {
                Self::ToolCallFinished { index, id, name, arguments }
            }
        }
    }
}

#[derive(Clone, Debug)]
struct ChoiceState {
    index: u32,
    calls: ToolCallAssembler,
    finish: String,
    native: String,
}

/// Decodes one answer: feed it the data of every event with [`chunk`](Self::chunk), then call [`done`](Self::done) at
/// the end of the body; or give it a whole JSON body with [`body`](Self::body).
#[derive(Clone, Debug, Default)]
pub struct ChatDecoder {
    limits: ToolCallLimits,
    started: bool,
    done_marker: bool,
    done: bool,
    failed: bool,
    choices: Vec<ChoiceState>,
    /// The text of the last usage that was sent.
    usage: String,
}

impl ChatDecoder {
    /// A decoder for one answer, with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with these limits for the tool calls of each choice.
    #[must_use]
    pub fn with_limits(limits: ToolCallLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Was `[DONE]` seen? Some servers never send it.
    #[must_use]
    pub fn saw_done_marker(&self) -> bool {
        self.done_marker
    }

    /// Takes the data of one event. After [`done`](Self::done) nothing is taken any more.
    pub fn chunk(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<(), WireError> {
        let json = data.trim_ascii();
        if json == DONE_MARKER {
            self.done_marker = true;
            return Ok(());
        }
        if json.is_empty() || self.done {
            return Ok(());
        }
        let mut chunk = Chunk::default();
        read_document(json, InPlace(&mut chunk))?;
        let is_error = chunk.error.is_some_and(is_meant) || chunk.object.as_str() == "error";
        self.start(&chunk, out);
        for choice in chunk.choices.iter() {
            self.choice(choice, out)?;
        }
        let usage = chunk.usage.or_else(|| chunk.x_groq.as_ref().and_then(|groq| groq.usage));
        if let Some(usage) = usage {
            self.usage.clear();
            self.usage.push_str(usage.get());
        }
        if is_error {
            self.failed = true;
            push(out, 0, ChatEventKind::Error(Box::new(ProviderError::from_document(parse(json)?))));
        }
        Ok(())
    }

    /// Takes a whole body, [`done`](Self::done) included.
    pub fn body(&mut self, json: &str, out: &mut Vec<ChatEvent>) -> Result<(), WireError> {
        self.chunk(json, out)?;
        self.done(out)
    }

    /// The body is at its end: reports the usage, the calls and how each choice ended.
    ///
    /// A choice whose end the server announced reports every call, also one whose arguments the token limit cut. In a
    /// stream that broke off or failed only those calls are reported whose arguments had arrived whole, and there is
    /// no [`ChatEventKind::Finish`].
    pub fn done(&mut self, out: &mut Vec<ChatEvent>) -> Result<(), WireError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(());
        }
        if !self.usage.is_empty() {
            push(out, 0, ChatEventKind::Usage(parse(&self.usage)?));
        }
        for state in &mut self.choices {
            let (choice, cut) = (state.index, self.failed || state.finish.is_empty());
            state.calls.finish_into(cut, &mut |event| push(out, choice, event.into()))?;
        }
        for state in self.choices.drain(..).filter(|state| !state.finish.is_empty()) {
            let native = if state.native.is_empty() { None } else { Some(state.native) };
            push(out, state.index, ChatEventKind::Finish { reason: state.finish, native });
        }
        Ok(())
    }

    /// Announces the answer, once something says what it is: Azure's first chunk has neither id nor choices.
    fn start(&mut self, chunk: &Chunk<'_>, out: &mut Vec<ChatEvent>) {
        if self.started {
            return;
        }
        let id = chunk.id.as_str();
        if id.is_empty() && chunk.choices.is_empty() {
            return;
        }
        self.started = true;
        let model = chunk.model.as_str().to_owned();
        push(out, 0, ChatEventKind::Started { id: id.to_owned(), model });
    }

    fn choice(&mut self, choice: &Choice<'_>, out: &mut Vec<ChatEvent>) -> Result<(), WireError> {
        let state = self.choice_state(choice.index.unwrap_or(0))?;
        if let Some(delta) = &choice.delta {
            state.delta(delta, out)?;
        } else if let Some(message) = choice.message {
            let mut delta = Delta::default();
            read_document(message.get(), InPlace(&mut delta))?;
            state.delta(&delta, out)?;
        }
        if let Some(logprobs) = choice.logprobs {
            push(out, state.index, ChatEventKind::Logprobs(parse(logprobs.get())?));
        }
        for (kept, sent) in
            [(&mut state.finish, &choice.finish_reason), (&mut state.native, &choice.native_finish_reason)]
        {
            let sent = sent.as_str();
            if !sent.is_empty() {
                kept.clear();
                kept.push_str(sent);
            }
        }
        if let Some(error) = choice.error.filter(|error| is_meant(error)) {
            let error = ProviderError::from_document(serde_json::json!({ "error": parse::<Value>(error.get())? }));
            push(out, state.index, ChatEventKind::Error(Box::new(error)));
            self.failed = true;
        }
        Ok(())
    }

    fn choice_state(&mut self, index: u64) -> Result<&mut ChoiceState, WireError> {
        let (index, limits) = (in_range("choice", index, MAX_CHOICE_INDEX)?, self.limits);
        let new = || {
            let calls = ToolCallAssembler::with_limits(limits);
            ChoiceState { index, calls, finish: String::new(), native: String::new() }
        };
        Ok(state_of(&mut self.choices, |state| state.index == index, new))
    }
}

impl ChoiceState {
    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<ChatEvent>) -> Result<(), WireError> {
        let choice = self.index;
        // Two names for one text: a server that sends both repeats itself.
        let reasoning = match delta.reasoning_content.as_str() {
            "" => delta.reasoning.as_str(),
            text => text,
        };
        push_text(out, choice, reasoning, ChatEventKind::Reasoning);
        if let Some(details) = delta.reasoning_details.filter(|details| !matches!(details.get(), "[]" | "{}")) {
            push(out, choice, ChatEventKind::ReasoningDetails(parse(details.get())?));
        }
        match &delta.content {
            Some(Content::Text(text)) => push_text(out, choice, text, ChatEventKind::Text),
            Some(Content::Pieces(pieces)) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => push_text(out, choice, text, ChatEventKind::Text),
                        Piece::Thinking(text) => push_text(out, choice, text, ChatEventKind::Reasoning),
                        Piece::Refusal(text) => push_text(out, choice, text, ChatEventKind::Refusal),
                    }
                }
            }
            None => {}
        }
        push_text(out, choice, delta.refusal.as_str(), ChatEventKind::Refusal);
        for call in delta.tool_calls.iter() {
            self.calls.call_delta(call, &mut |event| push(out, choice, event.into()))?;
        }
        if let Some(function) = &delta.function_call {
            self.calls.legacy_delta(function, &mut |event| push(out, choice, event.into()))?;
        }
        Ok(())
    }
}

fn push(out: &mut Vec<ChatEvent>, choice: u32, kind: ChatEventKind) {
    out.push(ChatEvent { choice, kind });
}

fn push_text(out: &mut Vec<ChatEvent>, choice: u32, text: &str, kind: fn(String) -> ChatEventKind) {
    if !text.is_empty() {
        push(out, choice, kind(text.to_owned()));
    }
}
