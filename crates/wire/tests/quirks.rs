//! Deviations of chat completion servers that no single recording shows in this form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use atomr_agents_wire::{ChatDecoder, ChatEventKind as Kind, ErrorCode, ToolCallLimits, WireError};
use serde_json::json;

fn run(chunks: &[&str]) -> Result<Vec<(u32, Kind)>, WireError> {
    let (mut decoder, mut out) = (ChatDecoder::new(), Vec::new());
    for chunk in chunks {
        decoder.chunk(chunk, &mut out)?;
    }
    decoder.done(&mut out)?;
    Ok(out.into_iter().map(|event| (event.choice, event.kind)).collect())
}

fn kinds(chunks: &[&str]) -> Vec<Kind> {
    run(chunks)
        .unwrap()
        .into_iter()
        .map(|(_, kind)| kind)
        .filter(|kind| !matches!(kind, Kind::Started { .. }))
        .collect()
}

fn delta(delta: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#)
}

fn finish(reason: &str) -> Kind {
    Kind::Finish { reason: reason.into(), native: None }
}

#[test]
fn nulls_and_empties_say_nothing() {
    let nulls = r#"{"id":null,"model":null,"choices":[{"index":null,"delta":{"role":null,"content":null,"reasoning":null,
        "reasoning_content":null,"reasoning_details":null,"refusal":null,"tool_calls":null,"function_call":null},
        "finish_reason":null,"native_finish_reason":null,"logprobs":null,"error":null}],"usage":null,"error":null,"x_groq":null}"#;
    let empties = r#"{"id":"","choices":[{"delta":{"content":"","reasoning":"","reasoning_details":[],"refusal":"",
        "tool_calls":[],"function_call":{}},"finish_reason":""}],"error":{}}"#;
    assert_eq!(kinds(&[nulls, empties, "{}", r#"{"choices":null}"#, r#"{"choices":[{}]}"#, "", " ", "[DONE]"]), []);
}

#[test]
fn started_waits_for_something_to_say() {
    let azure = r#"{"choices":[],"id":"","model":"","prompt_filter_results":[]}"#;
    let first = r#"{"id":"c1","model":"m","choices":[{"delta":{"content":"a"}}]}"#;
    let events = run(&[azure, first, first]).unwrap();
    assert_eq!(events[0].1, Kind::Started { id: "c1".into(), model: "m".into() });
    assert_eq!(events.iter().filter(|event| matches!(event.1, Kind::Started { .. })).count(), 1);
}

#[test]
fn one_text_under_two_names_is_one_text() {
    let both = delta(r#"{"reasoning":"hm","reasoning_content":"hm"}"#);
    assert_eq!(kinds(&[&both]), [Kind::Reasoning("hm".into())]);
}

#[test]
fn delta_wins_over_message() {
    let both = r#"{"choices":[{"message":{"content":"so far"},"delta":{"content":"far"}}]}"#;
    assert_eq!(kinds(&[both]), [Kind::Text("far".into())]);
}

#[test]
fn content_lists_keep_their_order() {
    let list = delta(
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]},{"type":"text","text":"b"},{"type":"x"}]}"#,
    );
    assert_eq!(kinds(&[&list]), [Kind::Reasoning("a".into()), Kind::Text("b".into())]);
}

#[test]
fn the_last_finish_and_the_last_usage_win_and_text_may_follow() {
    let chunks = [
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop","native_finish_reason":"END"}],"usage":{"n":1}}"#,
        r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"length"}],"x_groq":{"usage":{"n":2}}}"#,
        r#"{"choices":[{"delta":{},"finish_reason":null}],"usage":null,"x_groq":{"id":"r"}}"#,
    ];
    let want = Kind::Finish { reason: "length".into(), native: Some("END".into()) };
    assert_eq!(kinds(&chunks), [Kind::Text("a".into()), Kind::Text("b".into()), Kind::Usage(json!({"n":2})), want]);
}

#[test]
fn choices_keep_apart() {
    let call = |choice: u32, id: &str| {
        format!(
            r#"{{"choices":[{{"index":{choice},"delta":{{"tool_calls":[{{"index":0,"id":"{id}","function":{{"name":"f","arguments":"{{}}"}}}}]}},"finish_reason":"tool_calls"}}]}}"#
        )
    };
    let events = run(&[&call(1, "b"), &call(0, "a")]).unwrap();
    for (choice, id) in [(0, "a"), (1, "b")] {
        let want = Kind::ToolCallFinished { index: 0, id: id.into(), name: "f".into(), arguments: "{}".into() };
        assert!(events.contains(&(choice, want)));
        assert!(events.contains(&(choice, finish("tool_calls"))));
    }
    for index in ["1024", "4294967296", "18446744073709551615"] {
        let error = run(&[&format!(r#"{{"choices":[{{"index":{index}}}]}}"#)]).unwrap_err();
        assert!(matches!(error, WireError::IndexOutOfRange { what: "choice", max: 1023, .. }), "{error}");
    }
}

#[test]
fn nothing_is_finished_before_the_end() {
    let (mut decoder, mut out) = (ChatDecoder::new(), Vec::new());
    let call = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#;
    decoder.chunk(&delta(call), &mut out).unwrap();
    decoder.chunk(r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}],"usage":{}}"#, &mut out).unwrap();
    decoder.chunk("[DONE]", &mut out).unwrap();
    assert_eq!(out.len(), 3, "{out:?}");
    assert!(decoder.saw_done_marker());
    decoder.done(&mut out).unwrap();
    assert_eq!(out.len(), 6);
    decoder.chunk(&delta(call), &mut out).unwrap();
    assert_eq!(out.len(), 6, "what follows the end is no answer");
}

#[test]
fn a_broken_off_stream_finishes_only_what_was_whole() {
    let cut = |arguments: &str, tail: &str| {
        let call = |index: u32, arguments: &str| {
            let arguments = serde_json::to_string(arguments).unwrap();
            format!(r#"{{"index":{index},"id":"c{index}","function":{{"name":"f","arguments":{arguments}}}}}"#)
        };
        let both = delta(&format!(r#"{{"tool_calls":[{},{}]}}"#, call(0, "{}"), call(1, arguments)));
        let finished = |kind: &Kind| matches!(kind, Kind::ToolCallFinished { .. });
        kinds(&[&both, tail]).into_iter().filter(|kind| finished(kind)).count()
    };
    assert_eq!(cut("{\"a\":", ""), 1);
    assert_eq!(cut("", ""), 1, "no arguments yet");
    assert_eq!(cut("{}", ""), 2);
    assert_eq!(cut("{\"a\":", r#"{"choices":[{"finish_reason":"length"}]}"#), 2, "the server says that this was all");
    assert_eq!(cut("{\"a\":", r#"{"choices":[{"finish_reason":"error"}],"error":{"message":"m"}}"#), 1);
}

#[test]
fn the_deprecated_function_call_is_a_call_without_an_id() {
    let chunks = [
        delta(r#"{"function_call":{"name":"f","arguments":""}}"#),
        delta(r#"{"function_call":{"arguments":"{}"}}"#),
        r#"{"choices":[{"delta":{},"finish_reason":"function_call"}]}"#.to_owned(),
    ];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let (id, name) = (String::new(), "f".to_owned());
    assert_eq!(
        kinds(&chunks),
        [
            Kind::ToolCallStarted { index: 0, id: id.clone(), name: name.clone() },
            Kind::ToolCallDelta { index: 0, arguments: "{}".into() },
            Kind::ToolCallFinished { index: 0, id, name, arguments: "{}".into() },
            finish("function_call"),
        ]
    );
}

#[test]
fn errors_in_any_chunk() {
    let error = |chunk: &str| match kinds(&[chunk]).into_iter().next() {
        Some(Kind::Error(error)) => *error,
        other => panic!("{other:?}"),
    };
    let nested =
        error(r#"{"error":{"code":"502","message":"m","metadata":{"raw":"up"}},"choices":[{"delta":{"content":""}}]}"#);
    assert_eq!((nested.code, nested.upstream.as_deref()), (Some(ErrorCode::Text("502".into())), Some("up")));
    let flat = error(r#"{"code":"invalid-argument","error":"text"}"#);
    assert_eq!((flat.message.as_str(), flat.code), ("text", Some(ErrorCode::Text("invalid-argument".into()))));
    let object = error(r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#);
    assert_eq!((object.message.as_str(), object.code), ("m", Some(ErrorCode::Number(400))));
    let in_choice = error(r#"{"choices":[{"index":0,"error":{"code":502,"message":"m"}}]}"#);
    assert_eq!((in_choice.message.as_str(), in_choice.code), ("m", Some(ErrorCode::Number(502))));
}

#[test]
fn what_is_no_chunk_is_an_error_with_its_place() {
    for (chunk, at) in
        [("nonsense", 1), (r#"{"choices":[{"delta":{"content":7}}]}"#, 32), ("[1]", 0), (r#"{"choices":"#, 10)]
    {
        match run(&[chunk]) {
            Err(WireError::InvalidJson { offset, context, .. }) => {
                assert!(offset.abs_diff(at) <= 2, "{chunk}: {offset}");
                assert!(context.contains(&chunk[..8.min(chunk.len())]), "{context}");
            }
            other => panic!("{chunk}: {other:?}"),
        }
    }
}

#[test]
fn gigantic_arguments_are_refused() {
    let limits = ToolCallLimits { max_tool_args: 1_000, ..ToolCallLimits::default() };
    let (mut decoder, mut out) = (ChatDecoder::with_limits(limits), Vec::new());
    let piece = format!(
        r#"{{"tool_calls":[{{"index":0,"id":"a","function":{{"name":"f","arguments":"{}"}}}}]}}"#,
        "x".repeat(600)
    );
    decoder.chunk(&delta(&piece), &mut out).unwrap();
    let error = decoder.chunk(&delta(&piece), &mut out).unwrap_err();
    assert!(matches!(error, WireError::ArgumentsTooLarge { name, limit: 1_000 } if name == "f"));
}
