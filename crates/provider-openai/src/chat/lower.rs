//! A neutral request as a chat completion request.

use atomr_agents_core::{Media, MediaKind, MediaSource, Message, ModelRequest, Part, Role, ToolChoice, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Settings, arguments_text, data_url, unsupported, written};
use serde::Serialize;
use serde_json::{Map, json};

use crate::config::{PROVIDER, Quirks};

/// Under this key of an opaque part lie the reasoning blocks that a router wants back.
pub(crate) const REASONING_DETAILS: &str = "reasoning_details";

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    parameters: &'a Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

/// The body of the request.
pub(crate) fn body(request: &ModelRequest, quirks: &Quirks) -> Result<Vec<u8>, InferenceError> {
    let mut messages = Vec::with_capacity(request.messages.len() + 4);
    for message in &request.messages {
        lower_message(message, &mut messages)?;
    }
    let tools = request
        .tools
        .iter()
        .map(|spec| Tool {
            r#type: "function",
            function: Function {
                name: &spec.name,
                description: &spec.description,
                parameters: &spec.parameters,
                strict: spec.strict,
            },
        })
        .collect();
    let body = Body { model: &request.model, messages, tools, settings: settings(request, quirks) };
    written(PROVIDER, &body, &request.extra_body)
}

fn settings(request: &ModelRequest, quirks: &Quirks) -> Map<String, Value> {
    let mut settings = Settings::new();
    let mut set = |name: &str, value: Option<Value>| settings.set(name, value);
    let sampling = &request.sampling;
    if !request.tools.is_empty() {
        set(
            "tool_choice",
            match &request.tool_choice {
                ToolChoice::Auto => None,
                ToolChoice::None => Some(json!("none")),
                ToolChoice::Required => Some(json!("required")),
                ToolChoice::Tool(name) => Some(json!({"type": "function", "function": {"name": name}})),
            },
        );
    }
    set("temperature", sampling.temperature.map(Value::from));
    set("top_p", sampling.top_p.map(Value::from));
    set(&quirks.max_tokens_field, sampling.max_tokens.map(Value::from));
    set("stop", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    set("seed", sampling.seed.map(Value::from));
    set("reasoning_effort", sampling.reasoning_effort.clone().map(Value::from));
    set(
        "response_format",
        request.output.as_ref().map(|output| {
            let schema = json!({"name": output.name, "schema": output.schema, "strict": output.strict});
            json!({"type": "json_schema", "json_schema": schema})
        }),
    );
    if quirks.streaming {
        set("stream", Some(json!(true)));
        set("stream_options", quirks.stream_usage.then(|| json!({"include_usage": true})));
    }
    settings.into_fields()
}

fn lower_message(message: &Message, out: &mut Vec<Value>) -> Result<(), InferenceError> {
    match message.role {
        Role::System => out.push(json!({"role": "system", "content": message.text()})),
        Role::User => out.push(json!({"role": "user", "content": content(&message.parts)?})),
        Role::Assistant => out.extend(assistant(message)),
        Role::Tool => tool_results(message, out)?,
    }
    Ok(())
}

/// Thoughts and the opaque parts of other providers are left out: shown as text they would become something the
/// model believes it said. `None` where nothing is left: some servers refuse a message without content.
fn assistant(message: &Message) -> Option<Value> {
    let mut lowered = Map::new();
    lowered.insert("role".into(), json!("assistant"));
    let text = message.text();
    let calls: Vec<Value> = message
        .tool_calls()
        .map(|call| {
            json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments_text(&call.raw)}})
        })
        .collect();
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { Value::String(text) };
    lowered.insert("content".into(), content);
    if let Some(refusal) = message.refusal() {
        lowered.insert("refusal".into(), json!(refusal));
    }
    if !calls.is_empty() {
        lowered.insert("tool_calls".into(), Value::Array(calls));
    }
    for part in &message.parts {
        if let Part::Opaque { provider, data } = part
            && provider == PROVIDER
            && let Some(details) = data.get(REASONING_DETAILS)
        {
            lowered.insert(REASONING_DETAILS.into(), details.clone());
        }
    }
    let says_something = lowered.len() > 2 || lowered["content"] != "";
    says_something.then_some(Value::Object(lowered))
}

/// One message per result. A tool message holds only text here, so media of results follow in a message of the user.
fn tool_results(message: &Message, out: &mut Vec<Value>) -> Result<(), InferenceError> {
    let mut media = Vec::new();
    for part in &message.parts {
        let Part::ToolResult { call_id, parts, .. } = part else {
            return Err(unsupported(PROVIDER, "a message of role tool holds something else than tool results"));
        };
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text { text: more } => text.push_str(more),
                Part::Media(_) => {
                    media.push(json!({"type": "text", "text": format!("Returned by tool call {call_id}:")}));
                    media.push(content_part(part)?);
                }
                other => media.push(content_part(other)?),
            }
        }
        out.push(json!({"role": "tool", "tool_call_id": call_id, "content": text}));
    }
    if !media.is_empty() {
        out.push(json!({"role": "user", "content": media}));
    }
    Ok(())
}

fn content(parts: &[Part]) -> Result<Value, InferenceError> {
    match parts {
        [Part::Text { text }] => Ok(json!(text)),
        parts => parts.iter().map(content_part).collect::<Result<Vec<_>, _>>().map(Value::Array),
    }
}

fn content_part(part: &Part) -> Result<Value, InferenceError> {
    match part {
        Part::Text { text } => Ok(json!({"type": "text", "text": text})),
        Part::Media(media) => lower_media(media),
        _ => Err(unsupported(PROVIDER, "a message of the user holds something else than text and media")),
    }
}

fn lower_media(media: &Media) -> Result<Value, InferenceError> {
    match (&media.kind, &media.source) {
        (MediaKind::Image, MediaSource::Url(url)) => Ok(json!({"type": "image_url", "image_url": {"url": url}})),
        (MediaKind::Image, MediaSource::Base64(data)) => {
            Ok(json!({"type": "image_url", "image_url": {"url": data_url(&media.media_type, data)}}))
        }
        (MediaKind::Audio, MediaSource::Base64(data)) => {
            let format = match media.media_type.as_str() {
                "audio/mpeg" => "mp3",
                other => other.rsplit(['/', '-']).next().unwrap_or(other),
            };
            Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
        }
        (MediaKind::Document, MediaSource::FileId(id)) => Ok(json!({"type": "file", "file": {"file_id": id}})),
        (MediaKind::Document, MediaSource::Base64(data)) => Ok(
            json!({"type": "file", "file": {"filename": "document", "file_data": data_url(&media.media_type, data)}}),
        ),
        (kind, source) => {
            let source = match source {
                MediaSource::Base64(_) => "bytes",
                MediaSource::Url(_) => "a URL",
                MediaSource::FileId(_) => "an uploaded file",
            };
            Err(unsupported(PROVIDER, format!("chat completions take no {kind:?} as {source}").to_lowercase()))
        }
    }
}

#[cfg(test)]
mod tests;
