//! Tests of the request.

use std::sync::Arc;

use atomr_agents_core::{CachePoint, Citation, Media, MediaKind, MediaSource, Private, Sampling, ToolCall};

use super::*;

const OLD: &str = "gemini-2.5-flash";
const NEW: &str = "gemini-3-flash-preview";

fn lowered(request: &ModelRequest) -> Value {
    serde_json::from_slice(&body(request, true).unwrap()).unwrap()
}

fn contents(model: &str, messages: Vec<Message>) -> Value {
    lowered(&ModelRequest::new(model, messages))["contents"].take()
}

fn said(parts: Vec<Part>) -> Message {
    Message { role: Role::Assistant, parts }
}

fn call(id: &str, name: &str, raw: &str, private: Option<Value>) -> Part {
    let mut call = ToolCall::new(id, name, raw);
    call.private = private.map(|data| Box::new(Private { provider: "gemini".into(), data }));
    Part::ToolCall(call)
}

fn result(id: &str, parts: Vec<Part>, is_error: bool) -> Part {
    Part::ToolResult { call_id: id.into(), parts, is_error, artifact: None }
}

fn results(parts: Vec<Part>) -> Message {
    Message { role: Role::Tool, parts }
}

fn media(source: MediaSource, media_type: &str) -> Part {
    Part::Media(Media { kind: MediaKind::Image, source, media_type: media_type.into() })
}

fn tool(strict: bool) -> Arc<ToolSpec> {
    Arc::new(ToolSpec {
        name: "add".into(),
        description: "Adds.".into(),
        parameters: json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}),
        strict,
    })
}

fn shape() -> OutputSchema {
    OutputSchema { name: "n".into(), schema: json!({"type": "object"}), strict: true }
}

#[test]
fn a_whole_tool_conversation() {
    let assistant = said(vec![
        Part::thinking("never shown"),
        call("c1", "add", "{\"a\":1}", Some(json!({"thoughtSignature": "s", "id": "x"}))),
        call("c2", "now", "", None),
    ]);
    let answers =
        results(vec![result("c2", vec![Part::text("noon")], true), result("c1", vec![Part::text("1")], false)]);
    let request = ModelRequest {
        tools: vec![tool(false)],
        tool_choice: ToolChoice::Tool("add".into()),
        output: Some(shape()),
        sampling: Sampling {
            temperature: Some(0.5),
            top_p: Some(0.9),
            max_tokens: Some(7),
            stop: vec!["end".into()],
            seed: Some(3),
            ..Sampling::default()
        },
        ..ModelRequest::new(NEW, vec![Message::system("s"), Message::user("u"), assistant, answers, Message::user("v")])
    };
    assert_eq!(
        lowered(&request),
        json!({
            "systemInstruction": {"parts": [{"text": "s"}]},
            "tools": [{"functionDeclarations": [
                {"name": "add", "description": "Adds.", "parametersJsonSchema": {"type": "object"}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add"]}},
            "contents": [
                {"role": "user", "parts": [{"text": "u"}]},
                {"role": "model", "parts": [
                    {"functionCall": {"id": "x", "name": "add", "args": {"a": 1}}, "thoughtSignature": "s"},
                    {"functionCall": {"name": "now", "args": {}}},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "x", "name": "add", "response": {"output": "1"}}},
                    {"functionResponse": {"name": "now", "response": {"error": "noon"}}},
                    {"text": "v"},
                ]},
            ],
            "generationConfig": {
                "temperature": 0.5, "topP": 0.9, "maxOutputTokens": 7, "stopSequences": ["end"], "seed": 3,
                "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            },
        })
    );
}

#[test]
fn each_tool_choice() {
    let config = |choice: ToolChoice, strict: bool, model: &str| {
        let request = ModelRequest {
            tools: vec![tool(strict)],
            tool_choice: choice,
            ..ModelRequest::new(model, vec![Message::user("u")])
        };
        lowered(&request)["toolConfig"]["functionCallingConfig"].take()
    };
    assert_eq!(config(ToolChoice::Auto, false, OLD), Value::Null);
    assert_eq!(config(ToolChoice::Auto, true, OLD), json!({"mode": "VALIDATED"}));
    assert_eq!(config(ToolChoice::Auto, true, "gemini-2.0-flash"), Value::Null);
    assert_eq!(config(ToolChoice::None, true, OLD), json!({"mode": "NONE"}));
    assert_eq!(config(ToolChoice::Required, false, OLD), json!({"mode": "ANY"}));
    let one = config(ToolChoice::Tool("add".into()), false, OLD);
    assert_eq!(one, json!({"mode": "ANY", "allowedFunctionNames": ["add"]}));
}

#[test]
fn an_old_model_with_tools_is_asked_for_a_shape_in_words() {
    let request = |model: &str, choice: ToolChoice, tools: Vec<Arc<ToolSpec>>| {
        lowered(&ModelRequest {
            tools,
            tool_choice: choice,
            output: Some(shape()),
            ..ModelRequest::new(model, vec![Message::system("s"), Message::user("u")])
        })
    };
    let words = request(OLD, ToolChoice::Auto, vec![tool(false)]);
    assert!(words.get("generationConfig").is_none() && words.get("tools").is_some());
    let system = &words["systemInstruction"]["parts"];
    assert!(system[1]["text"].as_str().unwrap().contains(r#"{"type":"object"}"#), "{system}");
    for forced in [
        request(OLD, ToolChoice::Auto, vec![]),
        request(OLD, ToolChoice::None, vec![tool(false)]),
        request(NEW, ToolChoice::Auto, vec![tool(false)]),
    ] {
        assert_eq!(forced["generationConfig"]["responseJsonSchema"], json!({"type": "object"}));
        assert_eq!(forced["systemInstruction"]["parts"].as_array().unwrap().len(), 1);
    }
    assert!(request(OLD, ToolChoice::None, vec![tool(false)]).get("tools").is_none());
}

#[test]
fn thinking_is_said_as_the_generation_understands_it() {
    let config = |model: &str, effort: Option<&str>, budget: Option<u32>| {
        let sampling =
            Sampling { reasoning_effort: effort.map(str::to_owned), thinking_budget: budget, ..Sampling::default() };
        let request = ModelRequest { sampling, ..ModelRequest::new(model, vec![Message::user("u")]) };
        body(&request, true)
            .map(|body| serde_json::from_slice::<Value>(&body).unwrap()["generationConfig"]["thinkingConfig"].take())
    };
    for (model, effort, budget, want) in [
        (NEW, None, None, Value::Null),
        (NEW, Some("low"), None, json!({"thinkingLevel": "low", "includeThoughts": true})),
        (NEW, Some("HIGH"), Some(5), json!({"thinkingLevel": "high", "includeThoughts": true})),
        (NEW, Some("none"), None, json!({"thinkingLevel": "minimal"})),
        ("gemini-3-pro-preview", Some("none"), None, json!({"thinkingLevel": "low"})),
        (NEW, None, Some(0), json!({"thinkingBudget": 0})),
        (OLD, Some("low"), None, json!({"thinkingBudget": 1024, "includeThoughts": true})),
        (OLD, Some("high"), Some(128), json!({"thinkingBudget": 128, "includeThoughts": true})),
        (OLD, Some("none"), None, json!({"thinkingBudget": 0})),
    ] {
        assert_eq!(config(model, effort, budget).unwrap(), want, "{model} {effort:?} {budget:?}");
    }
    let error = config(OLD, Some("hard"), None).unwrap_err();
    assert!(error.to_string().contains("\"hard\""), "{error}");
}

#[test]
fn only_our_own_proofs_go_back_and_each_beside_its_part() {
    let thought = |text: &str, proof: &str, redacted: bool, provider: &str| Part::Thinking {
        text: text.into(),
        signature: Some(proof.into()),
        redacted,
        provider: Some(provider.into()),
    };
    let theirs = |name: &str| (name.to_owned(), json!({"foreign": true}));
    let (name, data) = theirs("web_search_tool_result");
    let ours = json!({"executableCode": {"code": "1"}, "thoughtSignature": "c"});
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "AA"}});
    let message = said(vec![
        thought("hm", "foreign", false, "anthropic"),
        thought("", "foreign", true, "anthropic"),
        thought("aha", "a", false, "gemini"),
        thought("", "b", true, "gemini"),
        Part::text("Hi"),
        Part::ServerTool { provider: "anthropic".into(), name, data: data.clone() },
        Part::ServerTool { provider: "gemini".into(), name: "executableCode".into(), data: ours.clone() },
        Part::ServerTool { provider: "gemini".into(), name: "groundingMetadata".into(), data: json!({}) },
        Part::Opaque { provider: "openai".into(), data },
        Part::Opaque { provider: "gemini".into(), data: picture.clone() },
        Part::Citation(Citation::default()),
        thought("", "d", true, "gemini"),
    ]);
    assert_eq!(
        contents(NEW, vec![Message::user("u"), message]),
        json!([
            {"role": "user", "parts": [{"text": "u"}]},
            {"role": "model", "parts": [
                {"text": "aha", "thought": true, "thoughtSignature": "a"},
                {"text": "Hi", "thoughtSignature": "b"},
                ours,
                picture,
                {"text": "", "thoughtSignature": "d"},
            ]},
        ])
    );
}

#[test]
fn a_call_that_another_model_made_is_marked_where_the_model_asks_for_a_signature() {
    let mut foreign = ToolCall::new("c1", "add", "{}");
    foreign.private = Some(Box::new(Private { provider: "openai".into(), data: json!({"thoughtSignature": "no"}) }));
    let message = said(vec![Part::ToolCall(foreign), call("c2", "add", "{}", None)]);
    for (model, mark) in [(NEW, json!("skip_thought_signature_validator")), (OLD, Value::Null)] {
        let contents = contents(model, vec![Message::user("u"), message.clone()]);
        let parts = &contents[1]["parts"];
        assert_eq!(parts[0].get("thoughtSignature").unwrap_or(&Value::Null), &mark);
        assert_eq!(parts[1].get("thoughtSignature"), None, "only the first of a turn");
    }
}

#[test]
fn media_of_the_user_and_of_results() {
    let bytes = || media(MediaSource::Base64("AA".into()), "image/png");
    let user = Message {
        role: Role::User,
        parts: vec![
            bytes(),
            media(MediaSource::Url("https://example.org/a.png".into()), ""),
            media(MediaSource::Url("data:image/gif;base64,BB".into()), ""),
            media(MediaSource::FileId("files/abc".into()), "image/png"),
        ],
    };
    let sound = media(MediaSource::Base64("CC".into()), "audio/wav");
    let asked = said(vec![call("c", "draw", "{}", None)]);
    let drawn = results(vec![result("c", vec![Part::text("here"), bytes(), sound], false)]);
    let image = json!({"inlineData": {"mimeType": "image/png", "data": "AA"}});
    let sound = json!({"inlineData": {"mimeType": "audio/wav", "data": "CC"}});
    let uri = "https://generativelanguage.googleapis.com/v1beta/files/abc";
    let new = contents(NEW, vec![user.clone(), asked.clone(), drawn.clone()]);
    assert_eq!(
        new[0]["parts"],
        json!([
            image,
            {"fileData": {"fileUri": "https://example.org/a.png"}},
            {"inlineData": {"mimeType": "image/gif", "data": "BB"}},
            {"fileData": {"mimeType": "image/png", "fileUri": uri}},
        ])
    );
    let response = |parts: Option<Value>| {
        let mut response = json!({"name": "draw", "response": {"output": "here"}});
        if let Some(parts) = parts {
            response["parts"] = parts;
        }
        json!({"functionResponse": response})
    };
    let label = json!({"text": "Returned by draw:"});
    assert_eq!(new[2]["parts"], json!([response(Some(json!([image]))), label, sound]));
    let old = contents(OLD, vec![user, asked, drawn]);
    assert_eq!(old[2]["parts"], json!([response(None), label, image, sound]));
    let nameless = Message { role: Role::User, parts: vec![media(MediaSource::Base64("AA".into()), "")] };
    let error = body(&ModelRequest::new(OLD, vec![nameless]), true).unwrap_err();
    assert!(error.to_string().contains("media type"), "{error}");
}

#[test]
fn calls_without_a_result_and_results_without_a_call_make_no_invalid_transcript() {
    let messages = vec![
        said(vec![call("lost", "add", "{}", None), call("late", "now", "{}", None)]),
        Message::user("Go on"),
        said(vec![Part::text("")]),
        results(vec![result("late", vec![Part::text("noon")], false)]),
        Message::tool_result("nobody", "1", false),
        said(vec![call("late", "now", "{}", None)]),
    ];
    let response =
        |name: &str, key: &str, text: &str| json!({"functionResponse": {"name": name, "response": {key: text}}});
    let lost = "this call has no result: it was not run to its end";
    assert_eq!(
        contents(OLD, messages),
        json!([
            {"role": "user", "parts": [{"text": ""}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "add", "args": {}}}, {"functionCall": {"name": "now", "args": {}}}]},
            {"role": "user", "parts": [
                response("add", "error", lost), response("now", "output", "noon"),
                {"text": "Go on"}, {"text": "Result of tool call nobody: 1"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "now", "args": {}}}]},
            {"role": "user", "parts": [response("now", "error", lost)]},
        ])
    );
}

#[test]
fn repeated_ids_find_their_own_results() {
    let turn = |first: &str, second: &str| {
        [
            said(vec![call("c", "one", "{}", None), call("c", "two", "{}", None)]),
            results(vec![result("c", vec![Part::text(first)], false), result("c", vec![Part::text(second)], false)]),
        ]
    };
    let messages = [turn("1", "2"), turn("3", "4")].concat();
    let contents = contents(OLD, messages);
    let told = |turn: usize, part: usize| &contents[turn]["parts"][part]["functionResponse"]["response"]["output"];
    assert_eq!([told(2, 0), told(2, 1), told(4, 0), told(4, 1)], ["1", "2", "3", "4"]);
}

#[test]
fn arguments_that_are_no_object_are_sent_inside_one() {
    for (raw, sent) in [
        ("{\"a\": 1}", json!({"a": 1})),
        ("{\"a\": ", json!({"invalid_arguments": "{\"a\": "})),
        ("[1]", json!({"invalid_arguments": "[1]"})),
        (" ", json!({})),
    ] {
        let contents = contents(OLD, vec![said(vec![call("c", "add", raw, None)])]);
        assert_eq!(contents[1]["parts"][0]["functionCall"]["args"], sent);
    }
}

#[test]
fn what_is_empty_is_left_out_and_turns_alternate() {
    let messages = vec![
        Message::user("a"),
        Message::user(""),
        Message::user("b"),
        said(vec![Part::thinking("hm")]),
        said(vec![Part::Refusal { text: "no".into() }]),
        Message::assistant("c"),
    ];
    assert_eq!(
        contents(NEW, messages),
        json!([
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
            {"role": "model", "parts": [{"text": "no"}, {"text": "c"}]},
        ])
    );
    assert_eq!(contents(NEW, vec![Message::system("s")]), json!([{"role": "user", "parts": [{"text": ""}]}]));
}

#[test]
fn extra_fields_win_and_objects_are_joined() {
    let mut request = ModelRequest::new(OLD, vec![Message::system("s"), Message::user("u")]);
    request.tools = vec![tool(false)];
    request.sampling.max_tokens = Some(7);
    request.sampling.temperature = Some(1.0);
    let extra = json!({
        "generationConfig": {"topK": 3, "temperature": 0.0},
        "tools": [{"googleSearch": {}}],
        "safetySettings": [],
    });
    request.extra_body = extra.as_object().unwrap().clone();
    let sent = lowered(&request);
    assert_eq!(sent["generationConfig"], json!({"temperature": 0.0, "maxOutputTokens": 7, "topK": 3}));
    assert_eq!((&sent["tools"], &sent["safetySettings"]), (&json!([{"googleSearch": {}}]), &json!([])));
    request.extra_body = json!({"cachedContent": "cachedContents/1"}).as_object().unwrap().clone();
    let sent = lowered(&request);
    assert!(sent.get("systemInstruction").is_none() && sent.get("tools").is_none(), "they are part of what is kept");
}

#[test]
fn cache_points_and_metadata_have_no_place_and_change_nothing() {
    let plain = ModelRequest::new(OLD, vec![Message::system("s"), Message::user("u")]);
    let mut marked = plain.clone();
    marked.cache = vec![CachePoint::Tools, CachePoint::System, CachePoint::Messages];
    marked.metadata = json!({"user_id": "u1"}).as_object().unwrap().clone();
    assert_eq!(lowered(&marked), lowered(&plain));
}
