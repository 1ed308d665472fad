//! The recorded requests, read into the neutral form and written again, mean what they meant.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::fs;
use std::sync::Arc;

use atomr_agents_core::{
    Media, MediaKind, MediaSource, Message, ModelRequest, OutputSchema, Part, Private, Role, ToolCall, ToolChoice,
    ToolSpec,
};
use atomr_agents_inference::InferenceClient;
use atomr_agents_provider_gemini::{GeminiClient, GeminiConfig};
use common::RECORDINGS;
use serde_json::{Map, Value, json};

/// The fields that the neutral form has words for; all others go through `extra_body`.
const SETTINGS: &[&str] = &[
    "temperature",
    "topP",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "thinkingConfig",
    "responseJsonSchema",
    "responseMimeType",
];

/// A recorded body in the neutral form.
fn neutral(model: &str, body: &Value) -> ModelRequest {
    let mut request = ModelRequest::new(model, Vec::new());
    for part in list(&body["systemInstruction"]["parts"]) {
        request.messages.push(Message::system(part["text"].as_str().unwrap()));
    }
    for (at, content) in list(&body["contents"]).iter().enumerate() {
        let role = if content["role"] == "model" { Role::Assistant } else { Role::User };
        let parts = list(&content["parts"]).iter().map(|part| neutral_part(at, part)).collect();
        request.messages.push(Message { role, parts });
    }
    for tool in list(&body["tools"]).iter().flat_map(|tool| list(&tool["functionDeclarations"])) {
        request.tools.push(Arc::new(ToolSpec {
            name: tool["name"].as_str().unwrap().to_owned(),
            description: tool["description"].as_str().unwrap_or_default().to_owned(),
            parameters: tool["parametersJsonSchema"].clone(),
            strict: false,
        }));
    }
    let calling = &body["toolConfig"]["functionCallingConfig"];
    request.tool_choice = match (calling["mode"].as_str(), list(&calling["allowedFunctionNames"])) {
        (Some("ANY"), [name]) => ToolChoice::Tool(name.as_str().unwrap().to_owned()),
        (Some("ANY"), _) => ToolChoice::Required,
        (Some("NONE"), _) => ToolChoice::None,
        _ => ToolChoice::Auto,
    };
    let config = &body["generationConfig"];
    let sampling = &mut request.sampling;
    sampling.temperature = config["temperature"].as_f64();
    sampling.top_p = config["topP"].as_f64();
    sampling.max_tokens = config["maxOutputTokens"].as_u64().map(|most| most.try_into().unwrap());
    sampling.thinking_budget = config["thinkingConfig"]["thinkingBudget"].as_u64().map(|most| most.try_into().unwrap());
    request.output = config.get("responseJsonSchema").map(|schema| OutputSchema {
        name: "output".into(),
        schema: schema.clone(),
        strict: true,
    });
    request.extra_body = extra(body);
    request
}

fn extra(body: &Value) -> Map<String, Value> {
    let known = ["systemInstruction", "contents", "tools", "toolConfig", "generationConfig"];
    let fields = body.as_object().unwrap();
    let mut extra: Map<String, Value> = fields
        .iter()
        .filter(|(key, _)| !known.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if list(&body["tools"]).iter().any(|tool| tool.get("functionDeclarations").is_none()) {
        extra.insert("tools".into(), body["tools"].clone());
        extra.insert("toolConfig".into(), body["toolConfig"].clone());
    }
    let mut settings: Map<String, Value> = body["generationConfig"].as_object().cloned().unwrap_or_default();
    let thoughts = settings.get("thinkingConfig").filter(|config| config.get("thinkingBudget").is_none()).cloned();
    settings.retain(|key, _| !SETTINGS.contains(&key.as_str()));
    settings.extend(thoughts.map(|config| ("thinkingConfig".to_owned(), config)));
    if !settings.is_empty() {
        extra.insert("generationConfig".into(), Value::Object(settings));
    }
    extra
}

fn neutral_part(turn: usize, part: &Value) -> Part {
    if let Some(call) = part.get("functionCall") {
        let name = call["name"].as_str().unwrap();
        let mut neutral = ToolCall::new(format!("{name}-{}", turn + 1), name, call["args"].to_string());
        let kept = part.get("thoughtSignature").map(|signature| json!({"thoughtSignature": signature}));
        neutral.private = kept.map(|data| Box::new(Private { provider: "gemini".into(), data }));
        return Part::ToolCall(neutral);
    }
    if let Some(response) = part.get("functionResponse") {
        let call_id = format!("{}-{turn}", response["name"].as_str().unwrap());
        let parts = vec![Part::text(response["response"]["output"].as_str().unwrap())];
        return Part::ToolResult { call_id, parts, is_error: false, artifact: None };
    }
    if let Some(inline) = part.get("inlineData") {
        let data = inline["data"].as_str().unwrap().to_owned();
        let media_type = inline["mimeType"].as_str().unwrap().to_owned();
        return Part::Media(Media { kind: MediaKind::Image, source: MediaSource::Base64(data), media_type });
    }
    Part::text(part["text"].as_str().unwrap_or_default())
}

/// One spelling for what means the same: no nulls, no defaults, the JSON Schema name and case of types, the text of a
/// result under `output`.
fn normal(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(normal),
        Value::Object(fields) => {
            let old = std::mem::take(fields);
            for (key, mut value) in old {
                let key = match key.as_str() {
                    "parameters" | "parameters_json_schema" => "parametersJsonSchema".to_owned(),
                    _ => key,
                };
                if key == "response" && value.get("output").is_none() {
                    value = json!({"output": value["result"].to_string()});
                }
                if key == "type" && value.is_string() {
                    value = json!(value.as_str().unwrap().to_ascii_lowercase());
                }
                normal(&mut value);
                let default = value.is_null()
                    || value == json!({}) && key == "generationConfig"
                    || value == false && key == "thought"
                    || value == "" && matches!(key.as_str(), "description" | "text")
                    || value == json!({"functionCallingConfig": {"mode": "AUTO"}});
                if !default {
                    fields.insert(key, value);
                }
            }
        }
        _ => {}
    }
}

/// What only one of both says, though both mean the same.
fn comparable(mut body: Value) -> Value {
    normal(&mut body);
    if let Some(fields) = body.as_object_mut() {
        // The model is in the path. A system instruction has no role, and no list of all tools need be given.
        fields.remove("model");
        if let Some(system) = fields.get_mut("systemInstruction").and_then(Value::as_object_mut) {
            system.remove("role");
        }
        let declared = list(&fields.get("tools").cloned().unwrap_or_default())
            .iter()
            .map(|tool| list(&tool["functionDeclarations"]).len())
            .sum::<usize>();
        if let Some(calling) = fields.get_mut("toolConfig").and_then(|config| config.get_mut("functionCallingConfig")) {
            let all = list(&calling["allowedFunctionNames"]).len() == declared && declared > 1;
            if all && let Some(calling) = calling.as_object_mut() {
                calling.remove("allowedFunctionNames");
            }
        }
    }
    body
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn recorded_requests_come_back_out_of_the_neutral_form() {
    let client = GeminiClient::new(GeminiConfig::new("http://127.0.0.1:1", None).unwrap()).unwrap();
    let mut seen = 0;
    for case in RECORDINGS.cases() {
        let recorded = fs::read(RECORDINGS.path(&case).join("request.json")).unwrap();
        let recorded: Value = serde_json::from_slice(&recorded).unwrap();
        if recorded["body"].is_null() {
            continue; // unknown
        }
        let path = recorded["path"].as_str().unwrap();
        let model = path.rsplit_once("models/").unwrap().1.split(':').next().unwrap();
        let wanted = comparable(recorded["body"].clone());
        let mut request = neutral(model, &wanted);
        request.extra_body.remove("model");
        let lowered = client.lower(&request).unwrap();
        let body: Value = serde_json::from_slice(&lowered.body).unwrap();
        assert_eq!(comparable(body), wanted, "{case}");
        seen += 1;
    }
    assert_eq!(seen, 31);
}
