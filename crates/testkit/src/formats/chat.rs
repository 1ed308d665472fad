//! OpenAI's chat completions.

use std::time::Duration;

use atomr_agents_core::{FinishReason, Usage};
use serde_json::{Map, Value, json};

use super::Writer;
use super::frame::{Frame, Stage};
use super::sketch::{Block, Call, Sketch};

pub(super) struct Chat;

impl Writer for Chat {
    fn frames(&self, sketch: &Sketch) -> Vec<Frame> {
        let chunk = |stage, delta: Value, finish: Value| {
            let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
            Frame::data(stage, &envelope(sketch, "chat.completion.chunk", json!([choice]), Value::Null))
        };
        let said = |delta: Value| chunk(Stage::Body, delta, Value::Null);
        let mut frames = vec![said(json!({"role": "assistant", "content": "", "refusal": null}))];
        let mut calls = 0;
        for block in &sketch.blocks {
            match block {
                Block::Text(pieces) => frames.extend(pieces.iter().map(|text| said(json!({"content": text})))),
                Block::Thinking { pieces, .. } => {
                    frames.extend(pieces.iter().map(|text| said(json!({"reasoning_content": text}))));
                }
                Block::Redacted(_) => {}
                Block::Refusal(pieces) => frames.extend(pieces.iter().map(|text| said(json!({"refusal": text})))),
                Block::Call(call) => {
                    let number = call.place.number(calls, 0);
                    calls += 1;
                    frames.push(chunk(Stage::CallStart, json!({"tool_calls": [started(call, number)]}), Value::Null));
                    frames.extend(call.pieces.iter().map(|piece| {
                        let mut delta = numbered(number);
                        delta.insert("function".into(), json!({"arguments": piece}));
                        said(json!({"tool_calls": [delta]}))
                    }));
                }
            }
        }
        if let Some((reason, raw)) = &sketch.finish {
            frames.push(chunk(Stage::Finish, json!({}), word(*reason, raw).into()));
        }
        if let Some(counts) = &sketch.usage {
            let last = envelope(sketch, "chat.completion.chunk", json!([]), usage(counts));
            frames.push(Frame::data(Stage::Tail, &last));
        }
        frames.push(Frame::raw(Stage::Tail, "[DONE]"));
        frames
    }

    fn whole(&self, sketch: &Sketch) -> Value {
        let mut message = Map::from_iter([("role".to_owned(), json!("assistant"))]);
        let text = sketch.text();
        message.insert("content".into(), if text.is_empty() { Value::Null } else { text.into() });
        let mut calls = Vec::new();
        for block in &sketch.blocks {
            match block {
                Block::Thinking { pieces, .. } => {
                    message.insert("reasoning_content".into(), pieces.concat().into());
                }
                Block::Refusal(pieces) => {
                    message.insert("refusal".into(), pieces.concat().into());
                }
                Block::Call(call) => {
                    let function = json!({"name": call.name, "arguments": call.raw()});
                    calls.push(json!({"id": call.id, "type": "function", "function": function}));
                }
                Block::Text(_) | Block::Redacted(_) => {}
            }
        }
        if !calls.is_empty() {
            message.insert("tool_calls".into(), calls.into());
        }
        let finish = sketch.finish.as_ref().map(|(reason, raw)| word(*reason, raw));
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish});
        let counts = sketch.usage.as_ref().map_or(Value::Null, usage);
        envelope(sketch, "chat.completion", json!([choice]), counts)
    }

    fn error(&self, status: u16, message: &str, _wait: Option<Duration>) -> Value {
        openai_error(status, message)
    }

    fn failure(&self, message: &str) -> Vec<Frame> {
        let error = json!({"message": message, "type": "server_error", "param": null, "code": "overloaded"});
        vec![Frame::data(Stage::Body, &json!({"error": error}))]
    }

    fn unknown(&self) -> Frame {
        let chunk = json!({"id": "x", "object": "chat.completion.news", "choices": [], "news": {"a": [1, null]}});
        Frame::data(Stage::Body, &chunk)
    }

    fn stray(&self) -> Frame {
        let choice = json!({"index": 0, "delta": {"content": "stray"}, "finish_reason": null});
        Frame::data(Stage::Tail, &json!({"id": "x", "object": "chat.completion.chunk", "choices": [choice]}))
    }
}

/// The body of OpenAI's errors, chat completions and Responses alike.
pub(super) fn openai_error(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", json!("invalid_api_key")),
        404 => ("invalid_request_error", json!("model_not_found")),
        429 => ("requests", json!("rate_limit_exceeded")),
        500.. => ("server_error", Value::Null),
        _ => ("invalid_request_error", Value::Null),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn envelope(sketch: &Sketch, object: &str, choices: Value, usage: Value) -> Value {
    json!({
        "id": sketch.id.as_deref().unwrap_or("chatcmpl-testkit"), "object": object, "created": 1_700_000_000,
        "model": sketch.model(), "service_tier": "default", "system_fingerprint": null, "choices": choices,
        "usage": usage,
    })
}

fn numbered(number: Option<u64>) -> Map<String, Value> {
    number.map(|number| ("index".to_owned(), json!(number))).into_iter().collect()
}

fn started(call: &Call, number: Option<u64>) -> Map<String, Value> {
    let mut delta = numbered(number);
    if let Some(id) = &call.id {
        delta.insert("id".into(), json!(id));
    }
    delta.insert("type".into(), json!("function"));
    let mut function = Map::new();
    if let Some(name) = &call.name {
        function.insert("name".into(), json!(name));
    }
    function.insert("arguments".into(), json!(""));
    delta.insert("function".into(), function.into());
    delta
}

fn word(reason: FinishReason, raw: &str) -> String {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Paused | FinishReason::Other => raw,
    }
    .to_owned()
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens.unwrap_or(usage.input_tokens + usage.output_tokens),
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens.unwrap_or(0)},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens.unwrap_or(0)},
    })
}
