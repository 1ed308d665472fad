//! What `expected.json` of a recording says.

use std::time::Duration;

use atomr_agents_core::{Message, Part, ToolCall, Usage};
use atomr_agents_inference::ApiError;
use serde_json::{Value, json};

/// The message as `expected.json` describes one, each call as `call` says.
pub fn described(message: &Message, call: impl Fn(&ToolCall) -> Value) -> Value {
    let thoughts = message.parts.iter().filter_map(|part| match part {
        Part::Thinking { text, .. } => Some(text.as_str()),
        _ => None,
    });
    json!({
        "text": message.text(),
        "reasoning": thoughts.collect::<String>(),
        "refusal": message.refusal(),
        "tool_calls": message.tool_calls().map(call).collect::<Vec<_>>(),
    })
}

/// The same out of `expected.json`. The deprecated single call counts as a tool call without an id.
pub fn wanted(expected: &Value, call: impl Fn(&Value) -> Value) -> Value {
    let calls = expected["tool_calls"].as_array().into_iter().flatten();
    let single = expected.get("function_call").filter(|call| call.is_object());
    json!({
        "text": expected["text"].as_str().unwrap_or_default(),
        "reasoning": expected["reasoning"].as_str().unwrap_or_default(),
        "refusal": expected["refusal"],
        "tool_calls": calls.chain(single).map(call).collect::<Vec<_>>(),
    })
}

/// A call whose arguments are compared letter by letter.
pub fn raw_call(call: &ToolCall) -> Value {
    json!({"id": call.id, "name": call.name, "arguments_raw": call.raw})
}

/// The same out of `expected.json`.
pub fn wanted_raw_call(call: &Value) -> Value {
    let id = call["id"].as_str().unwrap_or_default();
    json!({"id": id, "name": call["name"], "arguments_raw": call["arguments_raw"]})
}

/// A call whose arguments are compared as values; what is no JSON is null.
pub fn parsed_call(call: &ToolCall) -> Value {
    json!({"id": call.id, "name": call.name, "arguments": call.arguments().unwrap_or_default()})
}

/// The same out of `expected.json`.
pub fn wanted_parsed_call(call: &Value) -> Value {
    let id = call["id"].as_str().unwrap_or_default();
    json!({"id": id, "name": call["name"], "arguments": call["arguments"]})
}

/// The usage is that of `expected.json`.
pub fn assert_usage(case: &str, expected: &Value, usage: &Usage) {
    assert_eq!(usage.raw.as_ref(), Some(&expected["usage"]), "{case}");
    let normalised = &expected["usage_normalised"];
    let same = |name: &str, have: Option<u64>| assert_eq!(normalised[name].as_u64(), have, "{case}: {name}");
    same("input_tokens", Some(usage.input_tokens));
    same("output_tokens", Some(usage.output_tokens));
    same("total_tokens", usage.total_tokens);
    same("cached_input_tokens", usage.cached_input_tokens);
    same("cache_write_tokens", usage.cache_write_tokens);
    same("reasoning_tokens", usage.reasoning_tokens);
}

/// The error is that of `expected.json`.
pub fn assert_api_error(case: &str, expected: &Value, error: &ApiError) {
    assert_eq!(expected["status"].as_u64(), Some(error.status.into()), "{case}");
    let text = |name: &str| match &expected[name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    assert_eq!(text("error_type"), error.error_type, "{case}");
    assert_eq!(text("error_code"), error.code, "{case}");
    // Behind it may stand what a server further up said.
    let message = text("error_message").unwrap_or_default();
    assert!(error.message.starts_with(&message), "{case}: {} is not {message}", error.message);
    assert_eq!(expected["error"], error.body, "{case}");
    let number = |name: &str| expected[name].as_str().and_then(|number| number.parse().ok());
    let wait = number("retry_after_ms").map(Duration::from_millis);
    if let Some(wait) = wait.or_else(|| number("retry_after").map(Duration::from_secs)) {
        assert_eq!(error.retry_after, Some(wait), "{case}");
    }
    if let Some(request_id) = text("request_id") {
        assert_eq!(Some(request_id), error.request_id, "{case}");
    }
}
