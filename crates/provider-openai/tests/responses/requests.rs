//! The recorded requests, said in the neutral form and lowered again, are the same requests.

use std::sync::Arc;

use atomr_agents_core::{
    Media, MediaKind, MediaSource, Message, ModelRequest, OutputSchema, Part, Private, Role, ToolCall, ToolChoice,
    ToolSpec,
};
use atomr_agents_inference::InferenceClient;
use atomr_agents_provider_openai::OpenAiResponsesClient;
use serde_json::{Value, json};

use super::{PROVIDER, RESPONSES, config};

/// The neutral request and the provider's own tools.
fn neutral(body: &Value) -> (ModelRequest, Vec<Value>) {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let mut request = ModelRequest::new(text("model"), vec![]);
    if !text("instructions").is_empty() {
        request.messages.push(Message::system(text("instructions")));
    }
    for item in body["input"].as_array().unwrap() {
        item_message(item, &mut request.messages);
    }
    let mut own = Vec::new();
    for tool in body["tools"].as_array().into_iter().flatten() {
        if tool["type"] == "function" && tool["defer_loading"].is_null() {
            request.tools.push(Arc::new(ToolSpec {
                name: tool["name"].as_str().unwrap().into(),
                description: tool["description"].as_str().unwrap_or_default().into(),
                parameters: tool["parameters"].clone(),
                strict: tool["strict"] == true,
            }));
        } else {
            own.push(tool.clone());
        }
    }
    request.tool_choice = match body["tool_choice"].as_str() {
        Some("required") => ToolChoice::Required,
        _ => ToolChoice::Auto,
    };
    let format = &body["text"]["format"];
    request.output = format.is_object().then(|| OutputSchema {
        name: format["name"].as_str().unwrap().into(),
        schema: format["schema"].clone(),
        strict: format["strict"] == true,
    });
    request.sampling.max_tokens = body["max_output_tokens"].as_u64().map(|most| most.try_into().unwrap());
    request.sampling.temperature = body["temperature"].as_f64();
    request.sampling.reasoning_effort = body["reasoning"]["effort"].as_str().map(str::to_owned);
    for name in ["background", "context_management"] {
        if !body[name].is_null() {
            request.extra_body.insert(name.into(), body[name].clone());
        }
    }
    (request, own)
}

fn item_message(item: &Value, messages: &mut Vec<Message>) {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let (role, part) = match item["type"].as_str().unwrap_or("message") {
        "message" => {
            let role = match item["role"].as_str().unwrap() {
                "system" | "developer" => Role::System,
                "user" => Role::User,
                _ => Role::Assistant,
            };
            let parts = match &item["content"] {
                Value::String(text) => vec![Part::text(text)],
                list => list.as_array().unwrap().iter().map(content_part).collect(),
            };
            messages.push(Message { role, parts });
            return;
        }
        "reasoning" => (
            Role::Assistant,
            Part::Thinking {
                text: String::new(),
                signature: Some(item.to_string()),
                redacted: true,
                provider: Some(PROVIDER.into()),
            },
        ),
        "function_call" => {
            let mut call = ToolCall::new(text("call_id"), text("name"), text("arguments"));
            if let Some(namespace) = item["namespace"].as_str() {
                call.private =
                    Some(Box::new(Private { provider: PROVIDER.into(), data: json!({"namespace": namespace}) }));
            }
            (Role::Assistant, Part::ToolCall(call))
        }
        "function_call_output" => {
            let parts = vec![Part::text(text("output"))];
            (Role::Tool, Part::ToolResult { call_id: text("call_id"), parts, is_error: false, artifact: None })
        }
        other => panic!("{other}"),
    };
    match messages.last_mut().filter(|last| last.role == role) {
        Some(last) => last.parts.push(part),
        None => messages.push(Message { role, parts: vec![part] }),
    }
}

fn content_part(part: &Value) -> Part {
    match part["type"].as_str().unwrap() {
        "input_text" | "output_text" => Part::text(part["text"].as_str().unwrap()),
        "input_image" => Part::Media(Media {
            kind: MediaKind::Image,
            source: MediaSource::Url(part["image_url"].as_str().unwrap().into()),
            media_type: String::new(),
        }),
        other => panic!("{other}"),
    }
}

/// The request with what has two spellings in one: system messages at the beginning are instructions, text alone is a
/// list of one part, and defaults are left out.
fn plain(mut body: Value) -> Value {
    let mut instructions = body["instructions"].as_str().unwrap_or_default().to_owned();
    let mut items = Vec::new();
    for mut item in body["input"].as_array().unwrap().clone() {
        let role = item["role"].as_str().unwrap_or_default().to_owned();
        if items.is_empty() && instructions.is_empty() && matches!(role.as_str(), "system" | "developer") {
            instructions = item["content"].as_str().unwrap().to_owned();
            continue;
        }
        let fields = item.as_object_mut().unwrap();
        if !role.is_empty() {
            fields.remove("type");
            fields.remove("id");
            if let Some(Value::String(text)) = fields.get("content").cloned() {
                fields.insert("content".into(), json!([{"type": "input_text", "text": text}]));
            }
            for part in fields["content"].as_array_mut().unwrap() {
                let part = part.as_object_mut().unwrap();
                part.retain(|_, value| *value != json!([]) && *value != "auto");
            }
        }
        items.push(item);
    }
    body["instructions"] = instructions.into();
    body["input"] = items.into();
    for tool in body["tools"].as_array_mut().into_iter().flatten() {
        tool.as_object_mut().unwrap().retain(|_, value| *value != json!(false) && !value.is_null());
    }
    if let Some(Value::Object(format)) = body.pointer_mut("/text/format") {
        format.retain(|_, value| *value != json!(false));
    }
    if let Some(temperature) = body["temperature"].as_f64() {
        body["temperature"] = json!(temperature);
    }
    let fields = body.as_object_mut().unwrap();
    // These say how the client works, not what is asked for.
    for name in ["stream", "store", "include"] {
        fields.remove(name);
    }
    fields.retain(|_, value| !value.is_null() && *value != "" && *value != "auto");
    body
}

#[test]
fn recorded_requests_lower_to_themselves() {
    let mut seen = 0;
    for case in RESPONSES.cases() {
        let recorded = RESPONSES.load(&case).request;
        if !recorded.is_object() {
            continue;
        }
        let (neutral, own) = neutral(&recorded);
        let mut config = config("http://127.0.0.1:1/v1");
        config.options.tools = own;
        config.options.reasoning_summary = recorded["reasoning"]["summary"].as_str().map(str::to_owned);
        let client = OpenAiResponsesClient::new(config).unwrap();
        let lowered: Value = serde_json::from_slice(&client.lower(&neutral).unwrap().body).unwrap();
        let asks = |body: &Value| {
            body["include"].as_array().is_some_and(|list| list.iter().any(|what| what == "reasoning.encrypted_content"))
        };
        assert!(asks(&lowered) || !asks(&recorded), "{case}: the encrypted reasoning");
        assert_eq!((&lowered["store"], &lowered["stream"]), (&json!(false), &json!(true)), "{case}");
        assert_eq!(plain(lowered), plain(recorded), "{case}");
        seen += 1;
    }
    assert!(seen >= 32, "{seen}");
}
