//! OpenAI's Responses.

use std::time::Duration;

use atomr_agents_core::FinishReason;
use serde_json::{Map, Value, json};

use super::Writer;
use super::chat::openai_error;
use super::frame::{Frame, Stage};
use super::sketch::{Block, Call, Sketch};

pub(super) struct Responses;

impl Writer for Responses {
    fn frames(&self, sketch: &Sketch) -> Vec<Frame> {
        let mut out = Numbered::default();
        for kind in ["response.created", "response.in_progress"] {
            out.push(Stage::Body, kind, json!({"response": response(sketch, "in_progress", Vec::new())}));
        }
        let is_call = |block: &Block| matches!(block, Block::Call(_));
        let first_call = sketch.blocks.iter().position(is_call).unwrap_or_default() as u64;
        for (next, block) in sketch.blocks.iter().enumerate() {
            let number = match block {
                Block::Call(call) => call.place.number(next as u64, first_call),
                _ => Some(next as u64),
            };
            out.block(next, number, block);
        }
        if sketch.finish.is_some() {
            let output = sketch.blocks.iter().enumerate().map(|(at, block)| item(at, block, "completed")).collect();
            let status = status(sketch);
            let done = json!({"response": response(sketch, status, output)});
            out.push(Stage::Finish, &format!("response.{status}"), done);
        }
        out.frames
    }

    fn whole(&self, sketch: &Sketch) -> Value {
        let output = sketch.blocks.iter().enumerate().map(|(at, block)| item(at, block, "completed")).collect();
        response(sketch, status(sketch), output)
    }

    fn error(&self, status: u16, message: &str, _wait: Option<Duration>) -> Value {
        openai_error(status, message)
    }

    fn failure(&self, message: &str) -> Vec<Frame> {
        let error = json!({"type": "server_error", "code": "server_error", "message": message, "param": null});
        let failed = Sketch::default();
        let mut response = response(&failed, "failed", Vec::new());
        response["error"] = json!({"code": "server_error", "message": message});
        let mut out = Numbered { next: 1000, ..Numbered::default() };
        out.push(Stage::Body, "error", json!({"error": error}));
        out.push(Stage::Body, "response.failed", json!({"response": response}));
        out.frames
    }

    fn unknown(&self) -> Frame {
        Frame::typed(Stage::Body, &json!({"type": "response.news", "news": {"a": [1, null]}, "sequence_number": 999}))
    }

    fn stray(&self) -> Frame {
        let data = json!({
            "type": "response.output_text.delta", "delta": "stray", "item_id": "msg_0", "output_index": 0,
            "content_index": 0, "sequence_number": 1001,
        });
        Frame::typed(Stage::Tail, &data)
    }
}

/// Events with their running number.
#[derive(Default)]
struct Numbered {
    next: u64,
    frames: Vec<Frame>,
}

impl Numbered {
    fn push(&mut self, stage: Stage, kind: &str, fields: Value) {
        let mut data = Map::from_iter([("type".to_owned(), json!(kind))]);
        if let Value::Object(fields) = fields {
            data.extend(fields);
        }
        data.insert("sequence_number".into(), json!(self.next));
        self.next += 1;
        self.frames.push(Frame::typed(stage, &data.into()));
    }

    /// What an event about an item says: which one, and these fields.
    fn about(&mut self, kind: &str, at: usize, number: Option<u64>, block: &Block, fields: Value) {
        let mut data = Map::from_iter([("item_id".to_owned(), json!(item_id(at, block)))]);
        if let Some(number) = number {
            data.insert("output_index".into(), json!(number));
        }
        if let Value::Object(fields) = fields {
            data.extend(fields);
        }
        self.push(Stage::Body, kind, data.into());
    }

    fn item(&mut self, stage: Stage, kind: &str, number: Option<u64>, item: Value) {
        let mut data = Map::from_iter([("item".to_owned(), item)]);
        if let Some(number) = number {
            data.insert("output_index".into(), json!(number));
        }
        self.push(stage, kind, data.into());
    }

    fn block(&mut self, at: usize, number: Option<u64>, block: &Block) {
        let stage = if matches!(block, Block::Call(_)) { Stage::CallStart } else { Stage::Body };
        self.item(stage, "response.output_item.added", number, begun(at, block));
        match block {
            Block::Text(pieces) => {
                let part = json!({"type": "output_text", "annotations": [], "text": ""});
                self.spoken(at, number, block, "output_text", part, pieces);
            }
            Block::Refusal(pieces) => {
                self.spoken(at, number, block, "refusal", json!({"type": "refusal", "refusal": ""}), pieces);
            }
            Block::Thinking { pieces, .. } => {
                let part = json!({"summary_index": 0, "part": {"type": "summary_text", "text": ""}});
                self.about("response.reasoning_summary_part.added", at, number, block, part);
                for piece in pieces {
                    let delta = json!({"summary_index": 0, "delta": piece});
                    self.about("response.reasoning_summary_text.delta", at, number, block, delta);
                }
                let done = json!({"summary_index": 0, "text": pieces.concat()});
                self.about("response.reasoning_summary_text.done", at, number, block, done);
            }
            Block::Redacted(_) => {}
            Block::Call(call) => {
                for piece in &call.pieces {
                    let delta = json!({"delta": piece});
                    self.about("response.function_call_arguments.delta", at, number, block, delta);
                }
                let done = json!({"arguments": call.raw()});
                self.about("response.function_call_arguments.done", at, number, block, done);
            }
        }
        self.item(Stage::Body, "response.output_item.done", number, item(at, block, "completed"));
    }

    /// Text or a refusal, which differ in their names.
    fn spoken(&mut self, at: usize, number: Option<u64>, block: &Block, kind: &str, part: Value, pieces: &[String]) {
        let field = if kind == "refusal" { "refusal" } else { "text" };
        let added = json!({"content_index": 0, "part": part});
        self.about("response.content_part.added", at, number, block, added);
        for piece in pieces {
            let delta = json!({"content_index": 0, "delta": piece});
            self.about(&format!("response.{kind}.delta"), at, number, block, delta);
        }
        let done = json!({"content_index": 0, field: pieces.concat()});
        self.about(&format!("response.{kind}.done"), at, number, block, done);
        let whole = json!({"content_index": 0, "part": spoken_part(kind, pieces)});
        self.about("response.content_part.done", at, number, block, whole);
    }
}

fn spoken_part(kind: &str, pieces: &[String]) -> Value {
    match kind {
        "refusal" => json!({"type": kind, "refusal": pieces.concat()}),
        _ => json!({"type": kind, "annotations": [], "text": pieces.concat()}),
    }
}

fn item_id(at: usize, block: &Block) -> String {
    let kind = match block {
        Block::Text(_) | Block::Refusal(_) => "msg",
        Block::Thinking { .. } | Block::Redacted(_) => "rs",
        Block::Call(_) => "fc",
    };
    format!("{kind}_{at}")
}

/// An item at its beginning.
fn begun(at: usize, block: &Block) -> Value {
    let empty = match block {
        Block::Text(_) => Block::Text(Vec::new()),
        Block::Refusal(_) => Block::Refusal(Vec::new()),
        Block::Thinking { signature, .. } => Block::Thinking { pieces: Vec::new(), signature: signature.clone() },
        Block::Redacted(proof) => Block::Redacted(proof.clone()),
        Block::Call(call) => Block::Call(Call { pieces: Vec::new(), ..call.clone() }),
    };
    let mut item = item(at, &empty, "in_progress");
    if let Some(content) = item.get_mut("content") {
        *content = json!([]);
    }
    item
}

fn item(at: usize, block: &Block, status: &str) -> Value {
    let id = item_id(at, block);
    let message = |part| json!({"id": id, "type": "message", "status": status, "content": [part], "role": "assistant"});
    match block {
        Block::Text(pieces) => message(spoken_part("output_text", pieces)),
        Block::Refusal(pieces) => message(spoken_part("refusal", pieces)),
        Block::Thinking { pieces, signature } => {
            let text = pieces.concat();
            let summary = if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
            json!({"id": id, "type": "reasoning", "summary": summary, "encrypted_content": signature})
        }
        Block::Redacted(proof) => json!({"id": id, "type": "reasoning", "summary": [], "encrypted_content": proof}),
        Block::Call(call) => {
            let mut item = Map::new();
            item.insert("id".into(), json!(id));
            item.insert("type".into(), json!("function_call"));
            item.insert("status".into(), json!(status));
            item.insert("arguments".into(), json!(call.raw()));
            for (field, value) in [("call_id", &call.id), ("name", &call.name)] {
                if let Some(value) = value {
                    item.insert(field.into(), json!(value));
                }
            }
            item.into()
        }
    }
}

/// The word for the end; asking for tools does not change it.
fn status(sketch: &Sketch) -> &'static str {
    match sketch.finish {
        Some((FinishReason::Length | FinishReason::ContentFilter, _)) => "incomplete",
        _ => "completed",
    }
}

fn response(sketch: &Sketch, status: &str, output: Vec<Value>) -> Value {
    let why = match sketch.finish {
        Some((FinishReason::Length, _)) if status == "incomplete" => json!({"reason": "max_output_tokens"}),
        Some((FinishReason::ContentFilter, _)) if status == "incomplete" => json!({"reason": "content_filter"}),
        _ => Value::Null,
    };
    let usage = sketch.usage.as_ref().filter(|_| status != "in_progress").map(|usage| {
        json!({
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_input_tokens.unwrap_or(0)},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens.unwrap_or(0)},
            "total_tokens": usage.total_tokens.unwrap_or(usage.input_tokens + usage.output_tokens),
        })
    });
    json!({
        "id": sketch.id.as_deref().unwrap_or("resp_testkit"), "object": "response", "created_at": 1_700_000_000,
        "status": status, "error": null, "incomplete_details": why, "model": sketch.model(), "output": output,
        "parallel_tool_calls": true, "usage": usage,
    })
}
