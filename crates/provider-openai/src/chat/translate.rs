//! What a chat completion says, in the words of the house.

use atomr_agents_core::{FinishReason, ModelEvent, ToolCall, Usage, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::from_wire;
use atomr_agents_wire::{ChatDecoder, ChatEvent, ChatEventKind, ProviderError, ToolCallLimits, WireError};
use serde_json::json;

use super::lower::REASONING_DETAILS;
use crate::classify::from_provider;
use crate::config::PROVIDER;

/// Translates one answer.
pub(crate) struct Translator {
    decoder: ChatDecoder,
    decoded: Vec<ChatEvent>,
    details: Vec<Value>,
    error: Option<ProviderError>,
}

impl Translator {
    pub(crate) fn new(max_tool_args: usize) -> Self {
        let limits = ToolCallLimits { max_tool_args, ..ToolCallLimits::default() };
        Self { decoder: ChatDecoder::with_limits(limits), decoded: Vec::new(), details: Vec::new(), error: None }
    }

    /// Takes the data of one event.
    pub(crate) fn chunk(&mut self, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), WireError> {
        self.decoder.chunk(data, &mut self.decoded)?;
        self.translate(out);
        Ok(())
    }

    /// Whether the provider has reported an error.
    pub(crate) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Whether `[DONE]` was seen.
    pub(crate) fn saw_done_marker(&self) -> bool {
        self.decoder.saw_done_marker()
    }

    /// The body is at its end. Gives the error the provider reported, or that the answer has no end.
    pub(crate) fn end(mut self, done_is_finish: bool, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.done(&mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        // The terminal event of the first choice ends the stream, so it goes last.
        let first_ends = |event: &ChatEvent| event.choice == 0 && matches!(event.kind, ChatEventKind::Finish { .. });
        self.decoded.sort_by_key(first_ends);
        if !self.details.is_empty() {
            let details = std::mem::take(&mut self.details);
            out.push(ModelEvent::Opaque(json!({ REASONING_DETAILS: details })));
        }
        let last = self.decoded.pop_if(|event| first_ends(event));
        self.translate(out);
        if let Some(error) = self.error {
            return Err(from_provider(200, error, None, None));
        }
        match last {
            Some(ChatEvent { kind, .. }) => out.extend(translated(kind)),
            None if done_is_finish && self.decoder.saw_done_marker() => {
                out.push(ModelEvent::Finish { reason: FinishReason::Stop, raw: String::new() });
            }
            None => {
                let message = "no finish reason arrived".to_owned();
                return Err(InferenceError::Interrupted { message, source: None });
            }
        }
        Ok(())
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
                    let Some(event) = translated(kind) else { continue };
                    out.push(match choice {
                        0 => event,
                        choice => ModelEvent::Alternative { choice, event: Box::new(event) },
                    });
                }
            }
        }
    }
}

fn translated(kind: ChatEventKind) -> Option<ModelEvent> {
    Some(match kind {
        ChatEventKind::Started { id, model } => ModelEvent::Started {
            id: Some(id).filter(|id| !id.is_empty()),
            model: Some(model).filter(|m| !m.is_empty()),
        },
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
