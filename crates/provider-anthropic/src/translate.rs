//! What a message says, in the words of the house.

use atomr_agents_core::{Citation, FinishReason, ModelEvent, Private, ToolCall, Usage, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Reader, from_wire, interrupted, started};
use atomr_agents_wire::{AnthropicDecoder, AnthropicEvent, ProviderError, ToolCallLimits};
use serde_json::json;

use crate::classify::from_stream;
use crate::config::PROVIDER;

/// Under this key of an opaque part lies the container in which the provider ran code.
pub(crate) const CONTAINER: &str = "container";

/// Under this key of a call's private data lies who called, where it was not the model itself.
pub(crate) const CALLER: &str = "caller";

/// Reads the answer of the messages API.
#[derive(Debug)]
pub struct MessagesReader {
    decoder: AnthropicDecoder,
    decoded: Vec<AnthropicEvent>,
    error: Option<(Box<ProviderError>, Option<String>)>,
}

impl MessagesReader {
    pub(crate) fn new(max_tool_args: usize) -> Self {
        let limits = ToolCallLimits { max_tool_args, ..ToolCallLimits::default() };
        Self { decoder: AnthropicDecoder::with_limits(limits), decoded: Vec::new(), error: None }
    }

    fn translate(&mut self, out: &mut Vec<ModelEvent>) {
        for event in self.decoded.drain(..) {
            match event {
                AnthropicEvent::Error { error, request_id } => {
                    self.error.get_or_insert((error, request_id));
                }
                AnthropicEvent::Finish { reason, details, .. } => {
                    // Only sometimes is a refusal explained.
                    if let Some(text) = details.as_ref().and_then(|details| details["explanation"].as_str()) {
                        out.push(ModelEvent::Refusal(text.to_owned()));
                    }
                    out.push(ModelEvent::Finish { reason: finish_reason(&reason), raw: reason });
                }
                event => out.extend(translated(event)),
            }
        }
    }
}

impl Reader for MessagesReader {
    fn event(&mut self, name: Option<&str>, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.event(name, data, &mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        self.translate(out);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.decoder.saw_stop()
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn end(mut self, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.done(&mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        self.translate(out);
        if let Some((error, request_id)) = self.error {
            return Err(from_stream(*error, request_id));
        }
        if matches!(out.last(), Some(ModelEvent::Finish { .. })) {
            return Ok(());
        }
        let lacks = if self.decoder.saw_stop() { "no stop reason arrived" } else { "message_stop did not arrive" };
        Err(interrupted(lacks))
    }
}

fn translated(event: AnthropicEvent) -> Option<ModelEvent> {
    Some(match event {
        AnthropicEvent::Started { id, model } => started(id, model),
        AnthropicEvent::Text(text) => ModelEvent::Text(text),
        AnthropicEvent::Citation(data) => ModelEvent::Citation(citation(data)),
        AnthropicEvent::Thinking(text) => ModelEvent::Thinking(text),
        AnthropicEvent::Signature(proof) => ModelEvent::ThinkingSignature(proof),
        AnthropicEvent::RedactedThinking(proof) => ModelEvent::RedactedThinking(proof),
        AnthropicEvent::ToolCallStarted { index, id, name } => ModelEvent::ToolCallStarted { index, id, name },
        AnthropicEvent::ToolCallDelta { index, arguments } => ModelEvent::ToolCallDelta { index, arguments },
        AnthropicEvent::ToolCallFinished { index, id, name, arguments, caller } => {
            let mut call = ToolCall::new(id, name, arguments);
            let private = |caller| Private { provider: PROVIDER.to_owned(), data: json!({ CALLER: caller }) };
            call.private = caller.map(private).map(Box::new);
            ModelEvent::ToolCallFinished { index, call }
        }
        AnthropicEvent::Block(data) => match data["type"].as_str() {
            Some(kind) if kind.ends_with("_tool_use") || kind.ends_with("_tool_result") => {
                ModelEvent::ServerTool { name: kind.to_owned(), data }
            }
            _ => ModelEvent::Opaque(data),
        },
        AnthropicEvent::Container(container) => ModelEvent::Opaque(json!({ CONTAINER: container })),
        AnthropicEvent::Usage(raw) => ModelEvent::Usage(usage(raw)),
        _ => return None,
    })
}

fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        // The provider's classifiers stop the answer, be it in mid-sentence.
        "refusal" => FinishReason::ContentFilter,
        "pause_turn" => FinishReason::Paused,
        _ => FinishReason::Other, // compaction
    }
}

/// The sources of the web, of documents and of search results have different names for the same things.
fn citation(data: Value) -> Citation {
    let text = |keys: &[&str]| keys.iter().find_map(|key| data[*key].as_str().map(str::to_owned));
    let (title, url, quote) = (text(&["title", "document_title"]), text(&["url", "source"]), text(&["cited_text"]));
    Citation { provider: PROVIDER.to_owned(), title, url, quote, data }
}

fn usage(raw: Value) -> Usage {
    let number = |path: &str| raw.pointer(path).and_then(Value::as_u64);
    Usage {
        input_tokens: number("/input_tokens").unwrap_or(0),
        output_tokens: number("/output_tokens").unwrap_or(0),
        total_tokens: None,
        cached_input_tokens: number("/cache_read_input_tokens"),
        cache_write_tokens: number("/cache_creation_input_tokens"),
        reasoning_tokens: number("/output_tokens_details/thinking_tokens"),
        raw: Some(raw),
    }
}
