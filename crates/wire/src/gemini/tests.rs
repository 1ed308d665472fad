//! Peculiarities that no single recording shows in this form.

use serde_json::json;

use super::GeminiEventKind as Kind;
use super::*;

fn run(chunks: &[&str]) -> Result<Vec<(u32, Kind)>, WireError> {
    let (mut decoder, mut out) = (GeminiDecoder::new(), Vec::new());
    for chunk in chunks {
        decoder.chunk(chunk, &mut out)?;
    }
    decoder.done(&mut out)?;
    Ok(out.into_iter().map(|event| (event.candidate, event.kind)).collect())
}

fn kinds(chunks: &[&str]) -> Vec<Kind> {
    let events = run(chunks).unwrap().into_iter().map(|(_, kind)| kind);
    events.filter(|kind| !matches!(kind, Kind::Started { .. })).collect()
}

fn parts(parts: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"role":"model","parts":{parts}}}}}]}}"#)
}

fn finish(reason: &str) -> Kind {
    Kind::Finish { reason: reason.into(), message: None }
}

#[test]
fn nulls_and_empties_say_nothing() {
    let nulls = r#"{"candidates":[{"index":null,"content":{"role":null,"parts":[null,{},{"text":null,"thought":null,
        "thoughtSignature":null,"functionCall":null,"executableCode":null,"inlineData":null},{"text":""}]},
        "finishReason":null,"finishMessage":null,"groundingMetadata":null,"citationMetadata":null}],
        "promptFeedback":null,"usageMetadata":null,"modelVersion":null,"responseId":null,"error":null}"#;
    let empties = r#"{"candidates":[{"content":{},"finishReason":"FINISH_REASON_UNSPECIFIED","groundingMetadata":{}},
        {"finishReason":0}],"promptFeedback":{"safetyRatings":[]}}"#;
    assert_eq!(kinds(&[nulls, empties, "{}", r#"{"candidates":null}"#, "", " ", "[]", "[DONE]"]), []);
}

#[test]
fn signatures_stand_with_what_they_sign() {
    let sent = parts(
        r#"[{"text":"hm","thought":true,"thoughtSignature":"a"},{"thoughtSignature":"b","text":"Hi"},
            {"text":"","thoughtSignature":"c"},{"thoughtSignature":"d","functionCall":{"name":"f","args":{}}},
            {"executableCode":{"code":"1"},"thoughtSignature":"e"}]"#,
    );
    let call = Kind::ToolCall {
        index: 0,
        id: "".into(),
        name: "f".into(),
        arguments: "{}".into(),
        signature: Some("d".into()),
    };
    assert_eq!(
        kinds(&[&sent]),
        [
            Kind::Thought("hm".into()),
            Kind::ThoughtSignature("a".into()),
            Kind::TextSignature("b".into()),
            Kind::Text("Hi".into()),
            Kind::TextSignature("c".into()),
            call,
            Kind::ServerTool {
                name: "executableCode",
                part: json!({"executableCode": {"code": "1"}, "thoughtSignature": "e"}),
            },
        ]
    );
}

#[test]
fn media_keep_what_stands_beside_them() {
    let sent = parts(
        r#"[{"inlineData":{"mimeType":"image/png","data":"AA"},"thought":true},{"fileData":{"fileUri":"u"},"thoughtSignature":"s"}]"#,
    );
    assert_eq!(
        kinds(&[&sent]),
        [
            Kind::Media(json!({"inlineData": {"mimeType": "image/png", "data": "AA"}, "thought": true})),
            Kind::Media(json!({"fileData": {"fileUri": "u"}, "thoughtSignature": "s"})),
        ]
    );
}

#[test]
fn candidates_keep_apart_and_their_calls_are_counted_apart() {
    let call = r#"{"parts":[{"functionCall":{"name":"f","args":{}}}]}"#;
    let both = format!(
        r#"{{"candidates":[{{"index":1,"content":{call},"finishReason":"SAFETY"}},{{"content":{call},"finishReason":"STOP"}}]}}"#
    );
    let events = run(&[&both]).unwrap();
    for candidate in [0, 1] {
        let calls =
            events.iter().filter(|(of, kind)| *of == candidate && matches!(kind, Kind::ToolCall { index: 0, .. }));
        assert_eq!(calls.count(), 1);
    }
    assert!(events.contains(&(0, finish("STOP"))) && events.contains(&(1, finish("SAFETY"))));
    for index in ["1024", "4294967296", "18446744073709551615"] {
        let error = run(&[&format!(r#"{{"candidates":[{{"index":{index}}}]}}"#)]).unwrap_err();
        assert!(matches!(error, WireError::IndexOutOfRange { what: "candidate", max: 1023, .. }), "{error}");
    }
}

#[test]
fn a_list_and_a_stream_of_the_same_responses_say_the_same() {
    let (one, two) = (parts(r#"[{"text":"a"}]"#), parts(r#"[{"text":"b"}]"#));
    let last = r#"{"candidates":[{"finishReason":1}],"usageMetadata":{"totalTokenCount":3}}"#;
    let list = format!("[{one}\n,\n{two},{last}]");
    assert_eq!(run(&[&one, &two, last]).unwrap(), run(&[&list]).unwrap());
    assert_eq!(kinds(&[&list]).last(), Some(&finish("1")));
    assert!(matches!(run(&[&list[..list.len() - 1]]), Err(WireError::InvalidJson { .. })));
}

#[test]
fn the_last_finish_and_the_last_usage_win_and_metadata_are_joined() {
    let chunks = [
        r#"{"candidates":[{"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["q"],"a":1}}],"usageMetadata":{"n":1}}"#,
        r#"{"candidates":[{"finishReason":"MAX_TOKENS","finishMessage":"m","groundingMetadata":{"a":2}}],"usageMetadata":{"n":2}}"#,
        r#"{"candidates":[{"groundingMetadata":{}}],"usageMetadata":null}"#,
    ];
    let data = json!({"webSearchQueries": ["q"], "a": 2});
    assert_eq!(
        kinds(&chunks),
        [
            Kind::Usage(json!({"n": 2})),
            Kind::Metadata { name: "groundingMetadata", data },
            Kind::Finish { reason: "MAX_TOKENS".into(), message: Some("m".into()) },
        ]
    );
}

#[test]
fn a_refused_prompt_and_errors_are_told() {
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY","safetyRatings":[]}}"#;
    assert_eq!(kinds(&[blocked]), [Kind::Blocked { reason: "SAFETY".into(), message: "".into() }]);
    let error = r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#;
    for sent in [error.to_owned(), format!("[{error}]")] {
        let events = kinds(&[&parts(r#"[{"text":"a"}]"#), &sent]);
        let [Kind::Text(_), Kind::Error(error)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((error.message.as_str(), error.error_type.as_deref()), ("overloaded", Some("UNAVAILABLE")));
    }
}

#[test]
fn what_follows_the_end_is_no_answer() {
    let (mut decoder, mut out) = (GeminiDecoder::new(), Vec::new());
    decoder.body(&parts(r#"[{"text":"a"}]"#), &mut out).unwrap();
    let told = out.len();
    decoder.chunk(&parts(r#"[{"text":"b"}]"#), &mut out).unwrap();
    decoder.done(&mut out).unwrap();
    assert_eq!(out.len(), told);
}
