//! Every recorded exchange gives what its `expected.json` says, at the decoder's level.

use std::collections::BTreeMap;

use atomr_agents_wire::{
    ProviderError, ResponsesDecoder, ResponsesEvent, ResponsesEventKind as Kind, ResponsesToolCalls, ToolCallEvent,
};
use serde_json::{Value, json};

use super::common::{Case, checked, sse};
use super::{cases, decode, streams};

/// A response, folded from its events.
#[derive(Default)]
struct Folded {
    head: Option<(String, String)>,
    text: String,
    reasoning: String,
    refusal: Option<String>,
    streamed: Vec<(String, String, bool, String)>,
    calls: Vec<Value>,
    /// The type of each item, by the provider's number.
    items: BTreeMap<u32, String>,
    phases: Vec<String>,
    encrypted: usize,
    annotations: usize,
    logprobs: String,
    usage: Value,
    finish: Option<String>,
    errors: Vec<ProviderError>,
}

fn fold(events: &[ResponsesEvent]) -> Folded {
    let mut out = Folded::default();
    for ResponsesEvent { item, kind } in events.iter().cloned() {
        assert!(out.finish.is_none(), "the finish is last");
        match kind {
            Kind::Started { id, model } => assert!(out.head.replace((id, model)).is_none(), "started once"),
            Kind::MessageStarted { phase } => {
                out.items.insert(item, "message".into());
                out.phases.extend(phase);
            }
            Kind::Text(text) => out.text.push_str(&text),
            Kind::Reasoning(text) => out.reasoning.push_str(&text),
            Kind::Refusal(text) => out.refusal.get_or_insert_default().push_str(&text),
            Kind::Annotation(_) => out.annotations += 1,
            Kind::Logprobs(value) => {
                let tokens = value.as_array().unwrap().iter().map(|token| token["token"].as_str().unwrap());
                out.logprobs.extend(tokens);
            }
            Kind::ReasoningDone(value) => {
                out.items.insert(item, "reasoning".into());
                out.encrypted += usize::from(value["encrypted_content"].is_string());
            }
            Kind::ItemDone { item_type, item: value } => {
                assert_eq!(value["type"], item_type);
                out.items.insert(item, item_type);
            }
            Kind::ToolCallStarted { index, id, name, custom } => {
                assert_eq!(index as usize, out.streamed.len(), "in the order of appearance");
                out.items.insert(item, if custom { "custom_tool_call" } else { "function_call" }.into());
                out.streamed.push((id, name, custom, String::new()));
            }
            Kind::ToolCallDelta { index, arguments } => {
                assert!(!arguments.is_empty());
                out.streamed[index as usize].3.push_str(&arguments);
            }
            Kind::ToolCallFinished { index, id, name, arguments, custom, .. } => {
                let announced = (id.clone(), name.clone(), custom, arguments.clone());
                assert_eq!(out.streamed[index as usize], announced, "finished as announced, the deltas joined");
                out.calls.push(json!({"id": id, "name": name, "custom": custom, "arguments_raw": arguments}));
            }
            Kind::Usage(value) => assert!(std::mem::replace(&mut out.usage, value).is_null(), "one usage"),
            Kind::Finish { status, reason: Some(reason) } => out.finish = Some(format!("{status}:{reason}")),
            Kind::Finish { status, reason: None } => out.finish = Some(status),
            Kind::Error(error) => out.errors.push(*error),
            _ => {}
        }
    }
    out
}

fn wanted_calls(expected: &Value) -> Vec<Value> {
    let calls = expected["tool_calls"].as_array().unwrap().iter();
    calls
        .map(|call| {
            let custom = call["kind"] == "custom";
            json!({"id": call["id"], "name": call["name"], "custom": custom, "arguments_raw": call["arguments_raw"]})
        })
        .collect()
}

fn check(case: &Case, events: &[ResponsesEvent]) {
    let (name, want) = (case.name.as_str(), &case.expected);
    let got = fold(events);
    let string = |key: &str| want[key].as_str().unwrap_or_default();
    assert_eq!(got.head, Some((string("id").into(), string("model").into())), "{name}");
    assert_eq!(got.text, string("text"), "{name}: text");
    assert_eq!(got.reasoning, string("reasoning"), "{name}: reasoning");
    assert_eq!(got.refusal.as_deref(), want["refusal"].as_str(), "{name}: refusal");
    assert_eq!(got.usage, want["usage"], "{name}: usage");
    assert_eq!(got.logprobs.is_empty(), want["logprob_tokens"].is_null(), "{name}: log probabilities");
    let items = want["output_items"].as_array().unwrap();
    let types: Vec<&str> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(got.items.values().map(String::as_str).collect::<Vec<_>>(), types, "{name}: items");
    let phases: Vec<&str> = items.iter().filter_map(|item| item["phase"].as_str()).collect();
    assert_eq!(got.phases, phases, "{name}: phases");
    assert_eq!(got.encrypted, items.iter().filter(|item| item["encrypted"] == true).count(), "{name}");
    let annotations: u64 = items.iter().filter_map(|item| item["annotations"].as_u64()).sum();
    assert_eq!(got.annotations as u64, annotations, "{name}: annotations");
    match want["outcome"].as_str().unwrap() {
        "ok" => {
            assert_eq!(got.calls, wanted_calls(want), "{name}: tool calls");
            assert_eq!(got.finish.as_deref(), want["finish_reason"].as_str(), "{name}: finish_reason");
            assert!(got.errors.is_empty(), "{name}");
        }
        "stream_error" => {
            assert_eq!(got.errors.last().unwrap().raw, want["error"], "{name}: the error, told twice");
            assert_eq!(got.errors[0].message, got.errors[1].message);
            assert!(got.finish.is_none(), "{name}");
        }
        "incomplete_stream" => {
            let had: Vec<Value> = got
                .streamed
                .iter()
                .map(
                    |(id, name, custom, text)| json!({"id": id, "name": name, "custom": custom, "arguments_raw": text}),
                )
                .collect();
            assert_eq!(had, wanted_calls(want), "{name}: what had arrived of the calls");
            assert!(got.calls.is_empty() && got.finish.is_none(), "{name}: nothing is finished");
        }
        outcome => panic!("{name}: {outcome}"),
    }
}

fn check_stream(case: &Case) {
    let (_, stats) = sse(&[&case.body], 1 << 20);
    let (name, wire) = (&case.name, &case.expected["wire"]);
    let count = |key: &str| wire[key].as_u64().unwrap();
    assert_eq!(stats.events, count("sse_events"), "{name}: events");
    assert_eq!(stats.comments, count("comments"), "{name}: comments");
    assert_eq!(stats.unterminated_tail, wire["unterminated_tail"].as_bool().unwrap(), "{name}: tail");
    let (out, error) = decode(&[&case.body]);
    assert_eq!(error, None, "{name}");
    check(case, &out);
}

fn check_error_body(case: &Case) {
    let (name, want) = (&case.name, &case.expected);
    let error = ProviderError::from_body(&case.body);
    assert_eq!(error.message, want["error_message"].as_str().unwrap(), "{name}");
    assert_eq!(error.error_type.as_deref(), want["error_type"].as_str(), "{name}");
    assert_eq!(error.code.as_ref().map(ToString::to_string).as_deref(), want["error_code"].as_str(), "{name}");
    assert_eq!(error.raw, want["error"], "{name}");
}

#[test]
fn every_recording_gives_what_is_expected() {
    let check_body = |case: &Case, body: &str| {
        let mut out = Vec::new();
        ResponsesDecoder::new().body(body, &mut out).unwrap();
        check(case, &out);
    };
    assert_eq!(checked(cases(), check_stream, check_body, check_error_body), (33, 3, 3));
}

#[test]
fn the_reader_of_calls_alone_finds_the_same_calls() {
    let mut found = 0;
    let finished = |reader: &mut ResponsesToolCalls| {
        let mut out = Vec::new();
        reader.finish(&mut out).unwrap();
        let finished = |event| match event {
            ToolCallEvent::Finished { id, name, arguments, .. } => Some((id, name, arguments)),
            _ => None,
        };
        out.into_iter().filter_map(finished).collect::<Vec<_>>()
    };
    for case in cases().into_iter().filter(|case| case.expected["outcome"] == "ok") {
        let mut reader = ResponsesToolCalls::new();
        let mut ignored = Vec::new();
        if case.is_stream() {
            for event in sse(&[&case.body], 1 << 20).0 {
                reader.event(&event.unwrap().0, &mut ignored).unwrap();
            }
        } else {
            reader.event(std::str::from_utf8(&case.body).unwrap(), &mut ignored).unwrap();
        }
        let text = |call: &Value, key: &str| call[key].as_str().unwrap().to_owned();
        let wanted = case.expected["tool_calls"].as_array().unwrap().iter();
        let wanted: Vec<_> =
            wanted.map(|call| (text(call, "id"), text(call, "name"), text(call, "arguments_raw"))).collect();
        found += wanted.len();
        assert_eq!(finished(&mut reader), wanted, "{}", case.name);
        assert!(finished(&mut reader).is_empty(), "it is empty afterwards");
    }
    assert!(found >= 17, "{found}");
}

#[test]
fn a_stream_that_stops_after_any_event_never_finishes() {
    for case in streams() {
        let events = sse(&[&case.body], 1 << 20).0;
        let ends = |data: &str| {
            let kind = serde_json::from_str::<Value>(data).ok().map(|event| event["type"].clone());
            kind.is_some_and(|kind| kind == "response.completed" || kind == "response.incomplete")
        };
        let mut decoder = ResponsesDecoder::new();
        let mut over = false;
        for event in events {
            let Ok(data) = event.map(|event| event.0) else { break };
            let mut out = Vec::new();
            decoder.clone().done(&mut out).unwrap();
            let finished = out.iter().any(|event| matches!(event.kind, Kind::Finish { .. }));
            assert_eq!(finished, over, "{}", case.name);
            over = (over && !data.contains("response.created")) || ends(&data);
            if decoder.chunk(&data, &mut out).is_err() {
                break;
            }
        }
    }
}
