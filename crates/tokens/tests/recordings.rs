//! Counts beside what the providers themselves said, in every recording that has both a request and a usage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atomr_agents_core::{Message, ModelRequest, Role, ToolSpec, Usage};
use atomr_agents_tokens::{BpeCounter, EstimatingCounter, PriceTable, TokenCounter, TokenCounts};
use serde_json::Value;

fn read(path: PathBuf) -> Option<Value> {
    fs::read(path).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

/// The recordings of this checkout: provider, name, the body of the request, what is expected.
fn recordings() -> Vec<(String, String, Value, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/recordings");
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut all = Vec::new();
    for provider in folders(&root) {
        for case in folders(&provider) {
            let (Some(request), Some(expected)) = (read(case.join("request.json")), read(case.join("expected.json")))
            else {
                continue;
            };
            all.push((name(&provider), name(&case), request["body"].clone(), expected));
        }
    }
    all
}

fn usage(expected: &Value) -> Option<Usage> {
    let normalised: Usage = serde_json::from_value(expected.get("usage_normalised")?.clone()).ok()?;
    Some(Usage { raw: Some(expected["usage"].clone()), ..normalised })
}

/// A body of nothing but text and functions, as a request: system prompt, messages, tools.
fn plain_text(model: &str, body: &Value) -> Option<ModelRequest> {
    let text = |content: &Value| -> Option<String> {
        if let Some(text) = content.as_str() {
            return Some(text.to_owned());
        }
        let parts = content.as_array()?.iter().map(|part| match part.as_object()?.get("text") {
            Some(text) if part.get("type").is_none_or(|kind| kind == "text" || kind == "input_text") => text.as_str(),
            _ => None,
        });
        parts.collect::<Option<String>>()
    };
    let others = ["functions", "response_format", "text", "cachedContent", "previous_response_id", "mcp_servers"];
    if others.iter().any(|name| body.get(name).is_some()) {
        return None;
    }
    let said = ["messages", "contents", "input"].iter().find_map(|name| body.get(name))?;
    let mut messages: Vec<Message> = match said.as_array() {
        Some(said) => said
            .iter()
            .map(|message| {
                let content = message.get("content").or_else(|| message.get("parts"))?;
                Some(Message::new(Role::User, text(content)?))
            })
            .collect::<Option<_>>()?,
        None => vec![Message::user(text(said)?)],
    };
    for system in ["system", "instructions"].iter().filter_map(|name| body.get(name)) {
        messages.insert(0, Message::system(text(system)?));
    }
    if let Some(system) = body.pointer("/systemInstruction/parts") {
        messages.insert(0, Message::system(text(system)?));
    }
    let mut request = ModelRequest::new(model, messages);
    request.tools = tools(body)?;
    request.sampling.thinking_budget = body.get("thinking").map(|_| 1_024);
    Some(request)
}

/// The tools of a body, if all are functions.
fn tools(body: &Value) -> Option<Vec<Arc<ToolSpec>>> {
    let given = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let functions = given.flat_map(|tool| match tool.get("functionDeclarations").and_then(Value::as_array) {
        Some(functions) => functions.iter().collect(),
        None => vec![tool.get("function").unwrap_or(tool)],
    });
    let spec = |tool: &Value| {
        let parameters = ["parameters", "input_schema", "parametersJsonSchema"].iter().find_map(|name| tool.get(name));
        Some(Arc::new(ToolSpec {
            name: tool.get("name")?.as_str()?.to_owned(),
            description: tool.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
            parameters: parameters?.clone(),
            strict: false,
        }))
    };
    functions.map(spec).collect()
}

#[test]
fn an_estimate_is_not_below_what_the_provider_counted() {
    let mut compared = 0;
    for (provider, case, body, expected) in recordings() {
        let model = expected["model"].as_str().unwrap_or_default();
        let (Some(usage), Some(request)) = (usage(&expected), plain_text(model, &body)) else { continue };
        // What the recorder shortened, and prompts that a gateway or another vendor writes more around, say nothing.
        if body.to_string().contains("...") || PriceTable::builtin().price(model).is_none() {
            continue;
        }
        compared += 1;
        let (estimate, counted) = (EstimatingCounter.count_request(&request), TokenCounts::of(&usage).input());
        let exact = BpeCounter.count_request(&request);
        if request.tools.is_empty() && ["gpt-4o", "gpt-4.1"].iter().any(|name| model.starts_with(name)) {
            assert_eq!(exact, counted, "{provider}/{case}: text alone is counted exactly");
        }
        assert!(estimate >= counted, "{provider}/{case}: {estimate} estimated, {counted} counted");
        assert!(exact >= counted, "{provider}/{case}: {exact} with the vocabulary, {counted} counted");
    }
    assert!(compared >= 5, "{compared} recordings were compared");
}

#[test]
fn each_token_is_counted_once_however_the_provider_counts() {
    let mut compared = 0;
    for (provider, case, _, expected) in recordings() {
        let Some(usage) = usage(&expected) else { continue };
        let counts = TokenCounts::of(&usage);
        assert!(counts.input() >= usage.input_tokens && counts.output >= usage.output_tokens, "{provider}/{case}");
        if let Some(total) = usage.total_tokens {
            compared += 1;
            assert_eq!(counts.total(), total, "{provider}/{case}");
        }
    }
    assert!(compared >= 5, "{compared} recordings were compared");
}
