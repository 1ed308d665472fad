//! What was recorded, through the neutral form and back: requests as they were sent, and replies as the next request
//! repeats them.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::fs;
use std::sync::Arc;

use atomr_agents_core::{
    Media, MediaKind, MediaSource, Message, ModelRequest, Part, Role, Sampling, ToolChoice, ToolSpec,
};
use atomr_agents_inference::InferenceClient;
use atomr_agents_provider_anthropic::AnthropicClient;
use common::{RECORDINGS, answer, client, config, serve};
use serde_json::{Map, Value, json};

/// Text as a list of blocks, defaults left out: two requests that mean the same are the same then.
fn plain(mut body: Value) -> Value {
    let blocks = |content: &mut Value| {
        if let Value::String(text) = content {
            *content = json!([{"type": "text", "text": text}]);
        }
    };
    blocks(&mut body["system"]);
    for message in body["messages"].as_array_mut().unwrap() {
        blocks(&mut message["content"]);
    }
    let fields = body.as_object_mut().unwrap();
    if fields.get("tool_choice").is_some_and(|choice| choice["type"] == "auto") {
        fields.remove("tool_choice");
    }
    fields.retain(|_, value| !value.is_null());
    body
}

/// The recorded request in neutral words; what has none goes into the extra fields.
fn lifted(body: &Value) -> ModelRequest {
    let mut extra: Map<String, Value> = body.as_object().unwrap().clone();
    let mut take = |key: &str| extra.shift_remove(key).unwrap_or_default();
    let model = take("model").as_str().unwrap_or_default().to_owned();
    let system = take("system");
    let mut messages: Vec<Message> =
        system.as_array().into_iter().flatten().map(|block| Message::system(block["text"].as_str().unwrap())).collect();
    for message in take("messages").as_array().unwrap() {
        let role = if message["role"] == "user" { Role::User } else { Role::Assistant };
        messages.push(Message { role, parts: message["content"].as_array().unwrap().iter().map(part).collect() });
    }
    let thinking = take("thinking");
    let sampling = Sampling {
        max_tokens: take("max_tokens").as_u64().map(|most| most as u32),
        temperature: take("temperature").as_f64(),
        stop: serde_json::from_value(take("stop_sequences")).unwrap_or_default(),
        thinking_budget: thinking["budget_tokens"].as_u64().map(|budget| budget as u32),
        reasoning_effort: take("output_config")["effort"].as_str().map(str::to_owned),
        ..Sampling::default()
    };
    let tools = take("tools");
    let own = |tool: &Value| {
        let fields = tool.as_object().unwrap();
        fields.keys().all(|key| ["name", "description", "input_schema"].contains(&key.as_str()))
    };
    let mut specs = Vec::new();
    if let Value::Array(list) = &tools {
        if list.iter().all(own) {
            specs = list.iter().map(spec).collect();
        } else {
            extra.insert("tools".into(), tools);
        }
    }
    ModelRequest {
        tools: specs,
        tool_choice: ToolChoice::Auto,
        sampling,
        extra_body: extra,
        ..ModelRequest::new(model, messages)
    }
}

fn spec(tool: &Value) -> Arc<ToolSpec> {
    Arc::new(ToolSpec {
        name: tool["name"].as_str().unwrap().to_owned(),
        description: tool["description"].as_str().unwrap_or_default().to_owned(),
        parameters: tool["input_schema"].clone(),
        strict: false,
    })
}

fn part(block: &Value) -> Part {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match block["type"].as_str().unwrap() {
        "text" if block.as_object().unwrap().len() == 2 => Part::text(text(&block["text"])),
        "image" => Part::Media(Media {
            kind: MediaKind::Image,
            source: MediaSource::Base64(text(&block["source"]["data"])),
            media_type: text(&block["source"]["media_type"]),
        }),
        _ => Part::Opaque { provider: "anthropic".into(), data: block.clone() },
    }
}

#[test]
fn recorded_requests_pass_through_the_neutral_form() {
    let client = AnthropicClient::new(config("https://api.anthropic.com")).unwrap();
    let mut seen = 0;
    for case in RECORDINGS.cases() {
        let recorded: Value =
            serde_json::from_slice(&fs::read(RECORDINGS.path(&case).join("request.json")).unwrap()).unwrap();
        let body = &recorded["body"];
        if body["messages"].is_null() {
            continue; // the request is not known
        }
        // Vertex has the model in its path.
        let sent = plain(body.clone());
        let request = lifted(&sent);
        let lowered = client.lower(&request).unwrap();
        let mut lowered = plain(serde_json::from_slice(&lowered.body).unwrap());
        let mut sent = sent;
        for body in [&mut sent, &mut lowered] {
            let fields = body.as_object_mut().unwrap();
            fields.remove("stream");
            fields.retain(|key, value| key != "model" || value != "");
        }
        merge_turns(&mut sent);
        assert_eq!(lowered, sent, "{case}");
        seen += 1;
    }
    assert_eq!(seen, 33);
}

/// Neighbours of one role are one turn, as the API reads them.
fn merge_turns(body: &mut Value) {
    let mut turns: Vec<Value> = Vec::new();
    for message in body["messages"].as_array().unwrap() {
        match turns.last_mut().filter(|last| last["role"] == message["role"]) {
            Some(last) => {
                let more = message["content"].as_array().unwrap().clone();
                last["content"].as_array_mut().unwrap().extend(more);
            }
            None => turns.push(message.clone()),
        }
    }
    body["messages"] = Value::Array(turns);
}

/// A block of a request as `expected.json` describes it.
fn described(block: &Value) -> Value {
    let mut out = json!({"type": block["type"]});
    for key in ["id", "name", "tool_use_id", "server_name", "text", "thinking"] {
        if !block[key].is_null() {
            out[key] = block[key].clone();
        }
    }
    let length = |value: &Value| value.as_str().map(str::len);
    if let Some(length) = length(&block["signature"]) {
        out["signature_len"] = json!(length);
    }
    if let Some(length) = length(&block["data"]) {
        out["data_len"] = json!(length);
    }
    if let Value::Array(citations) = &block["citations"] {
        out["citations"] = json!(citations.len());
    }
    if block["type"] != "tool_use" && block["input"].as_object().is_some_and(|input| !input.is_empty()) {
        out["input"] = block["input"].clone();
    }
    match &block["content"] {
        Value::Array(items) => out["content_items"] = json!(items.len()),
        Value::Object(content) => {
            out["content_type"] = content["type"].clone();
            if let Some(code) = content.get("error_code") {
                out["error_code"] = code.clone();
            }
        }
        _ => {}
    }
    out
}

/// Text blocks without a citation run into the next one; blank ones are not sent.
fn as_sent(blocks: &[Value]) -> Vec<Value> {
    let mut joined: Vec<Value> = Vec::new();
    for block in blocks {
        match joined.last_mut() {
            Some(last) if last["type"] == "text" && last["citations"].is_null() && block["type"] == "text" => {
                let text = last["text"].as_str().unwrap().to_owned() + block["text"].as_str().unwrap();
                *last = block.clone();
                last["text"] = json!(text);
            }
            _ => joined.push(block.clone()),
        }
    }
    joined.retain(|block| block["type"] != "text" || !block["text"].as_str().unwrap().trim().is_empty());
    joined
}

#[tokio::test]
async fn the_next_request_repeats_a_reply_block_by_block() {
    let mut seen = 0;
    for case in RECORDINGS.cases() {
        let expected = RECORDINGS.expected(&case);
        if expected["outcome"] != "ok" || expected["content_blocks"].as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        let server = serve(RECORDINGS.load(&case)).await;
        let client = client(&server);
        let (builder, _, error) = answer(&client).await;
        assert!(error.is_none(), "{case}: {error:?}");
        let reply = builder.finish().unwrap();
        // Through JSON, as a stored transcript comes back.
        let stored = serde_json::to_string(&reply.message).unwrap();
        let message: Message = serde_json::from_str(&stored).unwrap();
        assert_eq!(message, reply.message, "{case}");
        let request = ModelRequest::new("claude-sonnet-4-5", vec![Message::user("u"), message.clone()]);
        let body: Value = serde_json::from_slice(&client.lower(&request).unwrap().body).unwrap();
        let content = &body["messages"][1]["content"];
        let sent: Vec<Value> = content.as_array().unwrap().iter().map(described).collect();
        assert_eq!(sent, as_sent(expected["content_blocks"].as_array().unwrap()), "{case}");
        assert_eq!(body["container"], expected["container_id"], "{case}");
        for (call, wanted) in message.tool_calls().zip(expected["tool_calls"].as_array().unwrap()) {
            let block = content.as_array().unwrap().iter().find(|block| block["id"] == call.id.as_str()).unwrap();
            if wanted["arguments"].is_object() {
                assert_eq!(block["input"], wanted["arguments"], "{case}");
            }
        }
        seen += 1;
        server.stop().await;
    }
    assert_eq!(seen, 32);
}

#[tokio::test]
async fn a_call_from_code_goes_back_with_its_caller_and_container() {
    let server = serve(RECORDINGS.load("programmatic-tool-stream")).await;
    let client = client(&server);
    let reply = answer(&client).await.0.finish().unwrap();
    let id = reply.message.tool_calls().next().unwrap().id.clone();
    let transcript = vec![Message::user("u"), reply.message, Message::tool_result(id, "Sunny", false)];
    let body = client.lower(&ModelRequest::new("claude-sonnet-4-5", transcript)).unwrap().body;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let wanted = json!({"type": "code_execution_20250825", "tool_id": "srvtoolu_01F9GUNLCL8F2quc5N9HwdST"});
    assert_eq!(body["messages"][1]["content"][1]["caller"], wanted);
    assert_eq!(body["container"], "container_011CVwfKJZEi4JGBpL5TvMbY");
    server.stop().await;
}

#[test]
fn the_prompt_of_the_next_turn_goes_on_from_this_one() {
    let client = AnthropicClient::new(config("https://api.anthropic.com")).unwrap();
    let mut request = common::request();
    request.messages.insert(0, Message::system("Be brief."));
    let first = client.lower(&request).unwrap().prefix();
    request.messages.extend([Message::assistant("Hello."), Message::user("Bergen?")]);
    assert_eq!(first.broken_by(&client.lower(&request).unwrap().prefix()), None);
    request.messages[0] = Message::system("Be long.");
    let broken = first.broken_by(&client.lower(&request).unwrap().prefix()).unwrap();
    assert!(broken.owner.starts_with("system[0]"), "{broken}");
}
