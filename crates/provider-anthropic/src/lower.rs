//! A neutral request as a request of the messages API.

mod media;
mod schema;
mod transcript;

use atomr_agents_core::{CachePoint, ModelRequest, OutputSchema, ToolChoice, ToolSpec, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Settings, unsupported, written};
use serde::Serialize;
use serde_json::{Map, json};

use crate::config::PROVIDER;
use crate::dialect::AnthropicMessages;
use crate::model::Model;
use transcript::{Transcript, transcript};

/// Room for the answer where only the budget for thinking is known.
const ANSWER_TOKENS: u32 = 4096;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Value>,
    messages: Vec<Value>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// The body of the request.
pub(crate) fn body(request: &ModelRequest, dialect: &AnthropicMessages) -> Result<Vec<u8>, InferenceError> {
    let model = Model::named(&request.model);
    let mut transcript = transcript(&request.messages)?;
    let mut tools: Vec<Value> = dialect.server_tools.clone();
    tools.extend(request.tools.iter().map(|spec| tool(spec, model)));
    let mut settings = settings(request, model, dialect)?;
    if tools.is_empty() && !transcript.tools.is_empty() {
        // A transcript with calls is refused where no tool is known.
        tools = transcript.tools.iter().map(|name| json!({"name": name, "input_schema": {"type": "object"}})).collect();
        settings.insert("tool_choice".into(), json!({"type": "none"}));
    }
    if let Some(container) = transcript.container.take() {
        settings.insert("container".into(), json!(container));
    }
    mark(request, dialect, &mut tools, &mut transcript);
    let Transcript { system, messages, .. } = transcript;
    let max_tokens = max_tokens(request, model, dialect);
    let body = Body { model: &request.model, max_tokens, tools, system, messages, settings };
    written(PROVIDER, &body, &request.extra_body)
}

fn tool(spec: &ToolSpec, model: Model) -> Value {
    let mut tool = Map::new();
    tool.insert("name".into(), json!(spec.name));
    if !spec.description.is_empty() {
        tool.insert("description".into(), json!(spec.description));
    }
    let strict = spec.strict && model.forces_schemas();
    let parameters = if strict { schema::forced(&spec.parameters) } else { spec.parameters.clone() };
    tool.insert("input_schema".into(), parameters);
    if strict {
        tool.insert("strict".into(), json!(true));
    }
    Value::Object(tool)
}

/// The API wants a number. Thinking counts in it, so it must be more than the budget.
fn max_tokens(request: &ModelRequest, model: Model, dialect: &AnthropicMessages) -> u32 {
    let unsaid = || {
        let most = dialect.max_tokens.get(&request.model).copied().or(model.max_tokens);
        let thinking = request.sampling.thinking_budget.filter(|_| !model.takes_no_budget()).unwrap_or(0);
        most.unwrap_or_else(|| match thinking {
            0 => dialect.max_tokens_otherwise,
            thinking => dialect.max_tokens_otherwise.max(thinking.saturating_add(ANSWER_TOKENS)),
        })
    };
    request.sampling.max_tokens.unwrap_or_else(unsaid)
}

fn settings(
    request: &ModelRequest,
    model: Model,
    dialect: &AnthropicMessages,
) -> Result<Map<String, Value>, InferenceError> {
    let mut settings = Settings::new();
    let mut set = |name: &str, value: Option<Value>| settings.set(name, value);
    let sampling = &request.sampling;
    let thinking = sampling.thinking_budget.map(|budget| match budget {
        0 => json!({"type": "disabled"}),
        _ if model.takes_no_budget() => json!({"type": "adaptive"}),
        budget => json!({"type": "enabled", "budget_tokens": budget}),
    });
    let choice = if request.tools.is_empty() { None } else { tool_choice(&request.tool_choice) };
    let forced = choice.as_ref().is_some_and(|choice| choice["type"] == "any" || choice["type"] == "tool");
    if forced && sampling.thinking_budget.is_some_and(|budget| budget > 0) {
        return Err(unsupported(
            PROVIDER,
            "a model that thinks cannot be made to call a tool; leave out thinking_budget or the tool choice",
        ));
    }
    set("tool_choice", choice);
    set("thinking", thinking);
    let format = |wanted: &OutputSchema| json!({"type": "json_schema", "schema": schema::forced(&wanted.schema)});
    let mut output = Settings::new();
    output.set("format", request.output.as_ref().map(format));
    output.set("effort", sampling.reasoning_effort.as_deref());
    set("output_config", output.into_object());
    set("temperature", sampling.temperature.map(Value::from));
    set("top_p", sampling.top_p.map(Value::from));
    set("stop_sequences", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    set("metadata", request.metadata.get("user_id").map(|user| json!({"user_id": user})));
    set("stream", dialect.streaming.then_some(Value::Bool(true)));
    Ok(settings.into_fields())
}

fn tool_choice(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!({"type": "none"})),
        ToolChoice::Required => Some(json!({"type": "any"})),
        ToolChoice::Tool(name) => Some(json!({"type": "tool", "name": name})),
    }
}

/// Marks the ends of what the provider shall keep.
fn mark(request: &ModelRequest, dialect: &AnthropicMessages, tools: &mut [Value], transcript: &mut Transcript) {
    let control = match &dialect.cache_ttl {
        Some(ttl) => json!({"type": "ephemeral", "ttl": ttl}),
        None => json!({"type": "ephemeral"}),
    };
    for point in &request.cache {
        let place = match point {
            CachePoint::Tools => tools.last_mut(),
            CachePoint::System => transcript.system.last_mut(),
            CachePoint::Messages => transcript.messages.last_mut().and_then(|message| {
                // Thoughts cannot be marked; what stands before them can.
                let blocks = message["content"].as_array_mut()?;
                blocks
                    .iter_mut()
                    .rfind(|block| !matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking")))
            }),
        };
        if let Some(Value::Object(fields)) = place {
            fields.insert("cache_control".into(), control.clone());
        }
    }
}

#[cfg(test)]
mod any_transcript;
#[cfg(test)]
mod tests;
