//! What a chat completion says, in the words of the house.

use atomr_agents_core::{FinishReason, ModelEvent, ToolCall, Usage, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Reader, from_wire, interrupted, of_choice, started, take_terminal};
use atomr_agents_wire::{ChatDecoder, ChatEvent, ChatEventKind, ProviderError, ToolCallLimits};
use serde_json::json;

use super::lower::REASONING_DETAILS;
use crate::classify::from_stream;
use crate::config::PROVIDER;

/// Reads the answer to a chat completion.
#[derive(Debug)]
pub struct ChatReader {
    decoder: ChatDecoder,
    decoded: Vec<ChatEvent>,
    details: Vec<Value>,
    error: Option<ProviderError>,
    done_is_finish: bool,
}

impl ChatReader {
    pub(crate) fn new(max_tool_args: usize, done_is_finish: bool) -> Self {
        let decoder = ChatDecoder::with_limits(ToolCallLimits { max_tool_args, ..ToolCallLimits::default() });
        Self { decoder, decoded: Vec::new(), details: Vec::new(), error: None, done_is_finish }
    }

    fn translate(&mut self, out: &mut Vec<ModelEvent>) {
        for ChatEvent { choice, kind } in self.decoded.drain(..) {
            match kind {
                ChatEventKind::Error(error) => {
                    self.error.get_or_insert(*error);
                }
                ChatEventKind::ReasoningDetails(Value::Array(details)) if choice == 0 => self.details.extend(details),
                ChatEventKind::ReasoningDetails(details) if choice == 0 => self.details.push(details),
                kind => {
                    out.extend(translated(kind).map(|event| of_choice(choice, event)));
                }
            }
        }
    }
}

impl Reader for ChatReader {
    fn event(&mut self, _name: Option<&str>, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.chunk(data, &mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        self.translate(out);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.decoder.saw_done_marker()
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn end(mut self, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.done(&mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        if !self.details.is_empty() {
            let details = std::mem::take(&mut self.details);
            out.push(ModelEvent::Opaque(json!({ REASONING_DETAILS: details })));
        }
        let ends = |event: &ChatEvent| event.choice == 0 && matches!(event.kind, ChatEventKind::Finish { .. });
        let last = take_terminal(&mut self.decoded, ends);
        self.translate(out);
        if let Some(error) = self.error {
            return Err(from_stream(error));
        }
        match last {
            Some(ChatEvent { kind, .. }) => out.extend(translated(kind)),
            None if self.done_is_finish && self.decoder.saw_done_marker() => {
                out.push(ModelEvent::Finish { reason: FinishReason::Stop, raw: String::new() });
            }
            None => return Err(interrupted("no finish reason arrived")),
        }
        Ok(())
    }
}

fn translated(kind: ChatEventKind) -> Option<ModelEvent> {
    Some(match kind {
        ChatEventKind::Started { id, model } => started(id, model),
        ChatEventKind::Text(text) => ModelEvent::Text(text),
        ChatEventKind::Reasoning(text) => ModelEvent::Thinking(text),
        ChatEventKind::Refusal(text) => ModelEvent::Refusal(text),
        ChatEventKind::ToolCallStarted { index, id, name } => ModelEvent::ToolCallStarted { index, id, name },
        ChatEventKind::ToolCallDelta { index, arguments } => ModelEvent::ToolCallDelta { index, arguments },
        ChatEventKind::ToolCallFinished { index, id, name, arguments } => {
            ModelEvent::ToolCallFinished { index, call: ToolCall::new(id, name, arguments) }
        }
        ChatEventKind::Usage(raw) => ModelEvent::Usage(usage(raw)),
        ChatEventKind::Finish { reason, .. } => ModelEvent::Finish {
            reason: match reason.as_str() {
                "stop" => FinishReason::Stop,
                "length" => FinishReason::Length,
                "tool_calls" | "function_call" => FinishReason::ToolCalls,
                "content_filter" => FinishReason::ContentFilter,
                _ => FinishReason::Other,
            },
            raw: reason,
        },
        _ => return None, // log probabilities are not part of a transcript
    })
}

fn usage(raw: Value) -> Usage {
    let number = |path: &str| raw.pointer(path).and_then(Value::as_u64);
    Usage {
        input_tokens: number("/prompt_tokens").unwrap_or(0),
        output_tokens: number("/completion_tokens").unwrap_or(0),
        total_tokens: number("/total_tokens"),
        cached_input_tokens: number("/prompt_tokens_details/cached_tokens")
            .or_else(|| number("/prompt_cache_hit_tokens")),
        cache_write_tokens: number("/prompt_tokens_details/cache_write_tokens"),
        reasoning_tokens: number("/completion_tokens_details/reasoning_tokens"),
        raw: Some(raw),
    }
}
