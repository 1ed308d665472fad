//! Every recorded exchange, through the real client over real HTTP, gives what is expected of it, and what the model
//! said goes back as it came.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, FinishReason, Kind, Message, ModelEvent, ModelRequest, Part, Usage};
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_inference::{ApiError, InferenceClient, InferenceError, ModelReply, ReplyBuilder, conformance};
use atomr_agents_provider_gemini::{GeminiClient, GeminiConfig};
use atomr_agents_testkit::{Cut, Exchange, Fault, ReplayServer, Reply, Script};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tokio::task::JoinSet;

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/recordings/gemini-generate-content")
}

fn cases() -> Vec<String> {
    let folders = fs::read_dir(recordings()).unwrap().map(|entry| entry.unwrap());
    let mut cases: Vec<String> =
        folders.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect();
    cases.sort();
    assert_eq!(cases.len(), 32, "all recordings must be seen");
    cases
}

fn load(case: &str) -> Exchange {
    Exchange::load(recordings().join(case)).unwrap()
}

fn root(server: &ReplayServer) -> String {
    format!("http://{}", server.address())
}

fn client(url: &str, quick: bool) -> GeminiClient {
    let mut config = GeminiConfig::new(url, Some(Secret::new("key-canary"))).unwrap();
    config.connection.retry = RetryPolicy::never();
    if quick {
        config.connection.http.idle_timeout = Duration::from_millis(300);
        config.connection.http.first_byte_timeout = Duration::from_millis(300);
    }
    GeminiClient::new(config).unwrap()
}

fn request() -> ModelRequest {
    ModelRequest::new("m", vec![Message::user("Hi")])
}

/// What arrived, and how it ended.
async fn answer(client: &GeminiClient) -> (ReplyBuilder, Vec<ModelEvent>, Option<InferenceError>) {
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
fn described(message: &Message) -> Value {
    let joined = |wanted: fn(&Part) -> Option<&str>| message.parts.iter().filter_map(wanted).collect::<String>();
    let calls: Vec<Value> = message
        .tool_calls()
        .map(|call| json!({"id": call.id, "name": call.name, "arguments": call.arguments().unwrap()}))
        .collect();
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

fn wanted(expected: &Value) -> Value {
    let calls: Vec<Value> = expected["tool_calls"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|call| {
            let id = call["id"].as_str().unwrap_or_default();
            json!({"id": id, "name": call["name"], "arguments": call["arguments"]})
        })
        .collect();
    json!({
        "text": expected["text"],
        "reasoning": expected["reasoning"],
        "refusal": expected["refusal"],
        "tool_calls": calls,
    })
}

fn assert_reply(case: &str, expected: &Value, reply: &ModelReply) {
    assert_eq!(described(&reply.message), wanted(expected), "{case}");
    let finish =
        expected["finish_reason"].as_str().map_or_else(|| expected["finish_reason"].to_string(), str::to_owned);
    assert_eq!(finish, reply.finish_raw, "{case}");
    assert_eq!(reply.id.as_deref(), expected["id"].as_str(), "{case}");
    assert_eq!(reply.model.as_deref(), expected["model"].as_str(), "{case}");
    assert_usage(case, expected, &reply.usage);
    assert!(reply.alternatives.is_empty(), "{case}");
    let called = expected["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty());
    assert_eq!(reply.finish == FinishReason::ToolCalls, called, "{case}");
    assert_parts(case, expected, reply);
}

/// Thoughts' signatures, what the provider's own tools left, and sources.
fn assert_parts(case: &str, expected: &Value, reply: &ModelReply) {
    let (mut signatures, mut server, mut grounded) = (0, Vec::new(), false);
    for part in &reply.message.parts {
        match part {
            Part::Thinking { signature: Some(_), provider, .. } => {
                assert_eq!(provider.as_deref(), Some("gemini"), "{case}");
                signatures += 1;
            }
            Part::ToolCall(call) => {
                signatures +=
                    u64::from(call.private_to("gemini").is_some_and(|kept| kept["thoughtSignature"].is_string()));
            }
            Part::ServerTool { name, .. } if name == "groundingMetadata" => grounded = true,
            Part::ServerTool { name, data, .. } if name != "urlContextMetadata" => {
                signatures += u64::from(data["thoughtSignature"].is_string());
                server.push(name.clone());
            }
            _ => {}
        }
    }
    assert_eq!(expected["thought_signatures"].as_u64().unwrap_or(0), signatures, "{case}");
    assert_eq!(expected["chunks_with_grounding_metadata"].is_u64(), grounded, "{case}");
    let kinds = expected["parts"].as_array().unwrap().iter().map(|part| part["type"].as_str().unwrap());
    let wanted: Vec<&str> = kinds.filter(|kind| !matches!(*kind, "text" | "thought" | "functionCall")).collect();
    assert_eq!(server, wanted, "{case}");
}

/// `expected.json` counts thoughts and what server tools read apart; together they are the provider's own total.
fn assert_usage(case: &str, expected: &Value, usage: &Usage) {
    assert_eq!(usage.raw.as_ref(), Some(&expected["usage"]), "{case}");
    let normalised = &expected["usage_normalised"];
    let number = |name: &str| normalised[name].as_u64();
    let read_by_tools = expected["usage"]["toolUsePromptTokenCount"].as_u64().unwrap_or(0);
    assert_eq!(number("input_tokens").unwrap_or(0) + read_by_tools, usage.input_tokens, "{case}");
    let thoughts = number("reasoning_tokens").unwrap_or(0);
    assert_eq!(number("output_tokens").unwrap_or(0) + thoughts, usage.output_tokens, "{case}");
    assert_eq!(number("total_tokens"), usage.total_tokens, "{case}");
    assert_eq!(number("cached_input_tokens"), usage.cached_input_tokens, "{case}");
    assert_eq!(number("reasoning_tokens"), usage.reasoning_tokens, "{case}");
    if let Some(total) = usage.total_tokens {
        assert_eq!(
            usage.input_tokens + usage.output_tokens,
            total,
            "{case}: nothing is lost and nothing counted twice"
        );
    }
}

fn assert_api_error(case: &str, expected: &Value, error: &ApiError) {
    assert_eq!(expected["status"].as_u64(), Some(error.status.into()), "{case}");
    assert_eq!(expected["error_type"].as_str(), error.error_type.as_deref(), "{case}");
    assert_eq!(Some(expected["error_code"].to_string()), error.code, "{case}");
    assert_eq!(expected["error_message"].as_str(), Some(error.message.as_str()), "{case}");
    assert_eq!(expected["error"], error.body, "{case}");
    let (kind, wait) = match case {
        "error-400-key" => (Kind::Authentication, None),
        "error-403" => (Kind::Permission, None),
        "error-404" => (Kind::NotFound, None),
        "error-429-retry-info" => (Kind::RateLimited, Some(Duration::from_secs(48))),
        "error-503-unavailable" => (Kind::Overloaded, None),
        other => panic!("{other} is new"),
    };
    assert_eq!((error.class, error.retry_after), (Some(kind), wait), "{case}");
}

async fn assert_case(case: &str, cut: Cut) {
    let expected = fs::read(recordings().join(case).join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let server = ReplayServer::start(Script::always(Reply::new(load(case)).cut(cut))).await.unwrap();
    let (builder, events, error) = answer(&client(&root(&server), false)).await;
    match (expected["outcome"].as_str().unwrap(), error) {
        ("ok", None) => assert_reply(case, &expected, &builder.finish().unwrap()),
        ("ok", Some(InferenceError::Api(error))) if expected["prompt_feedback"].is_object() => {
            assert_eq!(error.class, Some(Kind::ContentFilter), "{case}");
            assert_eq!(error.body, expected["prompt_feedback"], "{case}");
            assert!(builder.partial().is_none(), "{case}");
            assert_usage(case, &expected, builder.usage());
        }
        ("http_error", Some(InferenceError::Api(error))) => {
            assert!(events.is_empty(), "{case}");
            assert_api_error(case, &expected, &error);
        }
        (outcome, error) => panic!("{case}: expected {outcome}, but it ended with {error:?}"),
    }
    let received = server.requests();
    assert_eq!(received.len(), 1, "{case}");
    assert_eq!(received[0].path, "/v1beta/models/m:streamGenerateContent?alt=sse");
    assert_eq!(received[0].header("x-goog-api-key"), Some("key-canary"));
    assert_eq!(received[0].header("authorization"), None);
    server.stop().await;
}

/// Runs every case by itself, so that one that fails hides no other.
async fn assert_all(cut: fn(u64) -> Cut) {
    let mut running = JoinSet::new();
    for (seed, case) in (0..).zip(cases()) {
        running.spawn(async move {
            let outcome = AssertUnwindSafe(assert_case(&case, cut(seed))).catch_unwind().await.is_ok();
            (case, outcome)
        });
    }
    let failed: Vec<String> =
        running.join_all().await.into_iter().filter(|(_, passed)| !passed).map(|(case, _)| case).collect();
    assert!(failed.is_empty(), "these recordings are read wrongly (see above): {failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recording_gives_what_is_expected() {
    assert_all(|_| Cut::Whole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_the_bytes_are_cut() {
    assert_all(Cut::Seeded).await;
}

#[tokio::test]
async fn the_client_conforms() {
    for case in ["tools-parallel-stream", "text-json", "error-403", "thinking-tool-stream"] {
        let server = ReplayServer::start(Script::always(load(case))).await.unwrap();
        conformance::check(&client(&root(&server), false), request()).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_an_error_and_never_a_finished_answer() {
    let exchange = load("tools-parallel-stream");
    let body = exchange.body.clone();
    let done = body.windows(14).position(|window| window == b"\"finishReason\"").unwrap();
    for at in (0..body.len()).step_by(31) {
        for fault in [Fault::ResetAt(at), Fault::CleanEndAt(at), Fault::CloseAt(at)] {
            let server = ReplayServer::start(Script::always(Reply::new(exchange.clone()).fault(fault))).await.unwrap();
            let (builder, _, error) = answer(&client(&root(&server), false)).await;
            match error {
                None => assert!(at > done && builder.is_finished()),
                Some(InferenceError::Interrupted { .. } | InferenceError::Protocol { .. }) => {
                    assert!(!builder.is_finished());
                }
                Some(other) => panic!("{other:?}"),
            }
            server.stop().await;
        }
    }
}

/// What the model said goes back exactly as it came, part by part: text, thoughts' signatures, calls, server tools.
#[tokio::test]
async fn an_answer_goes_back_as_it_came() {
    for case in [
        "tools-parallel-thought-signature-stream",
        "thinking-tool-stream",
        "thinking-text-stream",
        "code-execution-stream",
        "server-tool-call-stream",
        "tools-three-json",
    ] {
        let server = ReplayServer::start(Script::always(load(case))).await.unwrap();
        let client = client(&root(&server), false);
        let (builder, _, error) = answer(&client).await;
        assert!(error.is_none(), "{case}: {error:?}");
        let transcript = vec![Message::user("Hi"), builder.finish().unwrap().message];
        let lowered = client.lower(&ModelRequest::new("gemini-3-pro-preview", transcript)).unwrap();
        let body: Value = serde_json::from_slice(&lowered.body).unwrap();
        assert_eq!(joined(&body["contents"][1]["parts"]), joined(&sent_parts(&load(case))), "{case}");
        server.stop().await;
    }
}

/// The parts of a recorded answer.
fn sent_parts(exchange: &Exchange) -> Value {
    let text = std::str::from_utf8(&exchange.body).unwrap();
    let documents: Vec<Value> = if exchange.is_stream() {
        text.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    } else {
        vec![serde_json::from_str(text).unwrap()]
    };
    let parts = documents.iter().filter_map(|document| document["candidates"][0]["content"]["parts"].as_array());
    parts.flatten().cloned().collect()
}

/// Neighbouring texts without a signature are one text; an empty text says nothing; summaries of thoughts that bear no
/// signature need not go back.
fn joined(parts: &Value) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for part in parts.as_array().unwrap() {
        let signed = part.get("thoughtSignature").is_some();
        let text = part["text"].as_str();
        if !signed && (part["thought"] == true || text == Some("")) {
            continue;
        }
        match (text, out.last_mut().filter(|last| last["text"].is_string())) {
            (Some(text), Some(last)) if !signed => {
                last["text"] = json!(format!("{}{text}", last["text"].as_str().unwrap()));
            }
            _ => out.push(part.clone()),
        }
    }
    out
}

#[tokio::test]
async fn a_stalled_stream_and_stalled_headers_time_out() {
    let exchange = load("text-multi-chunk-stream");
    for fault in [Fault::StallAt(200), Fault::StallBeforeHeaders] {
        let server = ReplayServer::start(Script::always(Reply::new(exchange.clone()).fault(fault))).await.unwrap();
        let (_, _, error) = answer(&client(&root(&server), true)).await;
        assert!(matches!(error, Some(InferenceError::Timeout { .. })), "{error:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn redirects_are_refused_and_carry_no_key() {
    let elsewhere = ReplayServer::start(Script::always(Exchange::json(200, &json!({})))).await.unwrap();
    let reply = Reply::new(load("text-stream")).fault(Fault::RedirectTo(elsewhere.url()));
    let server = ReplayServer::start(Script::always(reply)).await.unwrap();
    let (_, _, error) = answer(&client(&root(&server), false)).await;
    assert!(error.unwrap().to_string().contains("redirects are not followed"));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_failed_call_is_made_again_and_says_so() {
    let delay = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "0.005s"}]}});
    let malformed = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]});
    let script = Script::new()
        .then(Exchange::json(429, &delay))
        .then(load("error-503-unavailable"))
        .then(Exchange::event_stream(format!("data: {malformed}\r\n\r\n")))
        .then(load("text-stream"));
    let server = ReplayServer::start(script).await.unwrap();
    let mut config = GeminiConfig::new(&root(&server), None).unwrap();
    config.connection.retry = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
    let (builder, events, error) = answer(&GeminiClient::new(config).unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    let attempts: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::Retrying { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [2, 3, 4]);
    assert_eq!(builder.finish().unwrap().message.text(), "Olá!");
}

#[tokio::test]
async fn no_key_is_told_with_its_variables_and_a_secret_never_prints() {
    let config = GeminiConfig::new("https://example.org", Some(Secret::new("key-canary"))).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
    if std::env::var_os("GEMINI_API_KEY").is_none() && std::env::var_os("GOOGLE_API_KEY").is_none() {
        let error = GeminiConfig::from_env(Some("https://example.org"), None).unwrap_err();
        assert!(error.to_string().contains("GEMINI_API_KEY or GOOGLE_API_KEY"), "{error}");
    }
    assert!(GeminiConfig::from_env(Some("http://127.0.0.1:1"), None).is_ok());
}
