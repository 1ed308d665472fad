//! Gemini's `generateContent`.

use std::time::Duration;

use atomr_agents_core::FinishReason;
use serde_json::{Map, Value, json};

use super::Writer;
use super::frame::{Frame, Stage};
use super::sketch::{Block, Call, Sketch};

pub(super) struct Gemini;

impl Writer for Gemini {
    fn frames(&self, sketch: &Sketch) -> Vec<Frame> {
        let mut frames = Vec::new();
        for block in &sketch.blocks {
            let stage = if matches!(block, Block::Call(_)) { Stage::CallStart } else { Stage::Body };
            let chunk = |part| Frame::data(stage, &response(sketch, vec![part], None, false));
            frames.extend(parts(block, false).into_iter().map(chunk));
        }
        if sketch.finish.is_some() {
            let end = response(sketch, vec![json!({"text": ""})], finish(sketch), true);
            frames.push(Frame::data(Stage::Finish, &end));
        }
        frames
    }

    fn whole(&self, sketch: &Sketch) -> Value {
        let all = sketch.blocks.iter().flat_map(|block| parts(block, true)).collect();
        response(sketch, all, finish(sketch), true)
    }

    fn error(&self, status: u16, message: &str, wait: Option<Duration>) -> Value {
        let mut error = json!({"code": status, "message": message, "status": status_word(status)});
        if let Some(wait) = wait {
            let info = "type.googleapis.com/google.rpc.RetryInfo";
            error["details"] = json!([{"@type": info, "retryDelay": format!("{}s", wait.as_secs_f64())}]);
        }
        json!({"error": error})
    }

    fn failure(&self, message: &str) -> Vec<Frame> {
        vec![Frame::data(Stage::Body, &self.error(503, message, None))]
    }

    fn unknown(&self) -> Frame {
        Frame::data(Stage::Body, &json!({"news": {"a": [1, null]}, "responseId": "testkit"}))
    }

    fn stray(&self) -> Frame {
        let content = json!({"parts": [{"text": "stray"}], "role": "model"});
        Frame::data(Stage::Tail, &json!({"candidates": [{"content": content, "index": 0}]}))
    }
}

/// A block in its pieces, or in one.
fn parts(block: &Block, joined: bool) -> Vec<Value> {
    let each = |pieces: &[String], thought: bool| -> Vec<Value> {
        let pieces = if joined { vec![pieces.concat()] } else { pieces.to_vec() };
        let part = |text: String| if thought { json!({"text": text, "thought": true}) } else { json!({"text": text}) };
        pieces.into_iter().map(part).collect()
    };
    match block {
        Block::Text(pieces) | Block::Refusal(pieces) => each(pieces, false),
        Block::Thinking { pieces, signature } => {
            let proof = signature.iter().map(|proof| json!({"text": "", "thoughtSignature": proof}));
            each(pieces, true).into_iter().chain(proof).collect()
        }
        Block::Redacted(_) => Vec::new(),
        Block::Call(call) => vec![json!({"functionCall": function_call(call)})],
    }
}

/// Calls are written whole. Its models of today send no ids, and neither does this.
fn function_call(call: &Call) -> Value {
    let mut data = Map::new();
    if let Some(name) = &call.name {
        data.insert("name".into(), json!(name));
    }
    data.insert("args".into(), call.arguments());
    data.into()
}

fn response(sketch: &Sketch, parts: Vec<Value>, finish: Option<String>, with_counts: bool) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    candidate["index"] = json!(0);
    let mut response = json!({"candidates": [candidate]});
    if let Some(usage) = &sketch.usage {
        let thoughts = usage.reasoning_tokens.unwrap_or(0);
        response["usageMetadata"] = json!({"promptTokenCount": usage.input_tokens});
        if with_counts {
            response["usageMetadata"] = json!({
                "promptTokenCount": usage.input_tokens, "candidatesTokenCount": usage.output_tokens,
                "totalTokenCount": usage.total_tokens.unwrap_or(usage.input_tokens + usage.output_tokens + thoughts),
                "cachedContentTokenCount": usage.cached_input_tokens.unwrap_or(0), "thoughtsTokenCount": thoughts,
            });
        }
    }
    response["modelVersion"] = sketch.model().into();
    response["responseId"] = sketch.id.as_deref().unwrap_or("testkit").into();
    response
}

/// The end of an answer that asks for tools is called STOP, too.
fn finish(sketch: &Sketch) -> Option<String> {
    sketch.finish.as_ref().map(|(reason, raw)| match reason {
        FinishReason::Stop | FinishReason::ToolCalls => "STOP".to_owned(),
        FinishReason::Length => "MAX_TOKENS".to_owned(),
        FinishReason::ContentFilter => "SAFETY".to_owned(),
        FinishReason::Paused | FinishReason::Other => raw.clone(),
    })
}

fn status_word(status: u16) -> &'static str {
    match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    }
}
