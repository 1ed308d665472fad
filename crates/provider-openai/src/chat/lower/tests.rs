//! Tests of the request.

use std::sync::Arc;

use atomr_agents_core::{OutputSchema, Sampling, ToolCall, ToolSpec};

use super::*;

fn quirks() -> Quirks {
    crate::OpenAiConfig::new("https://api.openai.com/v1", None).unwrap().quirks
}

fn lowered(request: &ModelRequest) -> Value {
    serde_json::from_slice(&body(request, &quirks()).unwrap()).unwrap()
}

#[test]
fn a_whole_tool_conversation() {
    let assistant = Message {
        role: Role::Assistant,
        parts: vec![
            Part::thinking("never shown"),
            Part::Opaque { provider: "anthropic".into(), data: json!({"reasoning_details": ["foreign"]}) },
            Part::Opaque {
                provider: "openai".into(),
                data: json!({"reasoning_details": [{"type": "reasoning.text"}]}),
            },
            Part::ToolCall(ToolCall::new("c1", "add", "{\"a\":1}")),
            Part::ToolCall(ToolCall::new("c2", "now", "")),
        ],
    };
    let image =
        Media { kind: MediaKind::Image, source: MediaSource::Base64("AAAA".into()), media_type: "image/png".into() };
    let results = Message {
        role: Role::Tool,
        parts: vec![
            Part::ToolResult { call_id: "c1".into(), parts: vec![Part::text("1")], is_error: false, artifact: None },
            Part::ToolResult { call_id: "c2".into(), parts: vec![Part::Media(image)], is_error: false, artifact: None },
        ],
    };
    let spec = ToolSpec {
        name: "add".into(),
        description: "Adds.".into(),
        parameters: json!({"type": "object"}),
        strict: false,
    };
    let request = ModelRequest {
        tools: vec![Arc::new(spec)],
        tool_choice: ToolChoice::Tool("add".into()),
        output: Some(OutputSchema { name: "n".into(), schema: json!({"type": "object"}), strict: true }),
        sampling: Sampling { temperature: Some(0.5), max_tokens: Some(7), ..Sampling::default() },
        ..ModelRequest::new("m", vec![Message::system("s"), Message::user("u"), assistant, results])
    };
    assert_eq!(
        lowered(&request),
        json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "u"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
                    {"id": "c2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
                ], "reasoning_details": [{"type": "reasoning.text"}]},
                {"role": "tool", "tool_call_id": "c1", "content": "1"},
                {"role": "tool", "tool_call_id": "c2", "content": ""},
                {"role": "user", "content": [
                    {"type": "text", "text": "Returned by tool call c2:"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ]},
            ],
            "tools": [{"type": "function", "function": {
                "name": "add", "description": "Adds.", "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "add"}},
            "temperature": 0.5,
            "max_completion_tokens": 7,
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    );
}

#[test]
fn what_a_model_wrote_wrongly_does_not_make_the_transcript_unreadable() {
    let call = |raw: &str| Part::ToolCall(ToolCall::new("c", "add", raw));
    let thought = Part::thinking("never shown");
    for (raw, sent) in [
        ("{\"a\": 1}", json!({"a": 1})),
        ("{\"a\": ", json!({"invalid_arguments": "{\"a\": "})),
        ("[1]", json!({"invalid_arguments": "[1]"})),
        (" ", json!({})),
    ] {
        let said = Message { role: Role::Assistant, parts: vec![call(raw)] };
        let silent = Message { role: Role::Assistant, parts: vec![thought.clone()] };
        let body = lowered(&ModelRequest::new("m", vec![said, silent]));
        let messages = body["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 1, "a message without content is refused by some servers");
        let arguments = messages[0]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), sent);
    }
}

#[test]
fn extra_fields_win() {
    let mut request = ModelRequest::new("m", vec![Message::user("u")]);
    request.extra_body = json!({"model": "other", "top_k": 3}).as_object().unwrap().clone();
    let body = lowered(&request);
    assert_eq!((&body["model"], &body["top_k"]), (&json!("other"), &json!(3)));
}

#[test]
fn what_cannot_be_said_is_named() {
    let media = Media { kind: MediaKind::Video, source: MediaSource::Url("u".into()), media_type: String::new() };
    let message = Message { role: Role::User, parts: vec![Part::Media(media)] };
    let said = body(&ModelRequest::new("m", vec![message]), &quirks()).unwrap_err().to_string();
    assert!(said.contains("no video as a url"), "{said}");
}
