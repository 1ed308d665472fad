//! Tests of what no recording shows.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ToolCallEvent;

fn decode(events: &[Value]) -> Result<Vec<AnthropicEvent>, WireError> {
    let (mut decoder, mut out) = (AnthropicDecoder::new(), Vec::new());
    for event in events {
        decoder.chunk(&event.to_string(), &mut out)?;
    }
    decoder.done(&mut out)?;
    Ok(out)
}

fn start(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn tool(index: u64, id: &str) -> Value {
    start(index, json!({"type": "tool_use", "id": id, "name": "add", "input": {}}))
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn input(index: u64, piece: &str) -> Value {
    delta(index, json!({"type": "input_json_delta", "partial_json": piece}))
}

fn stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn ending(reason: &str) -> [Value; 2] {
    [json!({"type": "message_delta", "delta": {"stop_reason": reason}}), json!({"type": "message_stop"})]
}

fn finished(events: &[AnthropicEvent]) -> Vec<(u32, &str, &str)> {
    events
        .iter()
        .filter_map(|event| match event {
            AnthropicEvent::ToolCallFinished { index, id, arguments, .. } => {
                Some((*index, id.as_str(), arguments.as_str()))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn two_calls_of_one_index_are_never_merged() {
    for events in [
        vec![tool(1, "a"), tool(1, "b")],
        vec![tool(1, "a"), stop(1), tool(1, "b")],
        vec![tool(1, "a"), start(1, json!({"type": "text", "text": ""}))],
    ] {
        let error = decode(&events).unwrap_err();
        assert!(matches!(error, WireError::DuplicateIndex { index: 1, .. }), "{error}");
    }
}

#[test]
fn arguments_of_no_call_are_an_error() {
    let text = start(0, json!({"type": "text", "text": ""}));
    for events in [vec![input(0, "{}")], vec![tool(0, "a"), stop(0), input(0, "{}")], vec![text, input(0, "{}")]] {
        assert!(matches!(decode(&events).unwrap_err(), WireError::OrphanArguments));
    }
}

#[test]
fn mad_indices_and_nameless_tools_are_errors() {
    for index in [1024, u64::from(u32::MAX) + 1, u64::MAX] {
        let error = decode(&[tool(index, "a")]).unwrap_err();
        assert!(matches!(error, WireError::IndexOutOfRange { index: at, max: 1023, .. } if at == index), "{error}");
    }
    let nameless = start(0, json!({"type": "tool_use", "id": "a"}));
    assert!(matches!(decode(&[nameless]).unwrap_err(), WireError::MissingToolName { .. }));
}

#[test]
fn gigantic_arguments_stop_at_the_limit() {
    let server = start(0, json!({"type": "server_tool_use", "id": "s", "name": "add", "input": {}}));
    for first in [tool(0, "a"), server] {
        let mut decoder = AnthropicDecoder::with_limits(ToolCallLimits { max_tool_args: 10, ..Default::default() });
        let mut out = Vec::new();
        decoder.chunk(&first.to_string(), &mut out).unwrap();
        decoder.chunk(&input(0, "0123456789").to_string(), &mut out).unwrap();
        let error = decoder.chunk(&input(0, "x").to_string(), &mut out).unwrap_err();
        assert!(matches!(&error, WireError::ArgumentsTooLarge { name, limit: 10 } if name == "add"), "{error}");
    }
    let preset = start(0, json!({"type": "tool_use", "id": "a", "name": "add", "input": {"a": "0123456789"}}));
    let mut decoder = AnthropicDecoder::with_limits(ToolCallLimits { max_tool_args: 10, ..Default::default() });
    assert!(decoder.chunk(&preset.to_string(), &mut Vec::new()).is_err());
    let limits = ToolCallLimits { max_total_bytes: 20, ..ToolCallLimits::default() };
    let mut decoder = AnthropicDecoder::with_limits(limits);
    let compaction = start(0, json!({"type": "compaction", "content": null}));
    decoder.chunk(&compaction.to_string(), &mut Vec::new()).unwrap();
    let piece = delta(0, json!({"type": "compaction_delta", "content": "0123456789"})).to_string();
    decoder.chunk(&piece, &mut Vec::new()).unwrap();
    decoder.chunk(&piece, &mut Vec::new()).unwrap();
    assert!(matches!(decoder.chunk(&piece, &mut Vec::new()).unwrap_err(), WireError::CallsTooLarge { limit: 20 }));
}

#[test]
fn calls_may_overlap_and_the_later_input_counts() {
    let preset = start(1, json!({"type": "tool_use", "id": "b", "name": "add", "input": {"preset": true}}));
    let mut events = vec![tool(0, "a"), preset, input(1, "{\"b\":"), input(0, "{}"), input(1, "1}"), stop(1), stop(0)];
    events.extend(ending("tool_use"));
    assert_eq!(finished(&decode(&events).unwrap()), [(1, "b", "{\"b\":1}"), (0, "a", "{}")]);
}

#[test]
fn without_the_terminal_event_nothing_is_finished() {
    let [reason, message_stop] = ending("tool_use");
    let call = [tool(0, "a"), input(0, "{\"a\":1}")];
    let is_finish = |event: &AnthropicEvent| matches!(event, AnthropicEvent::Finish { .. });
    for end in [vec![], vec![reason.clone()], vec![message_stop.clone()]] {
        let out = decode(&[&call[..], &end].concat()).unwrap();
        assert!(!out.iter().any(is_finish) && finished(&out).is_empty(), "{out:?}");
    }
    let out = decode(&[&call[..], &[reason, message_stop]].concat()).unwrap();
    assert_eq!(finished(&out), [(0, "a", "{\"a\":1}")]);
    assert!(is_finish(out.last().unwrap()));
}

#[test]
fn after_an_error_nothing_counts() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}, "request_id": "r"});
    let mut events = vec![tool(0, "a"), error, input(0, "{}"), stop(0)];
    events.extend(ending("tool_use"));
    let out = decode(&events).unwrap();
    let Some(AnthropicEvent::Error { error, request_id }) = out.last() else { panic!("{out:?}") };
    assert_eq!((error.message.as_str(), request_id.as_deref()), ("m", Some("r")));
    assert_eq!(out.len(), 2);
}

#[test]
fn unknown_events_blocks_and_deltas_do_no_harm() {
    let mut events = vec![
        json!({"type": "ping"}),
        json!({"type": "new_event", "delta": 7, "index": 0}),
        start(0, json!({"text": {"deep": 1}, "type": "hologram", "id": 7})),
        delta(0, json!({"type": "hologram_delta", "light": "a", "depth": 1})),
        delta(0, json!({"type": "hologram_delta", "light": "b", "depth": 2})),
        stop(0),
        start(1, json!({"type": "text", "text": "begun "})),
        delta(1, json!({"type": "glow_delta", "glow": 1})),
        delta(1, json!({"type": "text_delta", "text": "text"})),
        stop(1),
        stop(7),
    ];
    events.extend(ending("end_turn"));
    let block = json!({"text": {"deep": 1}, "type": "hologram", "id": 7, "light": "ab", "depth": 2});
    assert_eq!(
        decode(&events).unwrap()[..3],
        [AnthropicEvent::Block(block), AnthropicEvent::Text("begun ".into()), AnthropicEvent::Text("text".into())]
    );
}

#[test]
fn deltas_without_the_outer_type_are_read() {
    let mut calls = AnthropicToolCalls::new();
    for event in [
        r#"{"index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
        r#"{"content_block":{"type":"tool_use","id":"a","name":"x"}}"#,
        r#"{"delta":{"partial_json":"{\"a\""}}"#,
        r#"{"index":1,"delta":{"partial_json":":1}"}}"#,
        r#"{"index":2,"content_block":{"type":"tool_use","id":"b","name":"y","input":{"b": 2}}}"#,
    ] {
        let event = event.replace(r#"{"delta""#, r#"{"type":"content_block_delta","delta""#);
        calls.feed(&event).unwrap();
    }
    let call = |index, id: &str, name: &str, arguments: &str| ToolCallEvent::Finished {
        index,
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    assert_eq!(calls.finish(), [call(0, "a", "x", "{\"a\":1}"), call(1, "b", "y", "{\"b\": 2}")]);
    assert!(calls.finish().is_empty());
}

/// What the general way makes of a delta.
fn general(json: &str) -> Option<(u64, PieceKind, String)> {
    let mut frame = Frame::default();
    read_document(json, InPlace(&mut frame)).ok()?;
    let delta: Delta<'_> = fill(frame.delta?).ok()?;
    let (kind, text) = match delta.kind.as_str() {
        "input_json_delta" => (PieceKind::Input, delta.partial_json.unwrap_or_default().0),
        "text_delta" => (PieceKind::Text, delta.text.0),
        "thinking_delta" => (PieceKind::Thinking, delta.thinking.0),
        _ => return None,
    };
    Some((frame.index?, kind, text.into_owned()))
}

fn quick(json: &str) -> Option<(u64, PieceKind, String)> {
    let mut scratch = String::new();
    piece::piece(json, &mut scratch).map(|piece| (piece.index, piece.kind, piece.text.to_owned()))
}

#[test]
fn the_quick_way_takes_what_the_api_writes() {
    for kind in ["input_json_delta\",\"partial_json", "text_delta\",\"text", "thinking_delta\",\"thinking"] {
        for text in ["", "plain", "\u{e9} \u{1f600}", "a\\\"b\\\\c\\n\\/", "{\\\"location\\\": \\\"Flo"] {
            for pad in ["", "    "] {
                let json =
                    format!(r#"{{"type":"content_block_delta","index":12,"delta":{{"type":"{kind}":"{text}"}}{pad}}}"#);
                assert!(quick(&json).is_some(), "{json}");
                assert_eq!(quick(&json), general(&json), "{json}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_quick_way_never_says_anything_else_than_the_general_one(
        text in "[ -~é\\n\\u{1f600}\"\\\\]{0,12}",
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"\\\"{}[]: ,u0n9\x01\n".to_vec()),
        insert in any::<bool>(),
    ) {
        let json = format!(
            r#"{{"type":"content_block_delta","index":1,"delta":{{"type":"input_json_delta","partial_json":{}}}  }}"#,
            Value::String(text)
        );
        prop_assert_eq!(quick(&json), general(&json).filter(|_| quick(&json).is_some()));
        let mut damaged = json.into_bytes();
        let at = at.index(damaged.len());
        if insert { damaged.insert(at, byte) } else { damaged[at] = byte }
        if let Ok(damaged) = String::from_utf8(damaged)
            && let Some(said) = quick(&damaged)
        {
            prop_assert_eq!(Some(said), general(&damaged), "{}", damaged);
        }
    }
}
