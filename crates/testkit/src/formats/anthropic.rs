//! Anthropic's Messages.

use std::time::Duration;

use atomr_agents_core::FinishReason;
use serde_json::{Map, Value, json};

use super::Writer;
use super::frame::{Frame, Stage};
use super::sketch::{Block, Call, Sketch};

pub(super) struct Anthropic;

impl Writer for Anthropic {
    fn frames(&self, sketch: &Sketch) -> Vec<Frame> {
        let usage = json!({"input_tokens": input(sketch), "output_tokens": 1});
        let message = message(sketch, Vec::new(), None, usage);
        let mut frames = vec![Frame::typed(Stage::Body, &json!({"type": "message_start", "message": message}))];
        let is_call = |block: &Block| matches!(block, Block::Call(_));
        let first_call = sketch.blocks.iter().position(is_call).unwrap_or_default() as u64;
        let place = |next: usize, block: &Block| match block {
            Block::Call(call) => call.place.number(next as u64, first_call),
            _ => Some(next as u64),
        };
        // A block is closed before the next begins, except where the next claims its number.
        let mut open: Option<Option<u64>> = None;
        for (next, block) in sketch.blocks.iter().enumerate() {
            let number = place(next, block);
            if let Some(before) = open.replace(number)
                && before != number
            {
                frames.push(stop(before));
            }
            let stage = if is_call(block) { Stage::CallStart } else { Stage::Body };
            frames.push(numbered(stage, "content_block_start", number, "content_block", begun(block)));
            if next == 0 {
                frames.push(Frame::typed(Stage::Body, &json!({"type": "ping"})));
            }
            frames.extend(
                deltas(block)
                    .into_iter()
                    .map(|delta| numbered(Stage::Body, "content_block_delta", number, "delta", delta)),
            );
        }
        if let Some(last) = open {
            frames.push(stop(last));
        }
        if let Some((reason, raw)) = &sketch.finish {
            let delta = json!({"stop_reason": word(*reason, raw), "stop_sequence": null});
            let mut data = json!({"type": "message_delta", "delta": delta});
            if sketch.usage.is_some() {
                data["usage"] = usage_of(sketch);
            }
            frames.push(Frame::typed(Stage::Finish, &data));
        }
        frames.push(Frame::typed(Stage::Tail, &json!({"type": "message_stop"})));
        frames
    }

    fn whole(&self, sketch: &Sketch) -> Value {
        let content = sketch.blocks.iter().map(whole_block).collect();
        let finish = sketch.finish.as_ref().map(|(reason, raw)| word(*reason, raw));
        message(sketch, content, finish, usage_of(sketch))
    }

    fn error(&self, status: u16, message: &str, _wait: Option<Duration>) -> Value {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_testkit"})
    }

    fn failure(&self, message: &str) -> Vec<Frame> {
        let error = json!({"type": "overloaded_error", "message": message, "details": null});
        let data = json!({"type": "error", "error": error, "request_id": "req_testkit"});
        vec![Frame::typed(Stage::Body, &data)]
    }

    fn unknown(&self) -> Frame {
        Frame::typed(Stage::Body, &json!({"type": "news", "news": {"a": [1, null]}}))
    }

    fn stray(&self) -> Frame {
        let delta = json!({"type": "text_delta", "text": "stray"});
        Frame::typed(Stage::Tail, &json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    }
}

fn numbered(stage: Stage, kind: &str, number: Option<u64>, field: &str, value: Value) -> Frame {
    let mut data = Map::from_iter([("type".to_owned(), json!(kind))]);
    if let Some(number) = number {
        data.insert("index".into(), json!(number));
    }
    data.insert(field.into(), value);
    Frame::typed(stage, &data.into())
}

fn stop(number: Option<u64>) -> Frame {
    let mut data = json!({"type": "content_block_stop"});
    if let Some(number) = number {
        data["index"] = json!(number);
    }
    Frame::typed(Stage::Body, &data)
}

fn begun(block: &Block) -> Value {
    match block {
        Block::Text(_) | Block::Refusal(_) => json!({"type": "text", "text": ""}),
        Block::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Block::Redacted(proof) => json!({"type": "redacted_thinking", "data": proof}),
        Block::Call(call) => tool_use(call, json!({})),
    }
}

fn deltas(block: &Block) -> Vec<Value> {
    match block {
        Block::Text(pieces) | Block::Refusal(pieces) => {
            pieces.iter().map(|text| json!({"type": "text_delta", "text": text})).collect()
        }
        Block::Thinking { pieces, signature } => {
            let said = pieces.iter().map(|text| json!({"type": "thinking_delta", "thinking": text}));
            let proof = signature.iter().map(|proof| json!({"type": "signature_delta", "signature": proof}));
            said.chain(proof).collect()
        }
        Block::Redacted(_) => Vec::new(),
        Block::Call(call) => {
            let pieces = std::iter::once("").chain(call.pieces.iter().map(String::as_str));
            pieces.map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect()
        }
    }
}

fn whole_block(block: &Block) -> Value {
    match block {
        Block::Text(pieces) | Block::Refusal(pieces) => json!({"type": "text", "text": pieces.concat()}),
        Block::Thinking { pieces, signature } => {
            json!({"type": "thinking", "thinking": pieces.concat(), "signature": signature.as_deref().unwrap_or("")})
        }
        Block::Redacted(_) => begun(block),
        Block::Call(call) => tool_use(call, call.arguments()),
    }
}

fn tool_use(call: &Call, input: Value) -> Value {
    let mut data = Map::from_iter([("type".to_owned(), json!("tool_use"))]);
    for (field, value) in [("id", &call.id), ("name", &call.name)] {
        if let Some(value) = value {
            data.insert(field.into(), json!(value));
        }
    }
    data.insert("input".into(), input);
    data.into()
}

fn message(sketch: &Sketch, content: Vec<Value>, finish: Option<String>, usage: Value) -> Value {
    json!({
        "model": sketch.model(), "id": sketch.id.as_deref().unwrap_or("msg_testkit"), "type": "message",
        "role": "assistant", "content": content, "stop_reason": finish, "stop_sequence": null, "usage": usage,
    })
}

/// Its count of what was read leaves out what came from the cache.
fn input(sketch: &Sketch) -> u64 {
    sketch.usage.as_ref().map_or(0, |usage| usage.input_tokens)
}

fn usage_of(sketch: &Sketch) -> Value {
    let usage = sketch.usage.clone().unwrap_or_default();
    json!({
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens.unwrap_or(0),
        "cache_read_input_tokens": usage.cached_input_tokens.unwrap_or(0),
        "output_tokens": usage.output_tokens,
    })
}

fn word(reason: FinishReason, raw: &str) -> String {
    match reason {
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
        FinishReason::Paused => "pause_turn",
        FinishReason::Other => raw,
    }
    .to_owned()
}
