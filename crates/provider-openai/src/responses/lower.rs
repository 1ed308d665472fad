//! A neutral request as a request of the Responses API.

pub(super) mod items;

use atomr_agents_core::{ModelRequest, ToolChoice, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Settings, unsupported, written};
use serde::Serialize;
use serde_json::{Map, json};

use super::PROVIDER;
use super::config::ResponsesOptions;
use items::{Input, input};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    instructions: String,
    input: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Tool<'a> {
    Function(Function<'a>),
    Provider(&'a Value),
}

/// Without a word about it, this API makes a schema strict, and refuses those that cannot be; so it is always said.
#[derive(Serialize)]
struct Function<'a> {
    r#type: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    parameters: &'a Value,
    strict: bool,
}

/// The body of the request.
pub(crate) fn body(request: &ModelRequest, options: &ResponsesOptions) -> Result<Vec<u8>, InferenceError> {
    if !request.sampling.stop.is_empty() {
        return Err(unsupported(PROVIDER, "the Responses API knows no texts at which to stop"));
    }
    let functions = request.tools.iter().map(|spec| {
        Tool::Function(Function {
            r#type: "function",
            name: &spec.name,
            description: &spec.description,
            parameters: &spec.parameters,
            strict: spec.strict,
        })
    });
    let tools = functions.chain(options.tools.iter().map(Tool::Provider)).collect();
    let Input { instructions, items } = input(&request.messages)?;
    let body = Body { model: &request.model, instructions, input: items, tools, settings: settings(request, options) };
    written(PROVIDER, &body, &request.extra_body)
}

fn settings(request: &ModelRequest, options: &ResponsesOptions) -> Map<String, Value> {
    let mut settings = Settings::new();
    let mut set = |name: &str, value: Option<Value>| settings.set(name, value);
    let sampling = &request.sampling;
    if !request.tools.is_empty() || !options.tools.is_empty() {
        set("tool_choice", tool_choice(&request.tool_choice, options));
    }
    set("temperature", sampling.temperature.map(Value::from));
    set("top_p", sampling.top_p.map(Value::from));
    set("max_output_tokens", sampling.max_tokens.map(Value::from));
    set("reasoning", reasoning(request, options));
    set(
        "text",
        request.output.as_ref().map(|output| {
            json!({"format": {
                "type": "json_schema", "name": output.name, "schema": output.schema, "strict": output.strict,
            }})
        }),
    );
    set("include", options.wants_encrypted_reasoning(&request.model).then(|| json!(["reasoning.encrypted_content"])));
    set("store", Some(json!(options.store)));
    set("stream", options.streaming.then(|| json!(true)));
    set("prompt_cache_retention", options.prompt_cache_retention.clone().map(Value::from));
    let mut metadata = Settings::new();
    for (name, value) in &request.metadata {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match name.as_str() {
            "user_id" => set("safety_identifier", Some(text.into())),
            "prompt_cache_key" => set("prompt_cache_key", Some(text.into())),
            _ => metadata.set(name, Some(text)),
        }
    }
    set("metadata", metadata.into_object());
    settings.into_fields()
}

fn tool_choice(choice: &ToolChoice, options: &ResponsesOptions) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!("none")),
        ToolChoice::Required => Some(json!("required")),
        ToolChoice::Tool(name) => {
            let named = |tool: &&Value| tool["name"] == name.as_str() && tool["type"] == "custom";
            let typed = |tool: &&Value| tool["type"] == name.as_str();
            Some(if options.tools.iter().any(|tool| named(&tool)) {
                json!({"type": "custom", "name": name})
            } else if options.tools.iter().any(|tool| typed(&tool)) {
                json!({"type": name})
            } else {
                json!({"type": "function", "name": name})
            })
        }
    }
}

/// A budget of no tokens is the effort `none`; another budget cannot be said here.
fn reasoning(request: &ModelRequest, options: &ResponsesOptions) -> Option<Value> {
    let mut reasoning = Settings::new();
    let none = || (request.sampling.thinking_budget == Some(0)).then(|| "none".to_owned());
    reasoning.set("effort", request.sampling.reasoning_effort.clone().or_else(none));
    reasoning.set("summary", options.reasoning_summary.as_deref());
    reasoning.into_object()
}

#[cfg(test)]
mod tests;
