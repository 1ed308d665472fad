//! Gemini: every recorded exchange gives what its `expected.json` says, however it is cut, and damaged streams give
//! events or a typed error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::LazyLock;

use atomr_agents_wire::{
    GeminiDecoder, GeminiEvent, GeminiEventKind as Kind, GeminiToolCalls, ProviderError, ToolCallEvent,
};
use common::mutate::{assert_sound, damaged};
use common::{Case, gemini};
use proptest::prelude::*;
use serde_json::{Value, json};

fn cases() -> Vec<Case> {
    common::recorded("gemini-generate-content", 32)
}

/// Some streams are one list, which is read as a whole.
fn is_event_stream(case: &Case) -> bool {
    case.expected.get("wire").is_some_and(|wire| wire["sse_events"].is_u64())
}

fn answer(case: &Case) -> Vec<GeminiEvent> {
    if is_event_stream(case) {
        let (out, error) = gemini(&[&case.body]);
        assert_eq!(error, None, "{}", case.name);
        return out;
    }
    let mut out = Vec::new();
    GeminiDecoder::new().body(std::str::from_utf8(&case.body).unwrap(), &mut out).unwrap();
    out
}

/// The parts of the answer as `expected.json` describes them: neighbouring texts joined, empty ones left out.
fn parts(events: &[GeminiEvent]) -> Vec<Value> {
    let mut parts: Vec<Value> = Vec::new();
    for GeminiEvent { candidate, kind } in events {
        assert_eq!(*candidate, 0);
        match kind {
            Kind::Text(text) => join(&mut parts, "text", text),
            Kind::Thought(text) => join(&mut parts, "thought", text),
            Kind::ToolCall { name, .. } => parts.push(json!({"type": "functionCall", "name": name})),
            Kind::ServerTool { name, part } => {
                let mut told = json!({"type": name});
                for (key, value) in part[name].as_object().unwrap() {
                    told[key] = value.clone();
                }
                parts.push(told);
            }
            _ => {}
        }
    }
    parts
}

fn join(parts: &mut Vec<Value>, kind: &str, more: &str) {
    match parts.last_mut().filter(|part| part["type"] == kind) {
        Some(part) => part["text"] = json!(format!("{}{more}", part["text"].as_str().unwrap())),
        None => parts.push(json!({"type": kind, "text": more})),
    }
}

fn check_parts(case: &Case, events: &[GeminiEvent]) {
    let wanted = case.expected["parts"].as_array().unwrap().iter().filter(|part| part["text"] != "");
    let got = parts(events);
    assert_eq!(got.len(), wanted.clone().count(), "{}: {got:?}", case.name);
    for (got, want) in got.iter().zip(wanted) {
        for (key, value) in want.as_object().unwrap() {
            assert_eq!(&got[key], value, "{}: {key}", case.name);
        }
    }
    let signatures = events.iter().filter(|event| match &event.kind {
        Kind::ThoughtSignature(_) | Kind::TextSignature(_) => true,
        Kind::ToolCall { signature, .. } => signature.is_some(),
        Kind::ServerTool { part, .. } => part.get("thoughtSignature").is_some(),
        _ => false,
    });
    let wanted = case.expected["thought_signatures"].as_u64().unwrap_or(0);
    assert_eq!(signatures.count() as u64, wanted, "{}: signatures", case.name);
}

fn check_answer(case: &Case, events: &[GeminiEvent]) {
    let (name, want) = (&case.name, &case.expected);
    let Some(Kind::Started { id, model }) = events.first().map(|event| &event.kind) else { panic!("{name}: no start") };
    assert_eq!(
        (id.as_str(), model.as_str()),
        (want["id"].as_str().unwrap(), want["model"].as_str().unwrap()),
        "{name}"
    );
    check_parts(case, events);
    let (mut calls, mut usage, mut finish, mut finish_message, mut feedback) =
        (vec![], Value::Null, Value::Null, None, Value::Null);
    let mut grounded = false;
    for event in events {
        match &event.kind {
            Kind::ToolCall { index, id, name, arguments, .. } => {
                assert_eq!(*index as usize, calls.len(), "in the order of appearance");
                let id = if id.is_empty() { Value::Null } else { json!(id) };
                let arguments: Value = serde_json::from_str(arguments).unwrap();
                calls.push(json!({"id": id, "name": name, "arguments": arguments}));
            }
            Kind::Usage(value) => assert!(std::mem::replace(&mut usage, value.clone()).is_null(), "{name}: one usage"),
            Kind::Finish { reason, message } => {
                assert!(finish.is_null(), "{name}: one finish");
                finish = reason.parse::<u64>().map_or_else(|_| json!(reason), |number| json!(number));
                finish_message = message.clone();
            }
            Kind::Blocked { reason, message } => {
                feedback = json!({"blockReason": reason, "blockReasonMessage": message});
            }
            Kind::Metadata { name, .. } => grounded |= *name == "groundingMetadata",
            Kind::Error(error) => panic!("{name}: {error}"),
            _ => {}
        }
    }
    assert_eq!(json!(calls), want["tool_calls"], "{name}: tool calls");
    assert_eq!(usage, want["usage"], "{name}: usage");
    assert_eq!(finish, want["finish_reason"], "{name}: finish");
    assert_eq!(finish_message.as_deref(), want["finish_message"].as_str(), "{name}: finish message");
    assert_eq!(feedback, want["prompt_feedback"], "{name}: prompt feedback");
    assert_eq!(grounded, want["chunks_with_grounding_metadata"].is_u64(), "{name}: grounding");
}

fn check_error_body(case: &Case) {
    let (name, want) = (&case.name, &case.expected);
    let error = ProviderError::from_body(&case.body);
    assert_eq!(error.message, want["error_message"].as_str().unwrap(), "{name}");
    assert_eq!(error.error_type.as_deref(), want["error_type"].as_str(), "{name}");
    assert_eq!(error.code.map(|code| code.to_string()), Some(want["error_code"].to_string()), "{name}");
    assert_eq!(error.raw, want["error"], "{name}");
}

#[test]
fn every_recording_gives_what_is_expected() {
    let (mut streams, mut bodies, mut errors) = (0, 0, 0);
    for case in cases() {
        if case.is_http_error() {
            check_error_body(&case);
            errors += 1;
        } else {
            check_answer(&case, &answer(&case));
            if is_event_stream(&case) {
                streams += 1;
            } else {
                bodies += 1;
            }
        }
    }
    assert_eq!((streams, bodies, errors), (17, 10, 5));
}

#[test]
fn the_reader_of_calls_alone_finds_the_same_calls() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| !case.is_http_error()) {
        let (mut calls, mut out) = (GeminiToolCalls::new(), Vec::new());
        if is_event_stream(case) {
            for event in common::sse(&[&case.body], 1 << 20).0 {
                calls.chunk(&event.unwrap().0, &mut out).unwrap();
            }
        } else {
            calls.chunk(std::str::from_utf8(&case.body).unwrap(), &mut out).unwrap();
        }
        let wanted: Vec<ToolCallEvent> = answer(case)
            .into_iter()
            .filter_map(|event| match event.kind {
                Kind::ToolCall { index, id, name, arguments, .. } => {
                    Some(ToolCallEvent::Finished { index, id, name, arguments })
                }
                _ => None,
            })
            .collect();
        seen += wanted.len();
        assert_eq!(out, wanted, "{}", case.name);
    }
    assert_eq!(seen, 12);
}

#[test]
fn byte_by_byte_and_cut_in_two_anywhere_gives_the_same() {
    let mut cuts = 0;
    for case in cases().iter().filter(|case| is_event_stream(case)) {
        let whole = gemini(&[&case.body]);
        let bytes: Vec<&[u8]> = case.body.chunks(1).collect();
        assert_eq!(gemini(&bytes), whole, "{}: byte by byte", case.name);
        if case.body.len() > 1_700 {
            continue; // decoding a whole body for every cut of it is quadratic
        }
        for cut in 0..=case.body.len() {
            assert_eq!(gemini(&[&case.body[..cut], &case.body[cut..]]), whole, "{}: cut at {cut}", case.name);
            cuts += 1;
        }
    }
    assert!(cuts > 6_000, "{cuts}");
}

#[test]
fn a_stream_that_breaks_off_has_no_finish() {
    for case in cases().iter().filter(|case| is_event_stream(case)) {
        let at = memchr::memmem::find(&case.body, b"\"finishReason\"").unwrap();
        for end in (0..at).step_by(37) {
            let (out, _) = gemini(&[&case.body[..end]]);
            assert!(!out.iter().any(|event| matches!(event.kind, Kind::Finish { .. })), "{} at {end}", case.name);
        }
    }
}

static BODIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    cases().into_iter().filter(is_event_stream).map(|case| case.body).filter(|body| body.len() < 9_000).collect()
});

/// Every name of a function call in the stream, found without the crate's own structs.
fn call_names(stream: &[u8]) -> Vec<String> {
    fn walk(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(call) = map.get("functionCall") {
                    let name = &call["name"];
                    names.push(name.as_str().map_or_else(|| name.to_string(), str::to_owned));
                }
                map.values().for_each(|value| walk(value, names));
            }
            Value::Array(list) => list.iter().for_each(|value| walk(value, names)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    for (data, ..) in common::sse(&[stream], 1 << 20).0.into_iter().flatten() {
        if let Ok(value) = serde_json::from_str(&data) {
            walk(&value, &mut names);
        }
    }
    names
}

fn check_calls(stream: &[u8], out: &[GeminiEvent]) {
    let names = call_names(stream);
    for event in out {
        if let Kind::ToolCall { name, arguments, .. } = &event.kind {
            let text = serde_json::to_string(name).unwrap();
            let in_bytes = memchr::memmem::find(stream, text.as_bytes()).is_some();
            assert!(names.contains(name) || in_bytes, "`{name}` was never sent");
            assert!(memchr::memmem::find(stream, arguments.as_bytes()).is_some() || arguments.is_empty());
        }
    }
}

fn is_finish(event: &GeminiEvent) -> bool {
    matches!(event.kind, Kind::Finish { .. })
}

#[test]
fn one_byte_damaged_anywhere_in_a_call_never_makes_another_call() {
    for case in cases().iter().filter(|case| case.name == "tools-parallel-stream") {
        for at in 0..case.body.len() {
            for byte in [b'"', b'{', b'}', b'[', b',', b':', b'\\', b'\n', b'0', 0xff, case.body[at] ^ 0x20] {
                let mut body = case.body.clone();
                body[at] = byte;
                check_calls(&body, &assert_sound(&body, at, gemini, is_finish));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_streams_give_events_or_an_error(
        body in damaged(&BODIES),
        cut in any::<prop::sample::Index>(),
    ) {
        check_calls(&body, &assert_sound(&body, cut.index(body.len() + 1), gemini, is_finish));
    }

    #[test]
    fn any_text_as_a_body(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = GeminiDecoder::new().body(&text, &mut Vec::new());
        let _ = GeminiToolCalls::new().chunk(&text, &mut Vec::new());
    }
}
