//! Every recorded Anthropic message gives what its `expected.json` says, at the decoder's level, however it is cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use atomr_agents_wire::{AnthropicDecoder, AnthropicEvent, AnthropicToolCalls, ProviderError, ToolCallEvent};
use common::{Case, anthropic, anthropic_cases, checked, each_event};
use serde_json::{Value, json};

/// A message, folded from its events.
#[derive(Default)]
struct Folded {
    started: Option<(String, String)>,
    text: String,
    thinking: String,
    blocks: Vec<Value>,
    streamed: Vec<(String, String, String)>,
    calls: Vec<(String, String, String)>,
    usage: Value,
    container: Value,
    finish: Option<(String, Option<String>, Option<Value>)>,
    error: Value,
}

/// Puts a piece of a text to the text block before it, if that is one.
fn grow(blocks: &mut Vec<Value>, kind: &str, key: &str, more: &str) {
    if blocks.last().is_none_or(|last| last["type"] != kind || !last["closed"].is_null()) {
        blocks.push(json!({"type": kind, key: ""}));
    }
    let last = blocks.last_mut().unwrap();
    last[key] = json!(last[key].as_str().unwrap().to_owned() + more);
}

fn fold(events: Vec<AnthropicEvent>) -> Folded {
    let mut out = Folded::default();
    for event in events {
        assert!(out.finish.is_none(), "nothing follows the end");
        match event {
            AnthropicEvent::Started { id, model } => assert!(out.started.replace((id, model)).is_none()),
            AnthropicEvent::Text(text) => {
                assert!(!text.is_empty());
                grow(&mut out.blocks, "text", "text", &text);
                out.text.push_str(&text);
            }
            AnthropicEvent::Citation(_) => {
                let last = out.blocks.last_mut().unwrap();
                last["citations"] = json!(last["citations"].as_u64().unwrap_or(0) + 1);
                last["closed"] = json!(true);
            }
            AnthropicEvent::Thinking(text) => {
                assert!(!text.is_empty());
                grow(&mut out.blocks, "thinking", "thinking", &text);
                out.thinking.push_str(&text);
            }
            AnthropicEvent::Signature(signature) => {
                grow(&mut out.blocks, "thinking", "thinking", "");
                out.blocks.last_mut().unwrap()["signature_len"] = json!(signature.len());
                out.blocks.last_mut().unwrap()["closed"] = json!(true);
            }
            AnthropicEvent::RedactedThinking(data) => {
                out.blocks.push(json!({"type": "redacted_thinking", "data_len": data.len()}));
            }
            AnthropicEvent::ToolCallStarted { index, id, name } => {
                assert_eq!(index as usize, out.streamed.len(), "in the order of appearance");
                out.blocks.push(json!({"type": "tool_use", "id": id, "name": name}));
                out.streamed.push((id, name, String::new()));
            }
            AnthropicEvent::ToolCallDelta { index, arguments } => {
                assert!(!arguments.is_empty());
                out.streamed[index as usize].2.push_str(&arguments);
            }
            AnthropicEvent::ToolCallFinished { index, id, name, arguments, .. } => {
                out.calls.push((id, name, arguments));
                assert_eq!(out.calls.last(), out.streamed.get(index as usize), "finished as announced");
            }
            AnthropicEvent::Block(block) => out.blocks.push(described(&block)),
            AnthropicEvent::Container(container) => out.container = container,
            AnthropicEvent::Usage(usage) => out.usage = usage,
            AnthropicEvent::Finish { reason, stop_sequence, details } => {
                out.finish = Some((reason, stop_sequence, details));
            }
            AnthropicEvent::Error { error, .. } => out.error = error.raw,
            other => panic!("{other:?}"),
        }
    }
    out
}

/// A block as `expected.json` describes it.
fn described(block: &Value) -> Value {
    let mut out = json!({"type": block["type"]});
    for key in ["id", "name", "tool_use_id", "server_name"] {
        if !block[key].is_null() {
            out[key] = block[key].clone();
        }
    }
    if block["input"].as_object().is_some_and(|input| !input.is_empty()) {
        out["input"] = block["input"].clone();
    }
    match &block["content"] {
        Value::Array(items) => out["content_items"] = json!(items.len()),
        Value::Object(content) => {
            out["content_type"] = content["type"].clone();
            if let Some(code) = content.get("error_code") {
                out["error_code"] = code.clone();
            }
        }
        _ => {}
    }
    out
}

fn check(case: &Case, events: Vec<AnthropicEvent>) {
    let (name, want) = (case.name.as_str(), &case.expected);
    let got = fold(events);
    let started = got.started.unwrap();
    assert_eq!(
        (started.0.as_str(), started.1.as_str()),
        (want["id"].as_str().unwrap_or_default(), want["model"].as_str().unwrap_or_default()),
        "{name}"
    );
    assert_eq!(want["text"], got.text, "{name}: text");
    assert_eq!(want["reasoning"], got.thinking, "{name}: reasoning");
    assert_eq!(want["usage"], got.usage, "{name}: usage");
    let (reason, sequence, details) = got.finish.map_or((None, None, None), |(a, b, c)| (Some(a), b, c));
    assert_eq!(want["finish_reason"], json!(reason), "{name}: finish_reason");
    assert_eq!(want["stop_sequence"], json!(sequence), "{name}: stop_sequence");
    assert_eq!(want["stop_details"], details.unwrap_or_default(), "{name}: stop_details");
    assert_eq!(want["container_id"], got.container["id"], "{name}: container");
    assert_eq!(want["error"], got.error, "{name}: error");

    let wanted = want["tool_calls"].as_array().unwrap();
    assert_eq!(got.calls.len(), wanted.len(), "{name}: calls");
    for ((id, tool, arguments), call) in got.calls.iter().zip(wanted) {
        assert_eq!((&call["id"], &call["name"]), (&json!(id), &json!(tool)), "{name}");
        let raw = if arguments.is_empty() { "{}" } else { arguments };
        assert_eq!(serde_json::from_str::<Value>(raw).unwrap_or_default(), call["arguments"], "{name}: arguments");
        // An input that comes whole at the block's beginning is not among the joined deltas.
        if let Some(joined) = call["arguments_raw"].as_str().filter(|raw| !raw.is_empty()) {
            assert_eq!(arguments, joined, "{name}: arguments");
        }
    }
    check_blocks(name, got.blocks, want["content_blocks"].as_array().unwrap());
}

/// The blocks in order. A text block without a citation runs into the next one, as texts do in a transcript.
fn check_blocks(name: &str, mut got: Vec<Value>, want: &[Value]) {
    let mut joined: Vec<Value> = Vec::new();
    for block in want {
        match joined.last_mut() {
            Some(last) if last["type"] == "text" && last["citations"].is_null() && block["type"] == "text" => {
                let text = last["text"].as_str().unwrap().to_owned() + block["text"].as_str().unwrap();
                *last = block.clone();
                last["text"] = json!(text);
            }
            _ => joined.push(block.clone()),
        }
    }
    for block in &mut got {
        block.as_object_mut().unwrap().remove("closed");
    }
    assert_eq!(got, joined, "{name}: blocks");
}

#[test]
fn every_recording_gives_what_is_expected() {
    let check_stream = |case: &Case| {
        let (events, error) = anthropic(&[&case.body]);
        assert_eq!(error, None, "{}", case.name);
        check(case, events);
    };
    let check_body = |case: &Case, body: &str| {
        let mut out = Vec::new();
        AnthropicDecoder::new().body(body, &mut out).unwrap();
        check(case, out);
    };
    let check_error_body = |case: &Case| {
        let error = ProviderError::from_body(&case.body);
        assert_eq!(case.expected["error_message"], error.message, "{}", case.name);
        assert_eq!(case.expected["error_type"].as_str(), error.error_type.as_deref(), "{}", case.name);
        assert_eq!(case.expected["error"], error.raw, "{}", case.name);
    };
    assert_eq!(checked(anthropic_cases(), check_stream, check_body, check_error_body), (31, 3, 7));
}

#[test]
fn the_calls_alone_are_the_same_calls() {
    let mut seen = 0;
    for case in anthropic_cases().iter().filter(|case| !case.is_http_error()) {
        let (mut calls, mut decoder, mut out) = (AnthropicToolCalls::new(), AnthropicDecoder::new(), Vec::new());
        let mut take = |data: &str| {
            calls.feed(data).unwrap();
            decoder.chunk(data, &mut out)
        };
        if case.is_stream() {
            each_event(&[&case.body], |event| take(event.data)).unwrap();
        } else {
            take(std::str::from_utf8(&case.body).unwrap()).unwrap();
        }
        decoder.done(&mut out).unwrap();
        let whole: Vec<ToolCallEvent> = out
            .into_iter()
            .filter_map(|event| match event {
                AnthropicEvent::ToolCallFinished { index, id, name, arguments, .. } => {
                    Some(ToolCallEvent::Finished { index, id, name, arguments })
                }
                _ => None,
            })
            .collect();
        seen += whole.len();
        assert_eq!(calls.finish(), whole, "{}", case.name);
    }
    assert_eq!(seen, 15);
}

#[test]
fn byte_by_byte_and_in_two_pieces_everything_is_the_same() {
    let mut cuts = 0;
    for Case { name, body, .. } in anthropic_cases().into_iter().filter(|case| case.body.len() < 30_000) {
        let whole = anthropic(&[&body]);
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(anthropic(&bytes), whole, "{name}");
        for cut in (0..=body.len()).step_by(if body.len() < 3_000 { 1 } else { 13 }) {
            assert_eq!(anthropic(&[&body[..cut], &body[cut..]]), whole, "{name}, cut at {cut}");
            cuts += 1;
        }
    }
    assert!(cuts > 30_000, "{cuts}");
}

#[test]
fn a_stream_that_ends_anywhere_is_not_finished_and_tells_only_whole_calls() {
    for name in ["tools-parallel-stream", "thinking-tool-stream", "programmatic-tool-stream", "refusal-tool-stream"] {
        let case = anthropic_cases().into_iter().find(|case| case.name == name).unwrap();
        let whole = anthropic(&[&case.body]).0;
        let end = memchr::memmem::find(&case.body, b"{\"type\":\"message_stop\"").unwrap();
        for cut in 0..end {
            let (out, _) = anthropic(&[&case.body[..cut]]);
            assert!(!out.iter().any(|event| matches!(event, AnthropicEvent::Finish { .. })), "{name}, cut at {cut}");
            assert!(whole.starts_with(&out), "{name}, cut at {cut}");
        }
    }
}
