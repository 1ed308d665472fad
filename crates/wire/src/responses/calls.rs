//! The tool calls of a response.
//!
//! The protocol tells each call up to four times: its item when it begins, its arguments in pieces, its arguments whole,
//! its item when it is done. What is told again must agree: a call that does not is an error, never a guess.

use serde_json::Value;

use super::shape::{CallItem, Event, ItemHead, Response};
use crate::in_place::{InPlace, read_document};
use crate::{ToolCallAssembler, ToolCallDelta, ToolCallEvent, ToolCallLimits, WireError};

/// What is known of a call besides what the assembler keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallNote {
    /// The provider's number of the item.
    pub(crate) output_index: u64,
    id: String,
    /// A custom tool: its input is free text, not JSON.
    pub(crate) custom: bool,
    pub(crate) namespace: String,
    /// The provider says that the output limit cut it.
    pub(crate) incomplete: bool,
    /// The arguments have been told whole.
    closed: bool,
}

/// Puts the calls of one response together.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallItems {
    assembler: ToolCallAssembler,
    /// By place in the order of appearance, as the assembler numbers them.
    notes: Vec<CallNote>,
}

/// Takes what is new of a call.
pub(crate) trait Emit: FnMut(&CallNote, ToolCallEvent) {}
impl<F: FnMut(&CallNote, ToolCallEvent)> Emit for F {}

impl CallItems {
    pub(crate) fn with_limits(limits: ToolCallLimits) -> Self {
        Self { assembler: ToolCallAssembler::with_limits(limits), notes: Vec::new() }
    }

    pub(crate) fn is_call(kind: &str) -> bool {
        matches!(kind, "function_call" | "custom_tool_call")
    }

    /// Takes the event if it is about the arguments of a call; false if it is about something else.
    pub(crate) fn arguments(&mut self, kind: &str, event: &Event<'_>, emit: &mut impl Emit) -> Result<bool, WireError> {
        let index = event.output_index.unwrap_or(0);
        match kind {
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.delta(index, event.delta.as_str(), emit)?;
            }
            "function_call_arguments.done" => self.close(index, ["", "", &event.arguments.0], emit)?,
            "custom_tool_call_input.done" => self.close(index, ["", "", event.input.as_str()], emit)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes an item of a call: `done` says that it is whole. What an item that only begins holds of its arguments is
    /// told again later.
    pub(crate) fn item(
        &mut self,
        index: u64,
        kind: &str,
        json: &str,
        done: bool,
        emit: &mut impl Emit,
    ) -> Result<(), WireError> {
        let mut item = CallItem::default();
        read_document(json, InPlace(&mut item))?;
        let custom = kind == "custom_tool_call";
        let id = if item.call_id.as_str().is_empty() { item.id.as_str() } else { item.call_id.as_str() };
        if id.is_empty() && item.name.as_str().is_empty() {
            return Ok(());
        }
        let at = self.note(index);
        if !id.is_empty() && self.notes.iter().enumerate().any(|(other, note)| other != at && note.id == id) {
            return Err(WireError::DuplicateId { id: id.to_owned() });
        }
        let note = &mut self.notes[at];
        note.custom = custom;
        if note.id.is_empty() {
            note.id.push_str(id);
        }
        if note.namespace.is_empty() {
            note.namespace.push_str(item.namespace.as_str());
        }
        if !done {
            return self.apply(index, [id, item.name.as_str(), ""], emit);
        }
        note.incomplete = item.status.as_str() == "incomplete";
        let text = if custom { item.input.as_str() } else { &*item.arguments.0 };
        self.close(index, [id, item.name.as_str(), text], emit)
    }

    /// The response is at its end. `cut`: it is not whole, so neither need its calls be.
    pub(crate) fn finish(&mut self, cut: bool, emit: &mut impl Emit) -> Result<(), WireError> {
        let notes = std::mem::take(&mut self.notes);
        self.assembler.finish_into(cut, &mut |event| emit_with(&notes, event, emit))
    }

    fn delta(&mut self, index: u64, text: &str, emit: &mut impl Emit) -> Result<(), WireError> {
        if text.is_empty() {
            return Ok(());
        }
        let at = self.note(index);
        if self.notes[at].closed {
            return Err(self.differ(index));
        }
        self.apply(index, ["", "", text], emit)
    }

    /// Takes a call's whole arguments: what is missing of them is added, and what has arrived must be their beginning.
    fn close(&mut self, index: u64, [id, name, text]: [&str; 3], emit: &mut impl Emit) -> Result<(), WireError> {
        if id.is_empty() && name.is_empty() && text.is_empty() {
            return Ok(());
        }
        let [_, known_name, known] = self.assembler.known(index).unwrap_or_default();
        if !name.is_empty() && !known_name.is_empty() && name != known_name {
            let [first, second] = [known_name, name].map(str::to_owned);
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            return Err(WireError::DuplicateIndex { index, first, second });
        }
        let rest = match text.strip_prefix(known) {
            Some(rest) => rest.to_owned(),
            None if text.is_empty() || is_same_json(known, text) => String::new(),
            None => return Err(self.differ(index)),
        };
        let at = self.note(index);
        if self.notes[at].closed && !rest.is_empty() {
            return Err(self.differ(index));
        }
        self.notes[at].closed = true;
        self.apply(index, [id, name, &rest], emit)
    }

    fn apply(&mut self, index: u64, [id, name, arguments]: [&str; 3], emit: &mut impl Emit) -> Result<(), WireError> {
        let notes = &self.notes;
        let delta = ToolCallDelta { index: Some(index), id, name, arguments };
        self.assembler.apply(delta, &mut |event| emit_with(notes, event, emit))
    }

    /// The place of the call with the provider's number `index`, which may be new.
    fn note(&mut self, index: u64) -> usize {
        match self.notes.iter().rposition(|note| note.output_index == index) {
            Some(at) => at,
            None => {
                self.notes.push(CallNote { output_index: index, ..CallNote::default() });
                self.notes.len() - 1
            }
        }
    }

    fn differ(&self, index: u64) -> WireError {
        let [_, name, _] = self.assembler.known(index).unwrap_or_default();
        WireError::ArgumentsDiffer { name: name.to_owned() }
    }
}

fn emit_with(notes: &[CallNote], event: ToolCallEvent, emit: &mut impl Emit) {
    let (ToolCallEvent::Started { index, .. }
    | ToolCallEvent::Delta { index, .. }
    | ToolCallEvent::Finished { index, .. }) = &event;
    if let Some(note) = notes.get(*index as usize) {
        emit(note, event);
    }
}

fn is_same_json(a: &str, b: &str) -> bool {
    match (serde_json::from_str::<Value>(a), serde_json::from_str::<Value>(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Reads only the tool calls of a stream of the Responses API, and skips everything else.
///
/// ```
/// use atomr_agents_wire::{ResponsesToolCalls, ToolCallEvent};
///
/// let (mut calls, mut out) = (ResponsesToolCalls::new(), Vec::new());
/// for event in [
///     r#"{"type":"response.output_item.added","output_index":0,
///         "item":{"type":"function_call","call_id":"c1","name":"add","arguments":""}}"#,
///     r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"a\":1}"}"#,
/// ] {
///     calls.event(event, &mut out)?;
/// }
/// calls.finish(&mut out)?;
/// let want = ToolCallEvent::Finished { index: 0, id: "c1".into(), name: "add".into(), arguments: r#"{"a":1}"#.into() };
/// assert_eq!(out.last(), Some(&want));
/// # Ok::<(), atomr_agents_wire::WireError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ResponsesToolCalls {
    calls: CallItems,
    /// An item of any kind was seen, so the last event only repeats.
    saw_item: bool,
}

impl ResponsesToolCalls {
    /// A reader with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with these limits.
    #[must_use]
    pub fn with_limits(limits: ToolCallLimits) -> Self {
        Self { calls: CallItems::with_limits(limits), saw_item: false }
    }

    /// Takes the data of one event, or a whole response.
    ///
    /// # Errors
    /// [`WireError`] for what is no JSON of the expected shape, for calls that break the limits and for a call that is
    /// told in two ways.
    pub fn event(&mut self, json: &str, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        let json = json.trim_ascii();
        if json.is_empty() || json == crate::DONE_MARKER {
            return Ok(());
        }
        let mut event = Event::default();
        read_document(json, InPlace(&mut event))?;
        let emit = &mut |_: &CallNote, event| out.push(event);
        let Some(kind) = event.kind.as_str().strip_prefix("response.") else {
            return if event.kind.as_str().is_empty() { self.response(json, emit) } else { Ok(()) };
        };
        if self.calls.arguments(kind, &event, emit)? {
            return Ok(());
        }
        match (kind, event.item, event.response) {
            ("output_item.added" | "output_item.done", Some(item), _) => {
                self.item(event.output_index.unwrap_or(0), item.get(), kind.ends_with("done"), emit)
            }
            ("completed" | "incomplete", _, Some(response)) => self.response(response.get(), emit),
            _ => Ok(()),
        }
    }

    /// The stream is at its end: reports every call in the order of appearance.
    ///
    /// # Errors
    /// [`WireError::MissingToolName`] for a call that was never named.
    pub fn finish(&mut self, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        self.saw_item = false;
        std::mem::take(&mut self.calls).finish(false, &mut |_: &CallNote, event| out.push(event))
    }

    fn item(&mut self, index: u64, json: &str, done: bool, emit: &mut impl Emit) -> Result<(), WireError> {
        self.saw_item = true;
        let mut head = ItemHead::default();
        read_document(json, InPlace(&mut head))?;
        let kind = head.kind.as_str();
        if CallItems::is_call(kind) { self.calls.item(index, kind, json, done, emit) } else { Ok(()) }
    }

    /// A response whose items came in no events before.
    fn response(&mut self, json: &str, emit: &mut impl Emit) -> Result<(), WireError> {
        if self.saw_item {
            return Ok(());
        }
        let mut response = Response::default();
        read_document(json, InPlace(&mut response))?;
        for (index, item) in (0..).zip(super::output(&response)?) {
            self.item(index, item.get(), true, emit)?;
        }
        Ok(())
    }
}
