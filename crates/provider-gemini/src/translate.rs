//! What an answer says, in the words of the house.

use std::collections::BTreeSet;

use atomr_agents_core::{FinishReason, ModelEvent, Private, ToolCall, Usage, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Reader, from_wire, interrupted, of_choice, started, take_terminal};
use atomr_agents_wire::{GeminiDecoder, GeminiEvent, GeminiEventKind, ToolCallLimits};
use serde_json::Map;

use crate::classify::{blocked, from_stream, malformed};
use crate::config::PROVIDER;
use crate::lower::{CALL_ID, SIGNATURE};
use crate::metadata;

/// Reads the answer to one request.
#[derive(Debug)]
pub struct GeminiReader {
    decoder: GeminiDecoder,
    decoded: Vec<GeminiEvent>,
    /// The candidates that asked for tools.
    callers: BTreeSet<u32>,
    error: Option<InferenceError>,
}

impl GeminiReader {
    pub(crate) fn new(max_tool_args: usize) -> Self {
        let limits = ToolCallLimits { max_tool_args, ..ToolCallLimits::default() };
        Self { decoder: GeminiDecoder::with_limits(limits), decoded: Vec::new(), callers: BTreeSet::new(), error: None }
    }

    fn translate(&mut self, out: &mut Vec<ModelEvent>) {
        let mut told = Vec::new();
        for GeminiEvent { candidate, kind } in self.decoded.drain(..) {
            match kind {
                GeminiEventKind::Error(error) => {
                    self.error.get_or_insert_with(|| from_stream(*error));
                }
                GeminiEventKind::Blocked { reason, message } => {
                    self.error.get_or_insert_with(|| blocked(reason, message));
                }
                GeminiEventKind::ToolCall { index, id, name, arguments, signature } => {
                    self.callers.insert(candidate);
                    call(index, id, name, arguments, signature, &mut told);
                }
                GeminiEventKind::Finish { reason, .. } => told.push(ModelEvent::Finish {
                    reason: finish(&reason, self.callers.contains(&candidate)),
                    raw: reason,
                }),
                GeminiEventKind::Metadata { name, data } => metadata::events(name, data, &mut told),
                kind => told.extend(translated(kind)),
            }
            out.extend(told.drain(..).map(|event| of_choice(candidate, event)));
        }
    }
}

// There is no terminal event, and some models say `STOP` in every event: only the end of the body ends an answer.
impl Reader for GeminiReader {
    fn event(&mut self, _name: Option<&str>, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.chunk(data, &mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        self.translate(out);
        Ok(())
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn end(mut self, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.decoder.done(&mut self.decoded).map_err(|error| from_wire(PROVIDER, error))?;
        let ends = |event: &GeminiEvent| event.candidate == 0 && matches!(event.kind, GeminiEventKind::Finish { .. });
        let last = take_terminal(&mut self.decoded, ends);
        self.translate(out);
        if let Some(error) = self.error {
            return Err(error);
        }
        let Some(GeminiEvent { kind: GeminiEventKind::Finish { reason, message }, .. }) = last else {
            return Err(interrupted("no finish reason arrived"));
        };
        let called = self.callers.contains(&0);
        if is_malformed(&reason, called) {
            return Err(malformed(reason, message));
        }
        out.push(ModelEvent::Finish { reason: finish(&reason, called), raw: reason });
        Ok(())
    }
}

fn translated(kind: GeminiEventKind) -> Option<ModelEvent> {
    Some(match kind {
        GeminiEventKind::Started { id, model } => started(id, model),
        GeminiEventKind::Text(text) => ModelEvent::Text(text),
        GeminiEventKind::Thought(text) => ModelEvent::Thinking(text),
        GeminiEventKind::ThoughtSignature(proof) => ModelEvent::ThinkingSignature(proof),
        // Beside a text it proves thoughts that are not shown; it stands before the text that it came with.
        GeminiEventKind::TextSignature(proof) => ModelEvent::RedactedThinking(proof),
        GeminiEventKind::ServerTool { name, part } => ModelEvent::ServerTool { name: name.to_owned(), data: part },
        GeminiEventKind::Media(part) => ModelEvent::Opaque(part),
        GeminiEventKind::Usage(raw) => ModelEvent::Usage(usage(raw)),
        _ => return None,
    })
}

/// Calls come whole; listeners are told in the same three steps as with every provider.
fn call(index: u32, id: String, name: String, arguments: String, signature: Option<String>, out: &mut Vec<ModelEvent>) {
    let mut private = Map::new();
    if let Some(signature) = signature {
        private.insert(SIGNATURE.into(), signature.into());
    }
    if !id.is_empty() {
        private.insert(CALL_ID.into(), id.as_str().into());
    }
    out.push(ModelEvent::ToolCallStarted { index, id: id.clone(), name: name.clone() });
    if !arguments.is_empty() {
        out.push(ModelEvent::ToolCallDelta { index, arguments: arguments.clone() });
    }
    let mut call = ToolCall::new(id, name, arguments);
    call.private =
        (!private.is_empty()).then(|| Box::new(Private { provider: PROVIDER.into(), data: Value::Object(private) }));
    out.push(ModelEvent::ToolCallFinished { index, call });
}

/// Some servers send the numbers of the reasons.
fn finish(reason: &str, called: bool) -> FinishReason {
    match reason {
        "STOP" | "1" if called => FinishReason::ToolCalls,
        "STOP" | "1" => FinishReason::Stop,
        "MAX_TOKENS" | "2" => FinishReason::Length,
        // The engine tells the model which tools there are.
        "UNEXPECTED_TOOL_CALL" if called => FinishReason::ToolCalls,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "3"
        | "4"
        | "7"
        | "8"
        | "9"
        | "11" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

/// Whether what the model wrote is no answer.
fn is_malformed(reason: &str, called: bool) -> bool {
    match reason {
        "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" | "MISSING_THOUGHT_SIGNATURE" | "10" => true,
        "UNEXPECTED_TOOL_CALL" => !called,
        _ => false,
    }
}

/// Thoughts are written, and what the provider's tools found is read: both are paid for as such, and so input and
/// output together are the provider's total.
fn usage(raw: Value) -> Usage {
    let number = |key: &str| raw[key].as_u64();
    let sum = |one: Option<u64>, two: Option<u64>| one.unwrap_or(0).saturating_add(two.unwrap_or(0));
    Usage {
        input_tokens: sum(number("promptTokenCount"), number("toolUsePromptTokenCount")),
        output_tokens: sum(number("candidatesTokenCount"), number("thoughtsTokenCount")),
        total_tokens: number("totalTokenCount"),
        cached_input_tokens: number("cachedContentTokenCount"),
        cache_write_tokens: None,
        reasoning_tokens: number("thoughtsTokenCount"),
        raw: Some(raw),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(chunks: &[Value]) -> (Vec<ModelEvent>, Result<(), InferenceError>) {
        let (mut reader, mut out) = (GeminiReader::new(1 << 20), Vec::new());
        for chunk in chunks {
            reader.event(None, &chunk.to_string(), &mut out).unwrap();
        }
        let end = reader.end(&mut out);
        (out, end)
    }

    fn candidate(parts: &Value, finish: Value) -> Value {
        json!({"candidates": [{"content": {"parts": parts}, "finishReason": finish}]})
    }

    #[test]
    fn a_call_keeps_its_signature_and_the_id_that_the_provider_gave() {
        let parts = json!([
            {"functionCall": {"name": "f", "args": {"a": 1}, "id": "x"}, "thoughtSignature": "s"},
            {"functionCall": {"name": "g"}},
        ]);
        let (out, end) = read(&[candidate(&parts, json!("STOP"))]);
        end.unwrap();
        let calls: Vec<&ToolCall> = out
            .iter()
            .filter_map(|event| match event {
                ModelEvent::ToolCallFinished { call, .. } => Some(call),
                _ => None,
            })
            .collect();
        assert_eq!(calls[0].private_to("gemini"), Some(&json!({"thoughtSignature": "s", "id": "x"})));
        assert_eq!((calls[1].id.as_str(), calls[1].private.is_none()), ("", true));
        let last = ModelEvent::Finish { reason: FinishReason::ToolCalls, raw: "STOP".into() };
        assert_eq!(out.last(), Some(&last));
    }

    #[test]
    fn finish_reasons() {
        for (sent, reason) in [
            (json!("STOP"), FinishReason::Stop),
            (json!(1), FinishReason::Stop),
            (json!("MAX_TOKENS"), FinishReason::Length),
            (json!("RECITATION"), FinishReason::ContentFilter),
            (json!("PROHIBITED_CONTENT"), FinishReason::ContentFilter),
            (json!("LANGUAGE"), FinishReason::Other),
            (json!("SOMETHING_NEW"), FinishReason::Other),
        ] {
            let (out, end) = read(&[candidate(&json!([{"text": "a"}]), sent.clone())]);
            end.unwrap();
            let raw = sent.as_str().map_or_else(|| sent.to_string(), str::to_owned);
            assert_eq!(out.last(), Some(&ModelEvent::Finish { reason, raw }));
        }
    }

    #[test]
    fn a_call_that_is_none_is_an_error_that_may_be_tried_again() {
        for (reason, again) in [
            ("MALFORMED_FUNCTION_CALL", true),
            ("UNEXPECTED_TOOL_CALL", true),
            ("MALFORMED_RESPONSE", true),
            ("MISSING_THOUGHT_SIGNATURE", false),
        ] {
            let sent = json!({"candidates": [{"finishReason": reason, "finishMessage": "call:f{a"}]});
            let (out, end) = read(&[sent]);
            let error = end.unwrap_err();
            assert!(error.retryable() == again && error.to_string().contains("call:f{a"), "{error}");
            assert!(out.iter().all(|event| matches!(event, ModelEvent::Started { .. })));
        }
    }

    #[test]
    fn other_candidates_are_alternatives_and_the_first_ends_the_stream() {
        let sent = json!({"candidates": [
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
            {"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "SAFETY"},
        ]});
        let (out, end) = read(&[sent]);
        end.unwrap();
        let other = |event| ModelEvent::Alternative { choice: 1, event: Box::new(event) };
        assert_eq!(
            out[1..],
            [
                ModelEvent::Text("a".into()),
                other(ModelEvent::Text("b".into())),
                other(ModelEvent::Finish { reason: FinishReason::ContentFilter, raw: "SAFETY".into() }),
                ModelEvent::Finish { reason: FinishReason::Stop, raw: "STOP".into() },
            ]
        );
    }

    #[test]
    fn thoughts_and_what_server_tools_read_are_counted() {
        let told = usage(json!({"promptTokenCount": 147, "candidatesTokenCount": 108, "toolUsePromptTokenCount": 360,
            "thoughtsTokenCount": 168, "totalTokenCount": 783, "cachedContentTokenCount": 5}));
        assert_eq!((told.input_tokens, told.output_tokens, told.total_tokens), (507, 276, Some(783)));
        assert_eq!((told.cached_input_tokens, told.reasoning_tokens), (Some(5), Some(168)));
        assert_eq!(usage(json!({"trafficType": "ON_DEMAND"})).total_tokens, None);
    }
}
