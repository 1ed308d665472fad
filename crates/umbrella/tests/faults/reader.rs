//! A slow reader of every format, for comparison: which tool calls do the bytes of a streamed answer speak of? It knows
//! nothing of the clients, keeps no state between events and takes whatever it can read.

use std::collections::BTreeMap;

use atomr_agents_testkit::Format;
use serde_json::Value;

/// A call's tool and its arguments as a value, or as the text that is no JSON.
pub(crate) type Said = Vec<(String, Value)>;

/// The calls that these bytes speak of, in their order.
pub(crate) fn calls(format: Format, body: &[u8]) -> Said {
    let events = events(body);
    match format {
        Format::OpenAiChat => chat(&events),
        Format::OpenAiResponses => responses(&events),
        Format::Anthropic => anthropic(&events),
        _ => gemini(&events),
    }
}

/// Arguments as the clients give them.
pub(crate) fn arguments(text: &str) -> Value {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// The data of each event that is JSON.
fn events(body: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n").replace('\r', "\n");
    let data = |event: &str| {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    };
    text.split("\n\n").filter_map(|event| serde_json::from_str(&data(event)).ok()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn in_order(calls: BTreeMap<u64, (String, String)>) -> Said {
    calls.into_values().map(|(name, written)| (name, arguments(&written))).collect()
}

fn chat(events: &[Value]) -> Said {
    let mut calls = BTreeMap::<u64, (String, String)>::new();
    let choices = events.iter().flat_map(|event| list(&event["choices"]));
    // Others are answers that were not asked for.
    let choices = choices.filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0);
    for piece in choices.flat_map(|choice| list(&choice["delta"]["tool_calls"])) {
        let Some(index) = piece["index"].as_u64() else { continue };
        let (name, written) = calls.entry(index).or_default();
        if name.is_empty() {
            name.push_str(text(&piece["function"]["name"]));
        }
        written.push_str(text(&piece["function"]["arguments"]));
    }
    in_order(calls)
}

fn responses(events: &[Value]) -> Said {
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    let calls = done.map(|event| &event["item"]).filter(|item| item["type"] == "function_call");
    calls.map(|item| (text(&item["name"]).to_owned(), arguments(text(&item["arguments"])))).collect()
}

fn anthropic(events: &[Value]) -> Said {
    let mut calls = BTreeMap::<u64, (String, String)>::new();
    for event in events {
        let Some(index) = event["index"].as_u64() else { continue };
        let (block, delta) = (&event["content_block"], &event["delta"]);
        if event["type"] == "content_block_start" && block["type"] == "tool_use" {
            calls.insert(index, (text(&block["name"]).to_owned(), String::new()));
        }
        if let (Some((_, written)), "input_json_delta") = (calls.get_mut(&index), text(&delta["type"])) {
            written.push_str(text(&delta["partial_json"]));
        }
    }
    in_order(calls)
}

fn gemini(events: &[Value]) -> Said {
    let candidates = events.iter().flat_map(|event| list(&event["candidates"]));
    let parts = candidates.flat_map(|candidate| list(&candidate["content"]["parts"]));
    let calls = parts.map(|part| &part["functionCall"]).filter(|call| call.is_object());
    let given =
        |call: &Value| if call["args"].is_null() { Value::Object(Default::default()) } else { call["args"].clone() };
    calls.map(|call| (text(&call["name"]).to_owned(), given(call))).collect()
}
