//! Tests of the request.

use std::sync::Arc;

use atomr_agents_core::{
    Citation, Media, MediaKind, MediaSource, Message, OutputSchema, Part, Private, Role, Sampling, ToolCall,
};
use atomr_agents_provider::Setup;

use super::*;
use crate::AnthropicConfig;

const MODEL: &str = "claude-sonnet-4-5";

fn config() -> AnthropicConfig {
    AnthropicConfig::new("https://api.anthropic.com", None).unwrap()
}

fn lowered_by(config: AnthropicConfig, request: &ModelRequest) -> Value {
    serde_json::from_slice(&body(request, &config.into_parts().1).unwrap()).unwrap()
}

fn lowered(request: &ModelRequest) -> Value {
    lowered_by(config(), request)
}

fn messages(messages: Vec<Message>) -> Value {
    lowered(&ModelRequest::new(MODEL, messages))["messages"].take()
}

fn refused(request: &ModelRequest) -> String {
    body(request, &config().into_parts().1).unwrap_err().to_string()
}

fn assistant(parts: Vec<Part>) -> Message {
    Message { role: Role::Assistant, parts }
}

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall::new(id, "add", "{\"a\":1}"))
}

fn tools(parts: Vec<Part>) -> Message {
    Message { role: Role::Tool, parts }
}

fn result(call_id: &str, parts: Vec<Part>) -> Part {
    Part::ToolResult { call_id: call_id.into(), parts, is_error: false, artifact: None }
}

fn image(source: MediaSource) -> Part {
    Part::Media(Media { kind: MediaKind::Image, source, media_type: "image/png".into() })
}

fn document(source: MediaSource, media_type: &str) -> Part {
    Part::Media(Media { kind: MediaKind::Document, source, media_type: media_type.into() })
}

fn thought(proof: &str, redacted: bool, provider: &str) -> Part {
    let text = if redacted { "" } else { "hm" }.to_owned();
    Part::Thinking { text, signature: Some(proof.into()), redacted, provider: Some(provider.into()) }
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn tool_use(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "add", "input": {"a": 1}})
}

fn spec(strict: bool) -> Arc<ToolSpec> {
    let parameters = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}}});
    Arc::new(ToolSpec { name: "add".into(), description: "Adds.".into(), parameters, strict })
}

#[test]
fn a_whole_tool_conversation() {
    let reply = assistant(vec![
        Part::thinking("never shown"),
        thought("proof", false, "anthropic"),
        thought("sealed", true, "anthropic"),
        thought("foreign", false, "gemini"),
        Part::text("Let me see."),
        call("c1"),
        call("c2"),
    ]);
    let results = tools(vec![
        Part::ToolResult {
            call_id: "c2".into(),
            parts: vec![Part::text("no such city")],
            is_error: true,
            artifact: Some(json!("never shown")),
        },
        result("c1", vec![Part::text("1"), image(MediaSource::Base64("AAAA".into()))]),
    ]);
    let request = ModelRequest {
        tools: vec![spec(false)],
        sampling: Sampling {
            temperature: Some(0.5),
            top_p: Some(0.9),
            max_tokens: Some(7),
            stop: vec!["END".into()],
            seed: Some(1),
            ..Sampling::default()
        },
        metadata: json!({"user_id": "u1", "other": 1}).as_object().unwrap().clone(),
        ..ModelRequest::new(MODEL, vec![Message::system("s"), Message::user("u"), reply, results])
    };
    assert_eq!(
        lowered(&request),
        json!({
            "model": MODEL,
            "max_tokens": 7,
            "tools": [{"name": "add", "description": "Adds.", "input_schema": spec(false).parameters}],
            "system": [text("s")],
            "messages": [
                {"role": "user", "content": [text("u")]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "proof"},
                    {"type": "redacted_thinking", "data": "sealed"},
                    text("Let me see."), tool_use("c1"), tool_use("c2"),
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [text("1"),
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
                    {"type": "tool_result", "tool_use_id": "c2", "content": [text("no such city")], "is_error": true},
                ]},
            ],
            "temperature": 0.5,
            "top_p": 0.9,
            "stop_sequences": ["END"],
            "metadata": {"user_id": "u1"},
            "stream": true,
        })
    );
}

#[test]
fn each_tool_choice() {
    for (choice, wanted) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!({"type": "none"})),
        (ToolChoice::Required, json!({"type": "any"})),
        (ToolChoice::Tool("add".into()), json!({"type": "tool", "name": "add"})),
    ] {
        let mut request = ModelRequest::new(MODEL, vec![Message::user("u")]);
        request.tool_choice = choice;
        assert_eq!(lowered(&request)["tool_choice"], Value::Null, "without tools there is nothing to choose");
        request.tools = vec![spec(false)];
        assert_eq!(lowered(&request)["tool_choice"], wanted);
    }
}

#[test]
fn a_thinking_model_cannot_be_made_to_call() {
    let mut request = ModelRequest::new(MODEL, vec![Message::user("u")]);
    request.tools = vec![spec(false)];
    request.tool_choice = ToolChoice::Required;
    request.sampling.thinking_budget = Some(2000);
    assert!(refused(&request).contains("thinking_budget"));
    request.sampling.thinking_budget = Some(0);
    assert_eq!(lowered(&request)["thinking"], json!({"type": "disabled"}));
}

#[test]
fn thinking_effort_and_room_for_the_answer() {
    let of = |model: &str, budget: Option<u32>, effort: Option<&str>| {
        let mut request = ModelRequest::new(model, vec![Message::user("u")]);
        request.sampling.thinking_budget = budget;
        request.sampling.reasoning_effort = effort.map(str::to_owned);
        let body = lowered(&request);
        (body["thinking"].clone(), body["output_config"].clone(), body["max_tokens"].clone())
    };
    let enabled = json!({"type": "enabled", "budget_tokens": 2000});
    assert_eq!(of(MODEL, Some(2000), None), (enabled.clone(), Value::Null, json!(64_000)));
    assert_eq!(of("claude-3-haiku-20240307", None, None), (Value::Null, Value::Null, json!(4096)));
    assert_eq!(of("mystery", None, None), (Value::Null, Value::Null, json!(4096)));
    assert_eq!(of("mystery", Some(2000), None), (enabled, Value::Null, json!(6096)), "more than the budget");
    let effort = json!({"effort": "low"});
    assert_eq!(of("claude-opus-4-7", Some(2000), Some("low")), (json!({"type": "adaptive"}), effort, json!(128_000)));
    let mut config = config();
    config.max_tokens.insert(MODEL.into(), 99);
    assert_eq!(lowered_by(config, &ModelRequest::new(MODEL, vec![]))["max_tokens"], 99);
}

#[test]
fn structured_output_and_strict_tools() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}});
    let closed = json!({"type": "object", "properties": {"n": {"type": "integer", "description": "(maximum: 3)"}},
        "additionalProperties": false});
    let mut request = ModelRequest::new(MODEL, vec![Message::user("u")]);
    request.output = Some(OutputSchema { name: "n".into(), schema, strict: true });
    request.tools = vec![spec(true)];
    request.sampling.reasoning_effort = Some("high".into());
    let body = lowered(&request);
    assert_eq!(body["output_config"], json!({"format": {"type": "json_schema", "schema": closed}, "effort": "high"}));
    assert_eq!(body["tools"][0]["strict"], true);
    assert_eq!(body["tools"][0]["input_schema"]["additionalProperties"], false);
    request.model = "claude-3-5-sonnet-20241022".into();
    let old = lowered(&request)["tools"][0].take();
    assert_eq!((&old["strict"], &old["input_schema"]), (&Value::Null, &spec(true).parameters));
}

#[test]
fn cache_points_mark_the_last_block() {
    let mut request = ModelRequest::new(MODEL, vec![Message::system("a"), Message::system("b"), Message::user("u")]);
    request.tools = vec![spec(false)];
    request.cache = vec![CachePoint::Tools, CachePoint::System, CachePoint::Messages];
    let mark = json!({"type": "ephemeral"});
    let body = lowered(&request);
    assert_eq!(body["tools"][0]["cache_control"], mark);
    assert_eq!((&body["system"][0]["cache_control"], &body["system"][1]["cache_control"]), (&Value::Null, &mark));
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], mark);
    request.messages.push(assistant(vec![Part::text("a"), thought("proof", false, "anthropic")]));
    let mut config = config();
    config.cache_ttl = Some("1h".into());
    let content = lowered_by(config, &request)["messages"][1]["content"].take();
    assert_eq!(content[0]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    assert_eq!(content[1]["cache_control"], Value::Null, "a thought cannot be marked");
}

#[test]
fn images_and_documents_in_each_form() {
    let block = |part: Part| messages(vec![Message { role: Role::User, parts: vec![part] }])[0]["content"][0].take();
    let url = || MediaSource::Url("https://example.org/x".into());
    let bytes = |data: &str| MediaSource::Base64(data.into());
    for (part, kind, source) in [
        (image(url()), "image", json!({"type": "url", "url": "https://example.org/x"})),
        (image(MediaSource::FileId("f".into())), "image", json!({"type": "file", "file_id": "f"})),
        (
            image(MediaSource::Url("data:image/gif;base64,AAAA".into())),
            "image",
            json!({"type": "base64", "media_type": "image/gif", "data": "AAAA"}),
        ),
        (document(url(), ""), "document", json!({"type": "url", "url": "https://example.org/x"})),
        (
            document(bytes("AAAA"), ""),
            "document",
            json!({"type": "base64", "media_type": "application/pdf", "data": "AAAA"}),
        ),
        (
            document(bytes("T2zDoQ=="), "text/markdown"),
            "document",
            json!({"type": "text", "media_type": "text/plain", "data": "Olá"}),
        ),
    ] {
        assert_eq!(block(part), json!({"type": kind, "source": source}));
    }
}

#[test]
fn what_cannot_be_said_is_named() {
    for (kind, said) in [(MediaKind::Video, "no video"), (MediaKind::Audio, "no audio")] {
        let media = Media { kind, source: MediaSource::Url("u".into()), media_type: String::new() };
        let message = Message { role: Role::User, parts: vec![Part::Media(media)] };
        let error = refused(&ModelRequest::new(MODEL, vec![message]));
        assert!(error.contains(said) && error.contains("anthropic"), "{error}");
    }
    let odd = Message { role: Role::User, parts: vec![call("c")] };
    assert!(refused(&ModelRequest::new(MODEL, vec![odd])).contains("text, media and results"));
    let broken = Message { role: Role::User, parts: vec![document(MediaSource::Base64("%".into()), "text/plain")] };
    assert!(refused(&ModelRequest::new(MODEL, vec![broken])).contains("base64"));
}

#[test]
fn calls_and_results_stand_together_whatever_the_order() {
    let transcript = vec![
        Message::user("u"),
        assistant(vec![call("c1"), call("never answered")]),
        Message::user("meanwhile"),
        assistant(vec![Part::text("wait")]),
        tools(vec![result("c1", vec![Part::text("late")])]),
        tools(vec![result("forgotten", vec![Part::text("old")]), result("empty", vec![])]),
    ];
    let body = lowered(&ModelRequest::new(MODEL, transcript));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [text("u")]},
            {"role": "assistant", "content": [tool_use("c1"), tool_use("never_answered")]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [text("late")]},
                {"type": "tool_result", "tool_use_id": "never_answered", "is_error": true,
                    "content": [text("The tool was not run: there is no result.")]},
                text("meanwhile"),
            ]},
            {"role": "assistant", "content": [text("wait")]},
            {"role": "user", "content": [text("Result of an earlier tool call (forgotten):"), text("old")]},
        ])
    );
    assert_eq!(body["tools"], json!([{"name": "add", "input_schema": {"type": "object"}}]), "a stand-in");
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

#[test]
fn ids_are_made_valid_and_unique_and_results_follow_them() {
    let transcript = vec![
        Message::user("u"),
        assistant(vec![call(""), call("")]),
        tools(vec![result("", vec![Part::text("1")]), result("", vec![Part::text("2")])]),
        assistant(vec![call("fc|1"), call("fc_1")]),
        tools(vec![result("fc_1", vec![]), result("fc|1", vec![Part::text("3")])]),
    ];
    let sent = messages(transcript);
    let ids = |turn: usize, key: &str| -> Vec<String> {
        let blocks = sent[turn]["content"].as_array().unwrap().iter();
        blocks.map(|block| block[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(1, "id"), ["call", "call_2"]);
    assert_eq!(ids(2, "tool_use_id"), ["call", "call_2"]);
    assert_eq!(ids(3, "id"), ["fc_1", "fc_1_2"]);
    assert_eq!(ids(4, "tool_use_id"), ["fc_1", "fc_1_2"]);
    assert_eq!(
        (&sent[2]["content"][1]["content"], &sent[4]["content"][0]["content"]),
        (&json!([text("2")]), &json!([text("3")]),)
    );
}

#[test]
fn what_a_model_wrote_wrongly_does_not_make_the_transcript_unreadable() {
    for (raw, sent) in [
        ("{\"a\": 1}", json!({"a": 1})),
        ("{\"a\": ", json!({"invalid_arguments": "{\"a\": "})),
        ("[1]", json!({"invalid_arguments": "[1]"})),
        (" ", json!({})),
    ] {
        let said = assistant(vec![Part::ToolCall(ToolCall::new("c", "add", raw))]);
        assert_eq!(messages(vec![Message::user("u"), said])[1]["content"][0]["input"], sent);
    }
}

#[test]
fn turns_alternate_begin_with_the_user_and_are_never_empty() {
    let silent = || assistant(vec![Part::thinking("never shown"), Part::text(" \n")]);
    let transcript = vec![
        assistant(vec![Part::text("Welcome.")]),
        Message::user("a"),
        silent(),
        Message::user(""),
        Message::user("b"),
        assistant(vec![Part::text("c")]),
        assistant(vec![Part::Refusal { text: "d \n".into() }]),
    ];
    assert_eq!(
        messages(transcript),
        json!([
            {"role": "user", "content": [text(".")]},
            {"role": "assistant", "content": [text("Welcome.")]},
            {"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content": [text("c"), text("d")]},
        ])
    );
    for none in [vec![], vec![Message::system("s")], vec![silent()]] {
        assert_eq!(messages(none), json!([{"role": "user", "content": [text(".")]}]));
    }
}

fn server_tool(data: Value) -> Part {
    Part::ServerTool { provider: "anthropic".into(), name: data["type"].as_str().unwrap().into(), data }
}

#[test]
fn the_providers_own_parts_go_back_and_those_of_others_do_not() {
    let asked = json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}});
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "s1", "content": []});
    let location = json!({"type": "web_search_result_location", "url": "u", "encrypted_index": "x"});
    let citation = |provider: &str| {
        Part::Citation(Citation { provider: provider.into(), data: location.clone(), ..Citation::default() })
    };
    let foreign = |data: Value| Part::Opaque { provider: "gemini".into(), data };
    let compaction = json!({"type": "compaction", "content": "so far"});
    let said = assistant(vec![
        Part::Opaque { provider: "anthropic".into(), data: compaction.clone() },
        server_tool(asked.clone()),
        server_tool(found.clone()),
        Part::text("It is blue."),
        citation("anthropic"),
        citation("gemini"),
        citation("anthropic"),
        foreign(json!({"type": "x"})),
        Part::ServerTool { provider: "openai".into(), name: "web_search_call".into(), data: json!({"type": "y"}) },
    ]);
    let cited = json!({"type": "text", "text": "It is blue.", "citations": [location, location]});
    assert_eq!(messages(vec![Message::user("u"), said])[1]["content"], json!([compaction, asked, found, cited]));
}

#[test]
fn a_pause_and_a_call_from_code_go_on_and_what_was_cut_does_not() {
    let asked = json!({"type": "server_tool_use", "id": "s1", "name": "code_execution", "input": {"code": "x"}});
    let container = Part::Opaque { provider: "anthropic".into(), data: json!({"container": {"id": "k"}}) };
    let caller = json!({"type": "code_execution_20250825", "tool_id": "s1"});
    let mut from_code = ToolCall::new("c1", "add", "{\"a\":1}");
    from_code.private = Some(Box::new(Private { provider: "anthropic".into(), data: json!({"caller": caller}) }));
    let paused = assistant(vec![server_tool(asked.clone()), container.clone()]);
    let waiting = assistant(vec![server_tool(asked.clone()), Part::ToolCall(from_code), container]);
    let sent = |more: Vec<Message>| lowered(&ModelRequest::new(MODEL, [vec![Message::user("u")], more].concat()));

    let goes_on = sent(vec![paused.clone()]);
    assert_eq!((&goes_on["messages"][1]["content"], &goes_on["container"]), (&json!([asked]), &json!("k")));
    let goes_on = sent(vec![waiting, tools(vec![result("c1", vec![Part::text("1")])])]);
    let mut called = tool_use("c1");
    called["caller"] = caller;
    assert_eq!((&goes_on["messages"][1]["content"], &goes_on["container"]), (&json!([asked, called]), &json!("k")));
    let cut = sent(vec![paused, Message::user("never mind")]);
    assert_eq!(cut["messages"], json!([{"role": "user", "content": [text("u"), text("never mind")]}]));
    assert_eq!(cut["container"], Value::Null);
}

#[test]
fn server_tools_come_before_the_requests_own() {
    let mut config = config();
    config.server_tools = vec![json!({"type": "web_search_20250305", "name": "web_search"})];
    let request = ModelRequest { tools: vec![spec(false)], ..ModelRequest::new(MODEL, vec![Message::user("u")]) };
    let tools = lowered_by(config, &request)["tools"].take();
    assert_eq!((&tools[0]["name"], &tools[1]["name"]), (&json!("web_search"), &json!("add")));
}

#[test]
fn extra_fields_win_and_equal_requests_are_equal_bytes() {
    let mut request = ModelRequest::new(MODEL, vec![Message::user("u")]);
    request.extra_body = json!({"model": "other", "top_k": 3, "stream": false}).as_object().unwrap().clone();
    let body = lowered(&request);
    assert_eq!((&body["model"], &body["top_k"], &body["stream"]), (&json!("other"), &json!(3), &json!(false)));
    let dialect = config().into_parts().1;
    assert_eq!(super::body(&request, &dialect).unwrap(), super::body(&request.clone(), &dialect).unwrap());
}
