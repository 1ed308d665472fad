//! What the tests on recordings share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Message, ModelEvent, ModelRequest, Part, Usage};
use atomr_agents_inference::{ApiError, InferenceClient, InferenceError, ReplyBuilder};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Where the recordings of a provider are.
pub fn recordings(provider: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/recordings").join(provider)
}

/// The names of a provider's recordings.
pub fn cases(provider: &str, count: usize) -> Vec<String> {
    let folders = fs::read_dir(recordings(provider)).unwrap().map(|entry| entry.unwrap());
    let mut cases: Vec<String> =
        folders.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect();
    cases.sort();
    assert_eq!(cases.len(), count, "all recordings must be seen");
    cases
}

/// Runs every case by itself, so that one that fails hides no other.
pub async fn assert_all<F: Future<Output = ()> + Send + 'static>(cases: Vec<String>, check: impl Fn(String, u64) -> F) {
    let mut running = JoinSet::new();
    for (seed, case) in (0..).zip(cases) {
        let checked = AssertUnwindSafe(check(case.clone(), seed)).catch_unwind();
        running.spawn(async move { (case, checked.await.is_ok()) });
    }
    let failed: Vec<String> =
        running.join_all().await.into_iter().filter(|(_, passed)| !passed).map(|(case, _)| case).collect();
    assert!(failed.is_empty(), "these recordings are read wrongly (see above): {failed:?}");
}

/// Any request.
pub fn request() -> ModelRequest {
    ModelRequest::new("m", vec![Message::user("Hi")])
}

/// What arrived, and how it ended.
pub async fn answer(client: &impl InferenceClient) -> (ReplyBuilder, Vec<ModelEvent>, Option<InferenceError>) {
    let mut builder = ReplyBuilder::new(client.provider());
    let mut events = Vec::new();
    let mut stream = client.stream(Arc::new(request()), CallCtx::new());
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                events.push(event.clone());
                builder.push(event);
            }
            Err(error) => return (builder, events, Some(error)),
        }
    }
    (builder, events, None)
}

/// The message as `expected.json` describes one.
pub fn described(message: &Message) -> Value {
    let joined = |wanted: fn(&Part) -> Option<&str>| message.parts.iter().filter_map(wanted).collect::<String>();
    let calls: Vec<Value> =
        message.tool_calls().map(|call| json!({"id": call.id, "name": call.name, "arguments_raw": call.raw})).collect();
    json!({
        "text": message.text(),
        "reasoning": joined(|part| match part {
            Part::Thinking { text, .. } => Some(text),
            _ => None,
        }),
        "refusal": message.refusal(),
        "tool_calls": calls,
    })
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
    let message = text("error_message").unwrap_or_default();
    assert!(error.message.starts_with(&message), "{case}: {} is not {message}", error.message);
    assert_eq!(expected["error"], error.body, "{case}");
    if let Some(millis) = expected["retry_after_ms"].as_str().and_then(|millis| millis.parse().ok()) {
        assert_eq!(error.retry_after, Some(Duration::from_millis(millis)), "{case}");
    } else if let Some(seconds) = expected["retry_after"].as_str().and_then(|seconds| seconds.parse().ok()) {
        assert_eq!(error.retry_after, Some(Duration::from_secs(seconds)), "{case}");
    }
    if let Some(request_id) = text("request_id") {
        assert_eq!(Some(request_id), error.request_id, "{case}");
    }
}
