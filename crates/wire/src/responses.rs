//! OpenAI's Responses API, streamed or whole, with the deviations of the servers that speak like it.

mod calls;
mod event;
mod shape;
#[cfg(test)]
mod tests;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::document::{in_range, is_meant, parse, state_of};
use crate::in_place::{InPlace, List, read_document};
use crate::{DONE_MARKER, ProviderError, ToolCallLimits, WireError};
use calls::CallItems;
pub use calls::ResponsesToolCalls;
pub use event::{ResponsesEvent, ResponsesEventKind};
use event::{call_events, push};
use shape::{ContentPart, Event, ItemHead, Response, TextItem};

/// What is known of an output item.
#[derive(Clone, Debug, Default)]
struct ItemState {
    index: u64,
    started: bool,
    done: bool,
    text: bool,
    refusal: bool,
    /// The part of the reasoning that the last piece belonged to.
    reasoning: Option<(bool, u64)>,
    annotations: usize,
}

/// How the response ended.
#[derive(Clone, Debug)]
struct End {
    status: String,
    reason: String,
}

/// Decodes one response: feed it the data of every event with [`chunk`](Self::chunk), then call [`done`](Self::done) at
/// the end of the body; or give it a whole JSON body with [`body`](Self::body).
///
/// Items are told apart by their `output_index`; their ids may change from event to event. What came in pieces is not
/// told again by the events that repeat it; what came in no piece is taken from them.
#[derive(Clone, Debug, Default)]
pub struct ResponsesDecoder {
    limits: ToolCallLimits,
    calls: CallItems,
    items: Vec<ItemState>,
    started: bool,
    done_marker: bool,
    done: bool,
    failed: bool,
    end: Option<End>,
    /// The text of the last usage that was sent.
    usage: String,
}

impl ResponsesDecoder {
    /// A decoder for one response, with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder with these limits for the tool calls; the highest index holds for output items of any kind.
    #[must_use]
    pub fn with_limits(limits: ToolCallLimits) -> Self {
        Self { limits, calls: CallItems::with_limits(limits), ..Self::default() }
    }

    /// Has the response ended, so that nothing that matters is to come?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end.is_some() || self.done_marker
    }

    /// Was `[DONE]` seen? Only some routers send it here.
    #[must_use]
    pub fn saw_done_marker(&self) -> bool {
        self.done_marker
    }

    /// Takes the data of one event. After [`done`](Self::done) nothing is taken any more.
    ///
    /// # Errors
    /// [`WireError`] for what is no JSON of the expected shape, for calls that break the limits and for a call that is
    /// told in two ways.
    pub fn chunk(&mut self, data: &str, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        let json = data.trim_ascii();
        if json == DONE_MARKER {
            self.done_marker = true;
            return Ok(());
        }
        if json.is_empty() || self.done {
            return Ok(());
        }
        let mut event = Event::default();
        read_document(json, InPlace(&mut event))?;
        let index = event.output_index.unwrap_or(0);
        let kind = event.kind.as_str();
        let Some(kind) = kind.strip_prefix("response.") else {
            let error = event.error.is_some_and(is_meant);
            return if kind == "error" || (kind.is_empty() && error) { self.error(json, out) } else { Ok(()) };
        };
        match kind {
            "output_text.delta" => self.text(index, event.delta.as_str(), event.logprobs, out)?,
            "refusal.delta" => self.refusal(index, event.delta.as_str(), out)?,
            "reasoning_summary_text.delta" => {
                self.reasoning(index, (true, event.summary_index.unwrap_or(0)), event.delta.as_str(), out)?;
            }
            "reasoning_text.delta" => {
                self.reasoning(index, (false, event.content_index.unwrap_or(0)), event.delta.as_str(), out)?;
            }
            "output_text.annotation.added" => {
                if let Some(annotation) = event.annotation {
                    self.state(index)?.annotations += 1;
                    push(out, index, ResponsesEventKind::Annotation(parse(annotation.get())?));
                }
            }
            "output_item.added" | "output_item.done" => {
                if let Some(item) = event.item {
                    self.item(index, item.get(), kind.ends_with("done"), out)?;
                }
            }
            "created" | "queued" | "in_progress" => self.begin(kind == "created", event.response, out)?,
            "completed" | "incomplete" | "failed" | "cancelled" => {
                let json = event.response.map_or("{}", RawValue::get);
                self.response(json, kind, out)?;
            }
            _ => {
                self.calls.arguments(kind, &event, &mut call_events(out))?;
            }
        }
        Ok(())
    }

    /// Takes a whole body, [`done`](Self::done) included.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub fn body(&mut self, json: &str, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        self.response(json, "", out)?;
        self.done(out)
    }

    /// The body is at its end: reports the usage, the calls and how the response ended.
    ///
    /// A response whose end the server announced reports every call, also one whose arguments the token limit cut. In a
    /// stream that broke off or failed only those calls are reported whose arguments had arrived whole, and there is
    /// no [`ResponsesEventKind::Finish`].
    ///
    /// # Errors
    /// [`WireError::MissingToolName`] for a call that was never named.
    pub fn done(&mut self, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(());
        }
        if !self.usage.is_empty() {
            push(out, 0, ResponsesEventKind::Usage(parse(&self.usage)?));
        }
        let end = self.end.take().filter(|_| !self.failed);
        let whole = end.as_ref().is_some_and(|end| matches!(end.status.as_str(), "completed" | "incomplete"));
        self.calls.finish(!whole, &mut call_events(out))?;
        if let Some(End { status, reason }) = end {
            let reason = Some(reason).filter(|reason| !reason.is_empty());
            push(out, 0, ResponsesEventKind::Finish { status, reason });
        }
        Ok(())
    }

    fn begin(
        &mut self,
        created: bool,
        response: Option<&RawValue>,
        out: &mut Vec<ResponsesEvent>,
    ) -> Result<(), WireError> {
        if created && self.end.take().is_some() {
            // A second response in the same stream: what ended was not the end.
            self.items.clear();
        }
        if let (false, Some(response)) = (self.started, response) {
            let mut head = Response::default();
            read_document(response.get(), InPlace(&mut head))?;
            self.start(&head, out);
        }
        Ok(())
    }

    fn start(&mut self, response: &Response<'_>, out: &mut Vec<ResponsesEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            let [id, model] = [&response.id, &response.model].map(|text| text.as_str().to_owned());
            push(out, 0, ResponsesEventKind::Started { id, model });
        }
    }

    /// A whole response: the body, or what the event named `event` carries.
    fn response(&mut self, json: &str, event: &str, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        let mut response = Response::default();
        read_document(json, InPlace(&mut response))?;
        let error = response.error.filter(|error| is_meant(error));
        if event.is_empty() && error.is_some() && response.status.as_str().is_empty() {
            return self.error(json, out);
        }
        self.start(&response, out);
        if self.items.is_empty() {
            for (index, item) in (0..).zip(output(&response)?) {
                self.item(index, item.get(), true, out)?;
            }
        }
        if let Some(usage) = response.usage {
            self.usage.clear();
            self.usage.push_str(usage.get());
        }
        let status = if response.status.as_str().is_empty() { event } else { response.status.as_str() };
        if status == "failed" || event == "failed" || error.is_some() {
            let error = match error {
                Some(error) => parse(error.get())?,
                None => json!({"message": "the response failed"}),
            };
            return self.fail(json!({ "error": error }), out);
        }
        if status.is_empty() && response.output.is_none() {
            // A document of something else; that it ended says nothing.
            return Ok(());
        }
        let reason = response.incomplete_details.as_ref().map_or("", |details| details.reason.as_str());
        self.end = Some(End { status: status.to_owned(), reason: reason.to_owned() });
        Ok(())
    }

    /// An error event: the error lies under `error`, or its fields lie flat in the event.
    fn error(&mut self, json: &str, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        let mut document: Value = parse(json)?;
        if let Value::Object(fields) = &mut document
            && fields.get("type").is_some_and(|kind| kind == "error")
        {
            // These belong to the event, not to the error.
            fields.remove("type");
            fields.remove("sequence_number");
        }
        self.fail(document, out)
    }

    fn fail(&mut self, document: Value, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        self.failed = true;
        push(out, 0, ResponsesEventKind::Error(Box::new(ProviderError::from_document(document))));
        Ok(())
    }

    fn state(&mut self, index: u64) -> Result<&mut ItemState, WireError> {
        in_range("output item", index, self.limits.max_index)?;
        let new = || ItemState { index, ..ItemState::default() };
        Ok(state_of(&mut self.items, |state| state.index == index, new))
    }

    fn text(
        &mut self,
        index: u64,
        text: &str,
        logprobs: Option<&RawValue>,
        out: &mut Vec<ResponsesEvent>,
    ) -> Result<(), WireError> {
        if !text.is_empty() {
            self.state(index)?.text = true;
            push(out, index, ResponsesEventKind::Text(text.to_owned()));
        }
        if let Some(logprobs) = logprobs.filter(|logprobs| is_meant(logprobs)) {
            push(out, index, ResponsesEventKind::Logprobs(parse(logprobs.get())?));
        }
        Ok(())
    }

    fn refusal(&mut self, index: u64, text: &str, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        if !text.is_empty() {
            self.state(index)?.refusal = true;
            push(out, index, ResponsesEventKind::Refusal(text.to_owned()));
        }
        Ok(())
    }

    fn reasoning(
        &mut self,
        index: u64,
        part: (bool, u64),
        text: &str,
        out: &mut Vec<ResponsesEvent>,
    ) -> Result<(), WireError> {
        if text.is_empty() {
            return Ok(());
        }
        if self.state(index)?.reasoning.replace(part).is_some_and(|last| last != part) {
            push(out, index, ResponsesEventKind::ReasoningPart);
        }
        push(out, index, ResponsesEventKind::Reasoning(text.to_owned()));
        Ok(())
    }

    /// An output item that begins, or is `done`.
    fn item(&mut self, index: u64, json: &str, done: bool, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        let mut head = ItemHead::default();
        read_document(json, InPlace(&mut head))?;
        let state = self.state(index)?;
        if state.done && !done {
            // Another item at the place of one that is complete.
            *state = ItemState { index, ..ItemState::default() };
        }
        let again = done && std::mem::replace(&mut state.done, true);
        match head.kind.as_str() {
            kind if CallItems::is_call(kind) => self.calls.item(index, kind, json, done, &mut call_events(out)),
            _ if again => Ok(()),
            "message" => self.message(index, json, done, out),
            "reasoning" if done => {
                self.reasoning_done(index, json, out)?;
                push(out, index, ResponsesEventKind::ReasoningDone(parse(json)?));
                Ok(())
            }
            kind if done => {
                let item_type = kind.to_owned();
                push(out, index, ResponsesEventKind::ItemDone { item_type, item: parse(json)? });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn message(&mut self, index: u64, json: &str, done: bool, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        let mut item = TextItem::default();
        read_document(json, InPlace(&mut item))?;
        let state = self.state(index)?;
        if !std::mem::replace(&mut state.started, true) {
            let phase = Some(item.phase.as_str().to_owned()).filter(|phase| !phase.is_empty());
            push(out, index, ResponsesEventKind::MessageStarted { phase });
        }
        if !done {
            return Ok(());
        }
        let (text, refusal, mut seen) = (state.text, state.refusal, state.annotations);
        for part in item.content.iter() {
            if !text {
                self.text(index, part.text.as_str(), part.logprobs, out)?;
            }
            if !refusal {
                self.refusal(index, part.refusal.as_str(), out)?;
            }
            let annotations = part.annotations.map_or(Ok(Vec::new()), |list| parse::<Vec<Value>>(list.get()))?;
            for annotation in annotations {
                if seen == 0 {
                    push(out, index, ResponsesEventKind::Annotation(annotation));
                } else {
                    seen -= 1;
                }
            }
        }
        Ok(())
    }

    /// What a complete reasoning item says, if no piece of it came before.
    fn reasoning_done(&mut self, index: u64, json: &str, out: &mut Vec<ResponsesEvent>) -> Result<(), WireError> {
        if self.state(index)?.reasoning.is_some() {
            return Ok(());
        }
        let mut item = TextItem::default();
        read_document(json, InPlace(&mut item))?;
        let mut parts = |summary: bool, parts: &List<ContentPart<'_>>| {
            let mut parts = (0..).zip(parts.iter());
            parts.try_for_each(|(part, content)| self.reasoning(index, (summary, part), content.text.as_str(), out))
        };
        parts(true, &item.summary)?;
        parts(false, &item.content)
    }
}

/// The output items of a response.
fn output<'r>(response: &Response<'r>) -> Result<Vec<&'r RawValue>, WireError> {
    response.output.map_or(Ok(Vec::new()), |output| parse(output.get()))
}
