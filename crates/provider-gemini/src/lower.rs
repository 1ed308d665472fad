//! A neutral request as a `generateContent` request.

mod contents;
mod media;
mod settings;

use std::sync::Arc;

use atomr_agents_core::{Message, ModelRequest, OutputSchema, Part, Role, ToolChoice, ToolSpec, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::written;
use serde_json::{Map, json};

use crate::config::PROVIDER;
use crate::generation::Generation;

/// Under these keys the private data of a call holds what the provider sent with it.
pub(crate) const SIGNATURE: &str = "thoughtSignature";
pub(crate) const CALL_ID: &str = "id";

/// The body of the request.
pub(crate) fn body(request: &ModelRequest, include_thoughts: bool) -> Result<Vec<u8>, InferenceError> {
    let generation = Generation::of(&request.model);
    let mut body = Map::new();
    let mut system: Vec<Value> = request.messages.iter().filter_map(system_part).collect();
    let tools = offered(request, generation);
    let forced = request.output.as_ref().filter(|_| tools.is_empty() || generation.is_third());
    if let Some(output) = request.output.as_ref().filter(|_| forced.is_none()) {
        system.push(json!({ "text": asked_in_words(output) }));
    }
    // What is kept at the provider holds these already, and they are refused beside it.
    if !request.extra_body.contains_key("cachedContent") {
        if !system.is_empty() {
            body.insert("systemInstruction".into(), json!({ "parts": system }));
        }
        if !tools.is_empty() {
            body.insert("tools".into(), json!([{ "functionDeclarations": declarations(tools) }]));
            if let Some(choice) = calling(&request.tool_choice, tools, generation) {
                body.insert("toolConfig".into(), json!({ "functionCallingConfig": choice }));
            }
        }
    }
    body.insert("contents".into(), contents::contents(&request.messages, generation)?);
    let settings = settings::settings(&request.sampling, forced, generation, include_thoughts)?;
    if !settings.is_empty() {
        body.insert("generationConfig".into(), Value::Object(settings));
    }
    join(&mut body, &request.extra_body);
    // Joined already: here the extra fields go into objects that are there.
    written(PROVIDER, &body, &Map::new())
}

fn system_part(message: &Message) -> Option<Value> {
    let text = message.text();
    (message.role == Role::System && !text.is_empty()).then(|| json!({ "text": text }))
}

/// Tools that must not be called are left out where they would forbid a forced shape.
fn offered(request: &ModelRequest, generation: Generation) -> &[Arc<ToolSpec>] {
    let in_the_way = request.output.is_some() && !generation.is_third();
    if in_the_way && request.tool_choice == ToolChoice::None { &[] } else { &request.tools }
}

fn declarations(tools: &[Arc<ToolSpec>]) -> Vec<Value> {
    let declared = |tool: &Arc<ToolSpec>| {
        let mut declaration = Map::new();
        declaration.insert("name".into(), tool.name.as_str().into());
        declaration.insert("description".into(), tool.description.as_str().into());
        if tool.parameters.is_object() {
            declaration.insert("parametersJsonSchema".into(), schema(&tool.parameters));
        }
        Value::Object(declaration)
    };
    tools.iter().map(declared).collect()
}

/// The name of the dialect is the one keyword that is refused.
fn schema(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(fields) = &mut schema {
        fields.shift_remove("$schema");
    }
    schema
}

fn calling(choice: &ToolChoice, tools: &[Arc<ToolSpec>], generation: Generation) -> Option<Value> {
    match choice {
        ToolChoice::Auto if generation.validates_calls() && tools.iter().any(|tool| tool.strict) => {
            Some(json!({"mode": "VALIDATED"}))
        }
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!({"mode": "NONE"})),
        ToolChoice::Required => Some(json!({"mode": "ANY"})),
        ToolChoice::Tool(name) => Some(json!({"mode": "ANY", "allowedFunctionNames": [name]})),
    }
}

fn asked_in_words(output: &OutputSchema) -> String {
    format!(
        "Your final answer must be JSON alone, without a code fence and without words around it, and match this JSON \
         Schema:\n{}",
        output.schema
    )
}

/// Puts `more` into `body`: objects are joined, everything else replaces what was there.
fn join(body: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (key, value) in more {
        match (body.get_mut(key), value) {
            (Some(Value::Object(fields)), Value::Object(more)) => join(fields, more),
            _ => {
                body.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The text of these parts, joined.
fn text(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text { text } | Part::Refusal { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[cfg(test)]
mod tests;
