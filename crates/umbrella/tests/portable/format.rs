//! How the four formats write what is looked for.

use atomr_agents::core::Value;
use atomr_agents_testkit::Format;

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn word(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// For each turn of the model that has calls: the calls, and what answers them right after, each by id (by name where
/// the format knows no ids).
pub(crate) fn calls(format: Format, body: &Value) -> Vec<(Vec<String>, Vec<String>)> {
    match format {
        Format::OpenAiChat => turns(list(&body["messages"]), |message| {
            let calls = list(&message["tool_calls"]).iter().map(|call| word(call, "id")).collect();
            let result = (message["role"] == "tool").then(|| word(message, "tool_call_id"));
            (calls, result.into_iter().collect())
        }),
        Format::OpenAiResponses => turns(list(&body["input"]), |item| {
            let id = |kind: &str| (item["type"] == kind).then(|| word(item, "call_id")).into_iter().collect();
            (id("function_call"), id("function_call_output"))
        }),
        Format::Anthropic => turns(list(&body["messages"]), |message| {
            let ids = |kind: &str, field: &str| {
                let blocks = list(&message["content"]).iter().filter(|block| block["type"] == kind);
                blocks.map(|block| word(block, field)).collect()
            };
            (ids("tool_use", "id"), ids("tool_result", "tool_use_id"))
        }),
        _ => turns(list(&body["contents"]), |content| {
            let names = |field: &str| {
                let parts = list(&content["parts"]).iter().map(|part| &part[field]).filter(|call| call.is_object());
                parts.map(|call| format!("{}{}", word(call, "name"), word(call, "id"))).collect()
            };
            (names("functionCall"), names("functionResponse"))
        }),
    }
}

/// Joins what stands next to each other.
fn turns(items: &[Value], of: impl Fn(&Value) -> (Vec<String>, Vec<String>)) -> Vec<(Vec<String>, Vec<String>)> {
    let mut turns: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    let mut open = false;
    for item in items {
        let (calls, results) = of(item);
        let silent = calls.is_empty() && results.is_empty();
        match turns.last_mut().filter(|_| open) {
            Some((_, answered)) if calls.is_empty() => answered.extend(results),
            Some((asked, answered)) if answered.is_empty() => asked.extend(calls),
            _ if silent => {}
            _ => turns.push((calls, results)),
        }
        open = !silent;
    }
    turns
}

/// What the provider's SDK, or the API itself, would miss in this body.
pub(crate) fn missing(format: Format, body: &Value) -> Vec<String> {
    let mut missing = Vec::new();
    let mut want = |there: bool, what: String| {
        if !there {
            missing.push(format!("required: {what}"));
        }
    };
    match format {
        Format::OpenAiChat => {
            want(body["model"].is_string(), "model".into());
            for (at, message) in list(&body["messages"]).iter().enumerate() {
                want(message["role"].is_string() && message.get("content").is_some(), format!("messages[{at}]"));
                let calls = list(&message["tool_calls"]).iter();
                want(!message["content"].is_null() || calls.len() > 0, format!("content of messages[{at}]"));
                for call in calls {
                    let function = &call["function"];
                    let whole = function["name"].is_string() && function["arguments"].is_string();
                    want(whole && call["type"] == "function" && call["id"].is_string(), format!("a call of [{at}]"));
                }
            }
        }
        Format::OpenAiResponses => {
            want(body["model"].is_string() && body["store"].is_boolean(), "model and store".into());
            for (at, item) in list(&body["input"]).iter().enumerate() {
                let fields: &[&str] = match item["type"].as_str() {
                    Some("function_call") => &["call_id", "name", "arguments"],
                    Some("function_call_output") => &["call_id", "output"],
                    Some("reasoning") => &["id", "summary", "encrypted_content"],
                    Some("message") | None => &["role", "content"],
                    Some(_) => &["id"],
                };
                for field in fields {
                    want(!item[field].is_null(), format!("input[{at}].{field}"));
                }
            }
        }
        Format::Anthropic => {
            want(body["model"].is_string() && body["max_tokens"].is_u64(), "model and max_tokens".into());
            for (at, message) in list(&body["messages"]).iter().enumerate() {
                let role = if at % 2 == 0 { "user" } else { "assistant" };
                want(message["role"] == role && !list(&message["content"]).is_empty(), format!("messages[{at}]"));
                for block in list(&message["content"]) {
                    want(block["type"] != "tool_use" || block["input"].is_object(), format!("input of [{at}]"));
                    let blank = block["text"].as_str().is_some_and(|text| text.trim().is_empty());
                    want(!blank, format!("text of messages[{at}]"));
                }
            }
            let blocks = || list(&body["messages"]).iter().flat_map(|message| list(&message["content"]));
            for block in blocks().filter(|block| block["type"] != "tool_result") {
                let asked = &block["tool_use_id"];
                want(asked.is_null() || blocks().any(|other| other["id"] == *asked), format!("what {asked} asked"));
            }
            let called = calls(format, body).iter().any(|(calls, _)| !calls.is_empty());
            want(!called || !list(&body["tools"]).is_empty(), "tools, where there were calls".into());
        }
        _ => {
            for (at, content) in list(&body["contents"]).iter().enumerate() {
                let role = if at % 2 == 0 { "user" } else { "model" };
                want(content["role"] == role && !list(&content["parts"]).is_empty(), format!("contents[{at}]"));
                let mut parts = list(&content["parts"]).iter();
                let first = parts.find(|part| part["functionCall"].is_object());
                let signed = first.is_none_or(|call| call["thoughtSignature"].is_string());
                want(signed, format!("a signature of the first call of contents[{at}]"));
                for result in list(&content["parts"]).iter().map(|part| &part["functionResponse"]) {
                    want(result.is_null() || result["response"].is_object(), format!("response of contents[{at}]"));
                }
            }
        }
    }
    missing
}

/// Puts a text into the last thing that the model said.
pub(crate) fn say(format: Format, body: &mut Value, text: &str) {
    let (list, role, content, block) = match format {
        Format::OpenAiChat => ("messages", "assistant", "content", Value::from(text)),
        Format::OpenAiResponses => {
            ("input", "assistant", "content", serde_json::json!([{"type": "output_text", "text": text}]))
        }
        Format::Anthropic => ("messages", "assistant", "content", serde_json::json!([{"type": "text", "text": text}])),
        _ => ("contents", "model", "parts", serde_json::json!([{"text": text}])),
    };
    let said = body[list].as_array_mut().unwrap().iter_mut().rfind(|message| message["role"] == role).unwrap();
    said[content] = block;
}

/// Takes away the first answer of a tool.
pub(crate) fn forget_result(format: Format, body: &mut Value) {
    let list = match format {
        Format::OpenAiResponses => "input",
        Format::Gemini => "contents",
        _ => "messages",
    };
    let is_result = |item: &Value| {
        let text = item.to_string();
        let words = ["\"tool_call_id\"", "\"function_call_output\"", "\"tool_result\"", "\"functionResponse\""];
        words.iter().any(|word| text.contains(word))
    };
    let items = body[list].as_array_mut().unwrap();
    let at = items.iter().position(is_result).unwrap();
    items.remove(at);
}
