//! What a response says, in the words of the house.

use atomr_agents_core::{Citation, FinishReason, ModelEvent, Private, ToolCall, Usage, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Reader, from_wire, interrupted, started};
use atomr_agents_wire::{ProviderError, ResponsesDecoder, ResponsesEvent, ResponsesEventKind, ToolCallLimits};
use serde_json::json;

use super::PROVIDER;
use super::lower::items::{CUSTOM_TOOL_CALL, reasoning_to_keep};
use crate::classify::from_stream;

/// A custom tool's free text is told as the arguments `{"input": …}`: this, the escaped text, the end.
const CUSTOM_BEGIN: &str = "{\"input\":\"";
const CUSTOM_END: &str = "\"}";

/// Reads a response.
#[derive(Debug)]
pub struct ResponsesReader {
    decoder: ResponsesDecoder,
    decoded: Vec<ResponsesEvent>,
    /// The numbers of the calls of custom tools.
    custom: Vec<u32>,
    /// The reasoning item that the last thought belongs to.
    thought: Option<u32>,
    /// Whether the message that is being told has a phase.
    phase: bool,
    has_calls: bool,
    error: Option<ProviderError>,
    finished: bool,
}

impl ResponsesReader {
    pub(crate) fn new(max_tool_args: usize) -> Self {
        let limits = ToolCallLimits { max_tool_args, ..ToolCallLimits::default() };
        Self {
            decoder: ResponsesDecoder::with_limits(limits),
            decoded: Vec::new(),
            custom: Vec::new(),
            thought: None,
            phase: false,
            has_calls: false,
            error: None,
            finished: false,
        }
    }

    fn translate(&mut self, out: &mut Vec<ModelEvent>) {
        let mut decoded = std::mem::take(&mut self.decoded);
        for ResponsesEvent { item, kind } in decoded.drain(..) {
            self.event(item, kind, out);
        }
        self.decoded = decoded;
    }

    fn event(&mut self, item: u32, kind: ResponsesEventKind, out: &mut Vec<ModelEvent>) {
        match kind {
            ResponsesEventKind::Started { id, model } => out.push(started(id, model)),
            ResponsesEventKind::MessageStarted { phase } => {
                if std::mem::replace(&mut self.phase, phase.is_some()) || self.phase {
                    let mut message = json!({"type": "message"});
                    if let Some(phase) = phase {
                        message["phase"] = Value::String(phase);
                    }
                    out.push(ModelEvent::Opaque(message));
                }
            }
            ResponsesEventKind::Text(text) => out.push(ModelEvent::Text(text)),
            ResponsesEventKind::Refusal(text) => out.push(ModelEvent::Refusal(text)),
            ResponsesEventKind::Annotation(data) => out.push(ModelEvent::Citation(citation(data))),
            ResponsesEventKind::Reasoning(text) => {
                self.thought = Some(item);
                out.push(ModelEvent::Thinking(text));
            }
            ResponsesEventKind::ReasoningPart => out.push(ModelEvent::Thinking("\n\n".into())),
            ResponsesEventKind::ReasoningDone(data) => {
                if let Some(proof) = reasoning_to_keep(data) {
                    let shown = self.thought == Some(item);
                    let event = if shown { ModelEvent::ThinkingSignature } else { ModelEvent::RedactedThinking };
                    out.push(event(proof));
                }
                self.thought = None;
            }
            ResponsesEventKind::ItemDone { item_type, item } if is_server_tool(&item_type) => {
                out.push(ModelEvent::ServerTool { name: item_type, data: item });
            }
            ResponsesEventKind::ItemDone { item, .. } => out.push(ModelEvent::Opaque(item)),
            ResponsesEventKind::Usage(raw) => out.push(ModelEvent::Usage(usage(raw))),
            ResponsesEventKind::Finish { status, reason } => {
                self.finished = true;
                out.push(finish(&status, reason.as_deref(), self.has_calls));
            }
            ResponsesEventKind::Error(error) => {
                self.error.get_or_insert(*error);
            }
            call => self.call(call, out),
        }
    }

    fn call(&mut self, kind: ResponsesEventKind, out: &mut Vec<ModelEvent>) {
        match kind {
            ResponsesEventKind::ToolCallStarted { index, id, name, custom } => {
                out.push(ModelEvent::ToolCallStarted { index, id, name });
                if custom {
                    self.custom.push(index);
                    out.push(ModelEvent::ToolCallDelta { index, arguments: CUSTOM_BEGIN.into() });
                }
            }
            ResponsesEventKind::ToolCallDelta { index, arguments } => {
                let arguments = if self.custom.contains(&index) { escaped(&arguments) } else { arguments };
                out.push(ModelEvent::ToolCallDelta { index, arguments });
            }
            ResponsesEventKind::ToolCallFinished { index, id, name, arguments, custom, incomplete, namespace } => {
                self.has_calls = true;
                let mut raw = arguments;
                if custom {
                    // Text that the output limit cut must not look like a whole call.
                    let end = if incomplete { "" } else { CUSTOM_END };
                    raw = format!("{CUSTOM_BEGIN}{}{end}", escaped(&raw));
                    if !incomplete {
                        out.push(ModelEvent::ToolCallDelta { index, arguments: end.into() });
                    }
                }
                let mut call = ToolCall::new(id, name, raw);
                call.private = private(custom, namespace);
                out.push(ModelEvent::ToolCallFinished { index, call });
            }
            _ => {} // log probabilities are not part of a transcript
        }
    }
}

impl Reader for ResponsesReader {
    fn event(&mut self, _name: Option<&str>, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.chunk(data, &mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        self.translate(out);
        Ok(())
    }

    fn body(&mut self, json: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.body(json, &mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        self.translate(out);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.decoder.is_over()
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn end(mut self, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.done(&mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        self.translate(out);
        match self.error {
            Some(error) => Err(from_stream(error)),
            None if self.finished => Ok(()),
            None => Err(interrupted("the response did not end")),
        }
    }
}

/// What a call must be sent back with.
fn private(custom: bool, namespace: Option<String>) -> Option<Box<Private>> {
    let mut data = serde_json::Map::new();
    if custom {
        data.insert("type".into(), CUSTOM_TOOL_CALL.into());
    }
    if let Some(namespace) = namespace {
        data.insert("namespace".into(), namespace.into());
    }
    let data = (!data.is_empty()).then_some(Value::Object(data))?;
    Some(Box::new(Private { provider: PROVIDER.into(), data }))
}

/// Tools that the provider runs, or that it knows without being told, and what they gave.
fn is_server_tool(item_type: &str) -> bool {
    item_type.ends_with("_call") || item_type.ends_with("_output") || item_type.starts_with("mcp_")
}

fn citation(data: Value) -> Citation {
    let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
    Citation {
        provider: PROVIDER.into(),
        title: text("title").or_else(|| text("filename")),
        url: text("url"),
        quote: text("quote"),
        data,
    }
}

/// The text as it stands inside a JSON string.
fn escaped(text: &str) -> String {
    let mut quoted = Value::from(text).to_string();
    quoted.pop();
    quoted.drain(..1.min(quoted.len()));
    quoted
}

/// A tool call does not change the status of a response, so what waits for tools is told by the calls.
fn finish(status: &str, reason: Option<&str>, has_calls: bool) -> ModelEvent {
    let normalised = match (status, reason) {
        ("completed", _) if has_calls => FinishReason::ToolCalls,
        ("completed", _) => FinishReason::Stop,
        ("incomplete", Some("max_output_tokens")) => FinishReason::Length,
        ("incomplete", Some("content_filter")) => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    };
    let raw = reason.map_or_else(|| status.to_owned(), |reason| format!("{status}:{reason}"));
    ModelEvent::Finish { reason: normalised, raw }
}

fn usage(raw: Value) -> Usage {
    let number = |path: &str| raw.pointer(path).and_then(Value::as_u64);
    Usage {
        input_tokens: number("/input_tokens").unwrap_or(0),
        output_tokens: number("/output_tokens").unwrap_or(0),
        total_tokens: number("/total_tokens"),
        cached_input_tokens: number("/input_tokens_details/cached_tokens"),
        cache_write_tokens: number("/input_tokens_details/cache_write_tokens"),
        reasoning_tokens: number("/output_tokens_details/reasoning_tokens"),
        raw: Some(raw),
    }
}
