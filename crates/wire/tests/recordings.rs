//! Every recorded exchange gives what its `expected.json` says, at the decoders' level.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use atomr_agents_wire::{ChatDecoder, ChatEvent, ChatEventKind, ErrorCode, ProviderError};
use common::{Case, cases, checked};
use serde_json::{Value, json};

/// One choice, folded from its events.
#[derive(Default)]
struct Folded {
    text: String,
    reasoning: String,
    refusal: Option<String>,
    started: Vec<(u32, String, String)>,
    streamed: Vec<String>,
    calls: Vec<(String, String, String)>,
    finish: Option<(String, Option<String>)>,
    reasoning_details: usize,
    logprob_tokens: Vec<String>,
}

fn fold(events: &[ChatEvent], choice: u32) -> Folded {
    let mut out = Folded::default();
    for event in events.iter().filter(|event| event.choice == choice) {
        match event.kind.clone() {
            ChatEventKind::Text(text) => out.text.push_str(&text),
            ChatEventKind::Reasoning(text) => out.reasoning.push_str(&text),
            ChatEventKind::Refusal(text) => out.refusal.get_or_insert_default().push_str(&text),
            ChatEventKind::ReasoningDetails(_) => out.reasoning_details += 1,
            ChatEventKind::Logprobs(value) => {
                let tokens = value["content"].as_array().into_iter().flatten();
                out.logprob_tokens.extend(tokens.map(|token| token["token"].as_str().unwrap().to_owned()));
            }
            ChatEventKind::ToolCallStarted { index, id, name } => {
                assert_eq!(index as usize, out.started.len(), "in the order of appearance");
                out.started.push((index, id, name));
                out.streamed.push(String::new());
            }
            ChatEventKind::ToolCallDelta { index, arguments } => {
                assert!(!arguments.is_empty());
                out.streamed[index as usize].push_str(&arguments);
            }
            ChatEventKind::ToolCallFinished { index, id, name, arguments } => {
                assert!(out.started.contains(&(index, id.clone(), name.clone())), "finished as announced");
                assert_eq!(out.streamed[index as usize], arguments, "the deltas joined");
                out.calls.push((id, name, arguments));
            }
            ChatEventKind::Finish { reason, native } => {
                assert!(out.finish.replace((reason, native)).is_none(), "one finish");
            }
            _ => {}
        }
    }
    out
}

fn check_choice(name: &str, got: &Folded, want: &Value) {
    let string = |key: &str| want[key].as_str().unwrap_or_default();
    assert_eq!(got.text, string("text"), "{name}: text");
    assert_eq!(got.reasoning, string("reasoning"), "{name}: reasoning");
    assert_eq!(got.refusal.as_deref(), want["refusal"].as_str(), "{name}: refusal");
    let reason = got.finish.as_ref().map(|finish| finish.0.as_str());
    assert_eq!(reason, want["finish_reason"].as_str(), "{name}: finish_reason");
    let native = got.finish.as_ref().and_then(|finish| finish.1.as_deref());
    assert_eq!(native, want["native_finish_reason"].as_str(), "{name}: native_finish_reason");

    let mut calls: Vec<(&str, &str, &str)> = Vec::new();
    for call in want["tool_calls"].as_array().unwrap() {
        let field = |key: &str| call[key].as_str().unwrap();
        calls.push((field("id"), field("name"), field("arguments_raw")));
        let parsed = serde_json::from_str::<Value>(field("arguments_raw")).ok();
        assert_eq!(parsed.is_some(), call["arguments_valid_json"].as_bool().unwrap());
    }
    if let Some(call) = want.get("function_call") {
        calls.push(("", call["name"].as_str().unwrap(), call["arguments_raw"].as_str().unwrap()));
    }
    let got_calls: Vec<_> = got.calls.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(got_calls, calls, "{name}: tool calls");
}

fn check_answer(case: &Case, events: &[ChatEvent]) {
    let (name, want) = (case.name.as_str(), &case.expected);
    let first = fold(events, 0);
    check_choice(name, &first, want);
    let highest = events.iter().map(|event| event.choice).max().unwrap();
    if let Some(choices) = want["choices"].as_array() {
        assert_eq!(highest as usize + 1, choices.len(), "{name}: choices");
        for (index, choice) in choices.iter().enumerate() {
            check_choice(name, &fold(events, index as u32), choice);
        }
    } else {
        assert_eq!(highest, 0, "{name}: one choice");
    }

    let Some(ChatEventKind::Started { id, model }) = events.first().map(|event| event.kind.clone()) else {
        panic!("{name}: does not begin with Started");
    };
    assert_eq!(
        (id.as_str(), model.as_str()),
        (want["id"].as_str().unwrap_or(""), want["model"].as_str().unwrap_or("")),
        "{name}"
    );

    let mut usage = Value::Null;
    let mut error = None;
    for event in events {
        match &event.kind {
            ChatEventKind::Usage(value) => {
                assert!(usage.is_null(), "{name}: one usage");
                usage = value.clone();
            }
            ChatEventKind::Error(value) => {
                assert!(error.is_none(), "{name}: one error");
                error = Some(value.raw.clone());
            }
            _ => {}
        }
    }
    assert_eq!(usage, want["usage"], "{name}: usage");
    assert_eq!(error.unwrap_or_default(), want["error"], "{name}: error");
    if let Some(count) = want["reasoning_details_chunks"].as_u64() {
        assert_eq!(first.reasoning_details as u64, count, "{name}: reasoning_details");
    }
    if let Some(count) = want["logprob_tokens"].as_u64() {
        assert_eq!(first.logprob_tokens.len() as u64, count, "{name}: logprobs");
        assert_eq!(json!(first.logprob_tokens.concat()), want["logprob_text"], "{name}: logprobs");
    }
}

fn check_stream(case: &Case) {
    let (sse_events, stats) = common::sse(&[&case.body], 1 << 20);
    let (name, wire) = (&case.name, &case.expected["wire"]);
    let count = |key: &str| wire[key].as_u64().unwrap();
    assert_eq!(stats.events, count("sse_events"), "{name}: events");
    assert_eq!(sse_events.len() as u64, stats.events, "{name}: events");
    assert_eq!(stats.comments, count("comments"), "{name}: comments");
    assert_eq!(stats.multi_line_events, count("multi_line_data_events"), "{name}: multi-line events");
    assert_eq!(stats.unterminated_tail, wire["unterminated_tail"].as_bool().unwrap(), "{name}: tail");

    let (mut decoder, mut out) = (ChatDecoder::new(), Vec::new());
    for event in sse_events {
        decoder.chunk(&event.unwrap().0, &mut out).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    decoder.done(&mut out).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(decoder.saw_done_marker(), wire["done_marker"].as_bool().unwrap(), "{name}: [DONE]");
    check_answer(case, &out);
    let before = out.len();
    decoder.done(&mut out).unwrap();
    assert_eq!(out.len(), before, "done once");
}

fn check_error_body(case: &Case) {
    let (name, want) = (&case.name, &case.expected);
    let error = ProviderError::from_body(&case.body);
    assert_eq!(error.message, want["error_message"].as_str().unwrap(), "{name}");
    assert_eq!(error.error_type.as_deref(), want["error_type"].as_str(), "{name}");
    let code = match &error.code {
        None => Value::Null,
        Some(ErrorCode::Number(number)) => json!(number),
        Some(ErrorCode::Text(text)) => json!(text),
    };
    assert_eq!(code, want["error_code"], "{name}");
    assert_eq!(error.raw, want["error"], "{name}");
    let upstream = &want["error"]["metadata"]["raw"];
    assert_eq!(error.upstream.as_deref(), upstream.as_str(), "{name}");
}

#[test]
fn every_recording_gives_what_is_expected() {
    let check_body = |case: &Case, body: &str| {
        let mut out = Vec::new();
        ChatDecoder::new().body(body, &mut out).unwrap();
        check_answer(case, &out);
    };
    assert_eq!(checked(cases(), check_stream, check_body, check_error_body), (39, 9, 17));
}
