//! Deviations that no single recording shows in this form.

use serde_json::json;

use super::*;
use crate::ErrorCode;
use ResponsesEventKind as Kind;

fn run(events: &[Value]) -> Result<Vec<Kind>, WireError> {
    let (mut decoder, mut out) = (ResponsesDecoder::new(), Vec::new());
    for event in events {
        decoder.chunk(&event.to_string(), &mut out)?;
    }
    decoder.done(&mut out)?;
    Ok(out.into_iter().map(|event| event.kind).collect())
}

fn kinds(events: &[Value]) -> Vec<Kind> {
    run(events).unwrap().into_iter().filter(|kind| !matches!(kind, Kind::Started { .. })).collect()
}

fn item(event: &str, index: u64, item: &Value) -> Value {
    json!({"type": format!("response.output_item.{event}"), "output_index": index, "item": item})
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": "fc", "call_id": id, "name": name, "arguments": arguments})
}

fn delta(index: u64, delta: &str) -> Value {
    json!({"type": "response.function_call_arguments.delta", "output_index": index, "delta": delta})
}

fn completed() -> Value {
    json!({"type": "response.completed", "response": {"id": "r", "model": "m", "status": "completed", "output": []}})
}

fn finish(status: &str) -> Kind {
    Kind::Finish { status: status.into(), reason: None }
}

fn calls(kinds: &[Kind]) -> Vec<(&str, &str)> {
    let mut calls = Vec::new();
    for kind in kinds {
        if let Kind::ToolCallFinished { id, arguments, .. } = kind {
            calls.push((id.as_str(), arguments.as_str()));
        }
    }
    calls
}

#[test]
fn nulls_unknown_events_and_other_types_say_nothing() {
    let events = [
        json!({"type": "response.audio.delta", "delta": {"a": [1]}, "input": 7, "arguments": null}),
        json!({"type": "response.output_text.delta", "delta": null, "logprobs": null, "output_index": null}),
        json!({"type": null, "item": null, "response": null, "error": null}),
        json!({"type": "response.output_item.added", "item": null}),
        json!({"type": "response.created", "response": null}),
        json!({"type": "keepalive", "sequence_number": 3}),
        json!({}),
    ];
    assert_eq!(kinds(&events), []);
    let mut out = Vec::new();
    let mut decoder = ResponsesDecoder::new();
    for data in ["", " ", "[DONE]"] {
        decoder.chunk(data, &mut out).unwrap();
    }
    assert!(out.is_empty() && decoder.is_over() && decoder.saw_done_marker());
}

#[test]
fn items_that_came_in_no_piece_are_taken_from_the_events_that_repeat_them() {
    let message = json!({"type": "message", "phase": "final_answer", "content": [
        {"type": "output_text", "text": "Hi", "annotations": [{"type": "url_citation", "url": "u"}]},
        {"type": "refusal", "refusal": "no"}]});
    let thought = json!({"type": "reasoning", "summary": [{"text": "a"}, {"text": "b"}], "encrypted_content": "e"});
    let said = [
        Kind::Reasoning("a".into()),
        Kind::ReasoningPart,
        Kind::Reasoning("b".into()),
        Kind::ReasoningDone(thought.clone()),
        Kind::MessageStarted { phase: Some("final_answer".into()) },
        Kind::Text("Hi".into()),
        Kind::Annotation(json!({"type": "url_citation", "url": "u"})),
        Kind::Refusal("no".into()),
    ];
    let streamed = [item("done", 0, &thought), item("done", 1, &message), item("done", 1, &message), completed()];
    let want: Vec<Kind> = said.iter().cloned().chain([finish("completed")]).collect();
    assert_eq!(kinds(&streamed), want);
    let mut last = completed();
    last["response"]["output"] = json!([thought, message]);
    assert_eq!(kinds(&[last]), want);
}

#[test]
fn the_second_part_of_a_thought_says_that_it_is_one() {
    let piece = |part: u64, text: &str| json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": part, "delta": text});
    let thought = json!({"type": "reasoning", "summary": [{"text": "ab"}, {"text": "c"}]});
    let events = [piece(0, "a"), piece(0, "b"), piece(1, "c"), item("done", 0, &thought)];
    let text = |text: &str| Kind::Reasoning(text.into());
    assert_eq!(kinds(&events), [text("a"), text("b"), Kind::ReasoningPart, text("c"), Kind::ReasoningDone(thought)]);
}

#[test]
fn arguments_that_lack_their_end_are_completed_by_the_event_that_tells_them_whole() {
    for pieces in [vec![], vec![delta(0, "{\"a\"")], vec![delta(0, "{\"a\""), delta(0, ":1}")]] {
        let mut events = vec![item("added", 0, &call("c", "f", ""))];
        events.extend(pieces);
        events.extend([item("done", 0, &call("c", "f", "{\"a\":1}")), completed()]);
        assert_eq!(calls(&kinds(&events)), [("c", "{\"a\":1}")]);
    }
    let spaced =
        [item("added", 0, &call("c", "f", "")), delta(0, "{\"a\":1}"), item("done", 0, &call("c", "f", "{\"a\": 1}"))];
    assert_eq!(calls(&kinds(&spaced)), [("c", "{\"a\":1}")], "the same JSON, written in another way");
    let begun = [
        item("added", 0, &call("c", "f", "{\"a\":1}")),
        delta(0, "{\"a\":1}"),
        item("done", 0, &call("c", "f", "{\"a\":1}")),
    ];
    assert_eq!(calls(&kinds(&begun)), [("c", "{\"a\":1}")], "a server that tells the arguments at once and in pieces");
}

#[test]
fn what_does_not_agree_is_an_error() {
    let added = item("added", 0, &call("c", "f", ""));
    let fail = |events: &[Value]| run(events).unwrap_err();
    let other = [added.clone(), delta(0, "{\"a\":1}"), item("done", 0, &call("c", "f", "{\"a\":2}"))];
    assert!(matches!(fail(&other), WireError::ArgumentsDiffer { name } if name == "f"));
    let more = [added.clone(), item("done", 0, &call("c", "f", "{}")), delta(0, "x")];
    assert!(matches!(fail(&more), WireError::ArgumentsDiffer { .. }));
    for second in [call("d", "f", ""), call("c", "g", "{}")] {
        let events = [added.clone(), item("done", 0, &second)];
        assert!(matches!(fail(&events), WireError::DuplicateIndex { index: 0, .. }), "{second}");
    }
    let twice = [added, item("added", 1, &call("c", "f", ""))];
    assert!(matches!(fail(&twice), WireError::DuplicateId { id } if id == "c"));
}

#[test]
fn high_indices_and_gigantic_arguments_are_refused() {
    for index in [1024, u64::MAX] {
        for event in [
            item("added", index, &call("c", "f", "")),
            item("done", index, &json!({"type": "message"})),
            delta(index, "x"),
            json!({"type": "response.output_text.delta", "output_index": index, "delta": "x"}),
        ] {
            let error = run(std::slice::from_ref(&event)).unwrap_err();
            assert!(matches!(error, WireError::IndexOutOfRange { max: 1023, .. }), "{event}: {error}");
        }
    }
    let limits = ToolCallLimits { max_tool_args: 1_000, ..ToolCallLimits::default() };
    let (mut decoder, mut out) = (ResponsesDecoder::with_limits(limits), Vec::new());
    decoder.chunk(&item("added", 0, &call("c", "f", "")).to_string(), &mut out).unwrap();
    let piece = delta(0, &"x".repeat(600)).to_string();
    decoder.chunk(&piece, &mut out).unwrap();
    let error = decoder.chunk(&piece, &mut out).unwrap_err();
    assert!(matches!(error, WireError::ArgumentsTooLarge { name, limit: 1_000 } if name == "f"));
}

#[test]
fn errors_lie_nested_flat_or_in_the_last_response() {
    let error = |event: Value| match kinds(&[event]).into_iter().next() {
        Some(Kind::Error(error)) => *error,
        other => panic!("{other:?}"),
    };
    let nested = error(json!({"type": "error", "error": {"type": "t", "code": "c", "message": "m"}}));
    assert_eq!((nested.message.as_str(), nested.error_type.as_deref()), ("m", Some("t")));
    let flat = error(json!({"type": "error", "sequence_number": 3, "code": "c", "message": "m", "param": null}));
    assert_eq!(
        (flat.code, flat.error_type, flat.raw["sequence_number"].clone()),
        (Some(ErrorCode::Text("c".into())), None, Value::Null)
    );
    let failed =
        json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "c", "message": "m"}}});
    let last = |event: &Value| match kinds(std::slice::from_ref(event)).pop() {
        Some(Kind::Error(error)) => error.message,
        other => panic!("{other:?}"),
    };
    assert_eq!(last(&failed), "m");
    assert_eq!(last(&json!({"type": "response.failed"})), "the response failed");
    assert_eq!(last(&json!({"error": {"message": "a router's"}})), "a router's");
    let (mut decoder, mut out) = (ResponsesDecoder::new(), Vec::new());
    decoder.body(r#"{"error":{"message":"m","code":400}}"#, &mut out).unwrap();
    assert!(matches!(&out[..], [ResponsesEvent { kind: Kind::Error(error), .. }] if error.message == "m"));
}

#[test]
fn nothing_is_finished_before_the_end_nor_without_one() {
    let (mut decoder, mut out) = (ResponsesDecoder::new(), Vec::new());
    for event in [item("done", 0, &call("c", "f", "{}")), completed()] {
        decoder.chunk(&event.to_string(), &mut out).unwrap();
    }
    assert!(decoder.is_over() && !out.iter().any(|event| matches!(event.kind, Kind::ToolCallFinished { .. })));
    decoder.done(&mut out).unwrap();
    assert_eq!(out.last().unwrap().kind, finish("completed"));
    let before = out.len();
    decoder.chunk(&delta(0, "x").to_string(), &mut out).unwrap();
    decoder.done(&mut out).unwrap();
    assert_eq!(out.len(), before, "what follows the end is no answer");
    let cut = kinds(&[item("added", 0, &call("a", "f", "")), delta(0, "{"), item("done", 1, &call("b", "f", "{}"))]);
    assert_eq!(calls(&cut), [("b", "{}")]);
    let second = [completed(), json!({"type": "response.created", "response": {"id": "r2"}})];
    assert!(!kinds(&second).contains(&finish("completed")), "another response began and did not end");
}

#[test]
fn a_custom_tool_has_text_and_a_cut_call_says_so() {
    let custom =
        json!({"type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls \"a\"", "namespace": "n"});
    let mut cut = call("d", "f", "{\"a");
    cut["status"] = json!("incomplete");
    let end = json!({"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}});
    let kinds = kinds(&[item("done", 0, &custom), item("done", 1, &cut), end]);
    assert!(kinds.contains(&Kind::ToolCallFinished {
        index: 0,
        id: "c".into(),
        name: "sh".into(),
        arguments: "ls \"a\"".into(),
        custom: true,
        incomplete: false,
        namespace: Some("n".into()),
    }));
    assert!(kinds.iter().any(|kind| matches!(kind, Kind::ToolCallFinished { index: 1, incomplete: true, .. })));
    assert_eq!(
        kinds.last(),
        Some(&Kind::Finish { status: "incomplete".into(), reason: Some("max_output_tokens".into()) })
    );
}
