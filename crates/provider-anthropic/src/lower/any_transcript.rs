//! Whatever a transcript holds, the request is one that the API accepts.

use std::collections::HashSet;

use atomr_agents_core::{Citation, Message, ModelRequest, Part, Role, ToolCall, Value};
use atomr_agents_provider::Setup;
use proptest::prelude::*;
use serde_json::json;

use crate::AnthropicConfig;

/// Stands in everything that must reach nobody.
const FOREIGN: &str = "not-for-anthropic";

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", " ", "\n", "a", "b \n", "é"]).prop_map(str::to_owned)
}

fn id() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "c1", "c2", "c|3", "c_3", "ü"]).prop_map(str::to_owned)
}

fn provider() -> impl Strategy<Value = (String, String)> {
    prop::sample::select(vec![("anthropic", "own"), ("openai", FOREIGN), ("", FOREIGN)])
        .prop_map(|(provider, said)| (provider.to_owned(), said.to_owned()))
}

fn said() -> impl Strategy<Value = Part> {
    let raw = prop::sample::select(vec!["", "{}", "{\"a\":1}", "{\"a\":", "[1]", "7"]);
    let server_use = |id: String| {
        let data = json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {}});
        Part::ServerTool { provider: "anthropic".into(), name: "server_tool_use".into(), data }
    };
    let server_result = |id: String| {
        let data = json!({"type": "web_search_tool_result", "tool_use_id": id, "content": []});
        Part::ServerTool { provider: "anthropic".into(), name: "web_search_tool_result".into(), data }
    };
    prop_oneof![
        3 => text().prop_map(|text| Part::Text { text }),
        1 => text().prop_map(|text| Part::Refusal { text }),
        4 => (id(), raw).prop_map(|(id, raw)| Part::ToolCall(ToolCall::new(id, "add", raw))),
        1 => Just(Part::thinking(FOREIGN)),
        2 => (provider(), any::<bool>()).prop_map(|((provider, said), redacted)| Part::Thinking {
            text: said.clone(), signature: Some(said), redacted, provider: Some(provider),
        }),
        1 => provider().prop_map(|(provider, said)| Part::Citation(Citation {
            provider, data: json!({"type": "page_location", "cited_text": said}), ..Citation::default()
        })),
        1 => provider().prop_map(|(provider, said)| Part::Opaque { provider, data: json!({"type": said}) }),
        2 => id().prop_map(server_use),
        1 => id().prop_map(server_result),
    ]
}

fn result() -> impl Strategy<Value = Part> {
    (id(), prop::collection::vec(text(), 0..2), any::<bool>()).prop_map(|(call_id, texts, is_error)| {
        let parts = texts.into_iter().map(|text| Part::Text { text }).collect();
        Part::ToolResult { call_id, parts, is_error, artifact: Some(json!(FOREIGN)) }
    })
}

fn message() -> impl Strategy<Value = Message> {
    let of = |role: Role| move |parts: Vec<Part>| Message { role, parts };
    let asked = prop_oneof![3 => text().prop_map(|text| Part::Text { text }), 1 => result()];
    prop_oneof![
        1 => prop::collection::vec(text().prop_map(|text| Part::Text { text }), 0..2).prop_map(of(Role::System)),
        3 => prop::collection::vec(asked, 0..3).prop_map(of(Role::User)),
        4 => prop::collection::vec(said(), 0..5).prop_map(of(Role::Assistant)),
        3 => prop::collection::vec(result(), 0..4).prop_map(of(Role::Tool)),
    ]
}

/// What the API would say against these messages.
fn fault(body: &Value) -> Option<String> {
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
    let Some(messages) = messages else { return Some("no messages".into()) };
    let mut ids = HashSet::new();
    let mut calls: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = if at % 2 == 0 { "user" } else { "assistant" };
        if message["role"] != role {
            return Some(format!("message {at} is not of {role}"));
        }
        let blocks = message["content"].as_array().filter(|blocks| !blocks.is_empty());
        let Some(blocks) = blocks else { return Some(format!("message {at} is empty")) };
        let results = blocks.iter().take_while(|block| block["type"] == "tool_result");
        let results: Vec<&str> = results.filter_map(|block| block["tool_use_id"].as_str()).collect();
        if results != calls {
            return Some(format!("message {at} answers {results:?}, but asked was {calls:?}"));
        }
        if blocks.iter().skip(results.len()).any(|block| block["type"] == "tool_result") {
            return Some(format!("message {at} has a result at the wrong place"));
        }
        if blocks.iter().any(|block| block["text"].as_str().is_some_and(|text| text.trim().is_empty())) {
            return Some(format!("message {at} has a blank text"));
        }
        calls.clear();
        for block in blocks.iter().filter(|block| block["type"] == "tool_use") {
            let id = block["id"].as_str()?;
            let letters = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            if id.is_empty() || !letters || !ids.insert(id) || !block["input"].is_object() {
                return Some(format!("{block} is no valid call"));
            }
            calls.push(id);
        }
    }
    let all = || messages.iter().flat_map(|message| message["content"].as_array().into_iter().flatten());
    for block in all().filter(|block| block["type"] == "server_tool_use") {
        let last = messages.iter().rfind(|message| message["role"] == "assistant")?;
        let answered = all().any(|other| other["tool_use_id"] == block["id"]);
        if !answered && !last["content"].as_array()?.contains(block) {
            return Some(format!("{block} was never answered"));
        }
    }
    for block in all().filter(|block| block["tool_use_id"].is_string() && block["type"] != "tool_result") {
        let last = messages.iter().rfind(|message| message["role"] == "assistant")?;
        let asked = all().any(|other| other["id"] == block["tool_use_id"] && other["type"] == "server_tool_use");
        if !asked && !last["content"].as_array()?.contains(block) {
            return Some(format!("{block} was never asked for"));
        }
    }
    if !calls.is_empty() {
        return Some("the last calls have no results".into());
    }
    let last = messages.last()?;
    let ending = last["content"].as_array()?.last()?["text"].as_str().unwrap_or_default();
    if last["role"] == "assistant" && ending.ends_with(char::is_whitespace) {
        return Some("it ends in white space".into());
    }
    (!ids.is_empty() && body["tools"].as_array().is_none_or(Vec::is_empty)).then(|| "calls without tools".into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_transcript_is_a_valid_request(messages in prop::collection::vec(message(), 0..7)) {
        let dialect = AnthropicConfig::new("https://api.anthropic.com", None).unwrap().into_parts().1;
        let request = ModelRequest::new("claude-sonnet-4-5", messages);
        let body = super::body(&request, &dialect).unwrap();
        prop_assert!(!String::from_utf8_lossy(&body).contains(FOREIGN));
        let body: Value = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(fault(&body), None, "{}", body["messages"]);
    }
}
