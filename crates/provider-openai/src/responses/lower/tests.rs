//! Tests of the request.

use std::sync::Arc;

use atomr_agents_core::{
    CachePoint, Citation, Media, MediaKind, MediaSource, Message, OutputSchema, Part, Private, Role, Sampling,
    ToolCall, ToolSpec,
};

use super::*;

fn written(request: &ModelRequest, options: &ResponsesOptions) -> Value {
    serde_json::from_slice(&body(request, options).unwrap()).unwrap()
}

fn lowered(messages: Vec<Message>) -> Value {
    written(&ModelRequest::new("m", messages), &ResponsesOptions::default())
}

fn items(messages: Vec<Message>) -> Value {
    lowered(messages)["input"].clone()
}

fn said(parts: Vec<Part>) -> Message {
    Message { role: Role::Assistant, parts }
}

fn result(call_id: &str, parts: Vec<Part>) -> Part {
    Part::ToolResult { call_id: call_id.into(), parts, is_error: false, artifact: None }
}

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall::new(id, "add", "{\"a\":1}"))
}

fn thought(proof: &Value, provider: &str) -> Part {
    Part::Thinking {
        text: "never shown".into(),
        signature: Some(proof.to_string()),
        redacted: false,
        provider: Some(provider.into()),
    }
}

fn own(item: Value) -> Part {
    let name = item["type"].as_str().unwrap().to_owned();
    Part::ServerTool { provider: PROVIDER.into(), name, data: item }
}

fn spec() -> Arc<ToolSpec> {
    Arc::new(ToolSpec {
        name: "add".into(),
        description: "Adds.".into(),
        parameters: json!({"type": "object"}),
        strict: false,
    })
}

#[test]
fn a_whole_tool_conversation() {
    let image =
        Media { kind: MediaKind::Image, source: MediaSource::Base64("AAAA".into()), media_type: "image/png".into() };
    let reasoning = json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "sealed"});
    let phase = Part::Opaque { provider: PROVIDER.into(), data: json!({"type": "message", "phase": "commentary"}) };
    let assistant = said(vec![
        thought(&reasoning, PROVIDER),
        phase,
        Part::text("I add."),
        Part::ToolCall(ToolCall::new("c1", "add", "{\"a\":1}")),
        Part::ToolCall(ToolCall::new("c2", "now", "")),
    ]);
    let results = Message {
        role: Role::Tool,
        parts: vec![
            result("c2", vec![Part::text("see "), Part::Media(image.clone())]),
            result("c1", vec![Part::text("1"), Part::text("2")]),
        ],
    };
    let asked = Message { role: Role::User, parts: vec![Part::text("u"), Part::Media(image)] };
    let request = ModelRequest {
        tools: vec![spec()],
        tool_choice: ToolChoice::Tool("add".into()),
        output: Some(OutputSchema { name: "n".into(), schema: json!({"type": "object"}), strict: true }),
        sampling: Sampling {
            temperature: Some(0.5),
            top_p: Some(0.25),
            max_tokens: Some(70),
            reasoning_effort: Some("low".into()),
            ..Sampling::default()
        },
        cache: vec![CachePoint::System],
        metadata: json!({"user_id": "u1", "prompt_cache_key": "k", "team": "a", "n": 1}).as_object().unwrap().clone(),
        ..ModelRequest::new("gpt-5", vec![Message::system("s"), Message::system("t"), asked, assistant, results])
    };
    let options = ResponsesOptions {
        reasoning_summary: Some("auto".into()),
        tools: vec![json!({"type": "web_search"})],
        prompt_cache_retention: Some("24h".into()),
        ..ResponsesOptions::default()
    };
    let picture = json!({"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"});
    assert_eq!(
        written(&request, &options),
        json!({
            "model": "gpt-5",
            "instructions": "s\n\nt",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "u"}, picture]},
                reasoning,
                {"type": "message", "role": "assistant", "phase": "commentary",
                    "content": [{"type": "output_text", "text": "I add."}]},
                {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{\"a\":1}"},
                {"type": "function_call", "call_id": "c2", "name": "now", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "12"},
                {"type": "function_call_output", "call_id": "c2", "output": [
                    {"type": "input_text", "text": "see "}, picture]},
            ],
            "tools": [
                {"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object"}, "strict": false},
                {"type": "web_search"},
            ],
            "tool_choice": {"type": "function", "name": "add"},
            "temperature": 0.5,
            "top_p": 0.25,
            "max_output_tokens": 70,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
            "include": ["reasoning.encrypted_content"],
            "store": false,
            "stream": true,
            "prompt_cache_retention": "24h",
            "prompt_cache_key": "k",
            "safety_identifier": "u1",
            "metadata": {"team": "a", "n": "1"},
        })
    );
}

#[test]
fn every_choice_of_a_tool() {
    let options = ResponsesOptions {
        tools: vec![json!({"type": "web_search"}), json!({"type": "custom", "name": "sh"})],
        ..ResponsesOptions::default()
    };
    for (choice, sent) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!("none")),
        (ToolChoice::Required, json!("required")),
        (ToolChoice::Tool("add".into()), json!({"type": "function", "name": "add"})),
        (ToolChoice::Tool("sh".into()), json!({"type": "custom", "name": "sh"})),
        (ToolChoice::Tool("web_search".into()), json!({"type": "web_search"})),
    ] {
        let request = ModelRequest { tool_choice: choice, tools: vec![spec()], ..ModelRequest::new("m", vec![]) };
        assert_eq!(written(&request, &options)["tool_choice"], sent);
    }
    let request = ModelRequest { tool_choice: ToolChoice::Required, ..ModelRequest::new("m", vec![]) };
    assert_eq!(written(&request, &ResponsesOptions::default())["tool_choice"], Value::Null, "there is no tool");
}

#[test]
fn a_call_without_a_result_gets_one_and_a_result_without_a_call_is_left_out() {
    let answered = Message { role: Role::Tool, parts: vec![result("b", vec![Part::text("B")]), result("z", vec![])] };
    let sent = items(vec![said(vec![call("a"), call("b")]), Message::user("wait"), answered, Message::user("on")]);
    let outputs: Vec<(&str, &str)> = sent
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["type"] == "function_call_output")
        .map(|item| (item["call_id"].as_str().unwrap(), item["output"].as_str().unwrap()))
        .collect();
    assert_eq!(outputs, [("a", "Error: this call has no result, it was interrupted."), ("b", "B")]);
    let order: Vec<&str> = sent.as_array().unwrap().iter().filter_map(|item| item["type"].as_str()).collect();
    assert_eq!(order, ["function_call", "function_call", "function_call_output", "function_call_output"]);
}

#[test]
fn ids_that_repeat_are_empty_or_too_long_are_replaced_together_with_those_of_their_results() {
    let long = "x".repeat(65);
    let turn = |id: &str, text: &str| {
        [said(vec![call(id)]), Message { role: Role::Tool, parts: vec![result(id, vec![Part::text(text)])] }]
    };
    let messages = [turn("a", "1"), turn("a", "2"), turn("", "3"), turn(&long, "4"), turn("call_1", "5")].concat();
    let sent = items(messages);
    let (mut ids, mut outputs) = (vec![], vec![]);
    for pair in sent.as_array().unwrap().chunks(2) {
        assert_eq!(pair[0]["call_id"], pair[1]["call_id"]);
        ids.push(pair[0]["call_id"].as_str().unwrap());
        outputs.push(pair[1]["output"].as_str().unwrap());
    }
    assert_eq!(outputs, ["1", "2", "3", "4", "5"]);
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert!(unique.len() == 5 && ids.iter().all(|id| (1..=64).contains(&id.len())), "{ids:?}");
}

#[test]
fn what_a_model_wrote_wrongly_does_not_make_the_transcript_unreadable() {
    for (name, raw, sent_name, sent) in [
        ("add", "{\"a\": ", "add", json!({"invalid_arguments": "{\"a\": "})),
        ("add", "[1]", "add", json!({"invalid_arguments": "[1]"})),
        ("fun.ction ü", " ", "fun_ction__", json!({})),
        ("", "{}", "unnamed", json!({})),
    ] {
        let sent_items = items(vec![said(vec![Part::ToolCall(ToolCall::new("c", name, raw))])]);
        assert_eq!(sent_items[0]["name"], sent_name);
        let arguments = sent_items[0]["arguments"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), sent);
    }
}

#[test]
fn custom_tools_and_namespaces_go_back_as_they_came() {
    let with = |data: Value, raw: &str, provider: &str| {
        let mut call = ToolCall::new("c", "sh", raw);
        call.private = Some(Box::new(Private { provider: provider.into(), data }));
        items(vec![said(vec![Part::ToolCall(call)]), Message::tool_result("c", "ok", false)])
    };
    let custom = json!({"type": "custom_tool_call", "namespace": "n"});
    let text = json!({"input": "ls \"a\"\n"}).to_string();
    assert_eq!(
        with(custom.clone(), &text, PROVIDER),
        json!([
            {"type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls \"a\"\n", "namespace": "n"},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        ])
    );
    assert_eq!(with(custom.clone(), "plain", PROVIDER)[0]["input"], "plain");
    assert_eq!(with(custom, &text, "another")[0]["type"], "function_call");
    assert_eq!(with(json!({"namespace": "n"}), "{}", PROVIDER)[0]["namespace"], "n");
}

#[test]
fn what_belongs_to_others_and_thoughts_that_led_to_nothing_are_left_out() {
    let reasoning = json!({"type": "reasoning", "summary": [], "encrypted_content": "e"});
    let foreign = vec![
        Part::thinking("unproven"),
        thought(&reasoning, "anthropic"),
        thought(&json!({"type": "function_call"}), PROVIDER),
        thought(&json!("no item"), PROVIDER),
        Part::ServerTool { provider: "anthropic".into(), name: "x".into(), data: json!({"type": "x_call"}) },
        Part::Opaque { provider: "openai".into(), data: json!({"type": "x"}) },
        Part::Opaque { provider: PROVIDER.into(), data: json!({"no": "type"}) },
        thought(&reasoning, PROVIDER),
    ];
    assert_eq!(items(vec![Message::user("u"), said(foreign)]), json!([{"role": "user", "content": "u"}]));
    let led = said(vec![thought(&reasoning, PROVIDER), Part::text("so")]);
    assert_eq!(items(vec![led])[0], reasoning);
    let silent = vec![Message::user(""), said(vec![Part::text("")]), Message { role: Role::User, parts: vec![] }];
    assert_eq!(items(silent), json!([]));
    let alone = lowered(vec![Message::system("s"), Message::system("")]);
    assert_eq!((&alone["instructions"], &alone["input"]), (&Value::Null, &json!([{"role": "system", "content": "s"}])));
    let later = lowered(vec![Message::user("u"), Message::system("s")]);
    assert_eq!(later["input"][1], json!({"role": "system", "content": "s"}));
}

#[test]
fn texts_with_citations_and_refusals_are_one_message() {
    let citation = |provider: &str| {
        let data = json!({"type": "url_citation", "url": "u"});
        Part::Citation(Citation { provider: provider.into(), data, ..Citation::default() })
    };
    let parts = vec![
        Part::text("a"),
        citation(PROVIDER),
        Part::text("b"),
        citation("another"),
        Part::Refusal { text: "no".into() },
    ];
    assert_eq!(
        items(vec![said(parts)]),
        json!([{"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": "ab", "annotations": [{"type": "url_citation", "url": "u"}]},
            {"type": "refusal", "refusal": "no"},
        ]}])
    );
}

#[test]
fn items_of_the_provider_go_back_and_what_it_left_to_the_caller_only_with_its_output() {
    let search = json!({"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search"}});
    let shell = json!({"type": "shell_call", "call_id": "s1", "action": {"commands": ["ls"]}});
    let output = json!({"type": "shell_call_output", "call_id": "s1", "output": []});
    let image =
        json!({"type": "image_generation_call", "id": "ig", "status": "completed", "result": "AAAA", "quality": "low"});
    let compaction = json!({"type": "compaction", "id": "cmp", "encrypted_content": "e"});
    let opaque = Part::Opaque { provider: PROVIDER.into(), data: compaction.clone() };
    let parts = vec![own(search.clone()), own(shell.clone()), own(image), opaque];
    let sent = items(vec![said(parts.clone())]);
    let kept = json!({"type": "image_generation_call", "id": "ig", "status": "completed", "result": "AAAA"});
    assert_eq!(sent, json!([search, kept, compaction]));
    let answered = Message { role: Role::Tool, parts: vec![own(output.clone())] };
    assert_eq!(items(vec![said(parts), answered.clone()]), json!([search, shell, kept, compaction, output]));
    assert_eq!(items(vec![answered]), json!([]), "an output without a call");
}

#[test]
fn media_of_every_source_that_it_knows_and_no_other() {
    let media = |kind: MediaKind, source: MediaSource, media_type: &str| Message {
        role: Role::User,
        parts: vec![Part::Media(Media { kind, source, media_type: media_type.into() })],
    };
    for (message, sent) in [
        (
            media(MediaKind::Image, MediaSource::Url("u".into()), ""),
            json!({"type": "input_image", "detail": "auto", "image_url": "u"}),
        ),
        (
            media(MediaKind::Image, MediaSource::FileId("f".into()), ""),
            json!({"type": "input_image", "detail": "auto", "file_id": "f"}),
        ),
        (media(MediaKind::Document, MediaSource::Url("u".into()), ""), json!({"type": "input_file", "file_url": "u"})),
        (
            media(MediaKind::Document, MediaSource::FileId("f".into()), ""),
            json!({"type": "input_file", "file_id": "f"}),
        ),
        (
            media(MediaKind::Document, MediaSource::Base64("AA==".into()), "application/pdf"),
            json!({"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,AA=="}),
        ),
    ] {
        assert_eq!(items(vec![message])[0]["content"][0], sent);
    }
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let request = ModelRequest::new("m", vec![media(kind, MediaSource::Url("u".into()), "")]);
        let error = body(&request, &ResponsesOptions::default()).unwrap_err().to_string();
        assert!(error.contains("takes no"), "{error}");
    }
}

#[test]
fn extra_fields_win_and_what_cannot_be_said_is_an_error() {
    let mut request = ModelRequest::new("m", vec![Message::user("u")]);
    request.extra_body = json!({"model": "other", "store": true, "include": ["x"]}).as_object().unwrap().clone();
    let sent = written(&request, &ResponsesOptions::default());
    assert_eq!((&sent["model"], &sent["store"], &sent["include"]), (&json!("other"), &json!(true), &json!(["x"])));
    request.sampling.stop = vec!["END".into()];
    assert!(body(&request, &ResponsesOptions::default()).unwrap_err().to_string().contains("stop"));
    let none = ModelRequest {
        sampling: Sampling { thinking_budget: Some(0), ..Sampling::default() },
        ..ModelRequest::new("m", vec![])
    };
    let whole = ResponsesOptions { streaming: false, ..ResponsesOptions::default() };
    let sent = written(&none, &whole);
    assert_eq!((&sent["reasoning"], &sent["stream"]), (&json!({"effort": "none"}), &Value::Null));
}
