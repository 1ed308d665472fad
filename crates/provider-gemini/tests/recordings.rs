//! Every recorded exchange, through the real client over real HTTP, gives what is expected of it, and what the model
//! said goes back as it came.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::time::Duration;

use atomr_agents_core::{FinishReason, Kind, Message, ModelRequest, Part, Usage};
use atomr_agents_http::Secret;
use atomr_agents_inference::{ApiError, InferenceClient, InferenceError, ModelReply};
use atomr_agents_provider_gemini::GeminiConfig;
use atomr_agents_testkit::{Cut, Exchange, ReplayServer, Script};
use common::expected::{assert_api_error, described, parsed_call, wanted, wanted_parsed_call};
use common::faults::{
    assert_breaking_off_is_an_error, assert_conforms, assert_redirects_are_refused, assert_stalls_time_out,
};
use common::{KEY, Played, RECORDINGS, answer, client, impatient, quickly_again, reached, retries, serve};
use serde_json::{Value, json};

fn assert_reply(case: &str, expected: &Value, reply: &ModelReply) {
    assert_eq!(described(&reply.message, parsed_call), wanted(expected, wanted_parsed_call), "{case}");
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

fn assert_refused(case: &str, expected: &Value, error: &ApiError) {
    assert_api_error(case, expected, error);
    assert_eq!(expected["error_message"].as_str(), Some(error.message.as_str()), "{case}");
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

async fn assert_played(played: Played) {
    let Played { case, expected, server } = &played;
    let (builder, events, error) = answer(&client(server)).await;
    match (expected["outcome"].as_str().unwrap(), error) {
        ("ok", None) => assert_reply(case, expected, &builder.finish().unwrap()),
        ("ok", Some(InferenceError::Api(error))) if expected["prompt_feedback"].is_object() => {
            assert_eq!(error.class, Some(Kind::ContentFilter), "{case}");
            assert_eq!(error.body, expected["prompt_feedback"], "{case}");
            assert!(builder.partial().is_none(), "{case}");
            assert_usage(case, expected, builder.usage());
        }
        ("http_error", Some(InferenceError::Api(error))) => {
            assert!(events.is_empty(), "{case}");
            assert_refused(case, expected, &error);
        }
        (outcome, error) => panic!("{case}: expected {outcome}, but it ended with {error:?}"),
    }
    let received = played.only_request().await;
    assert_eq!(received.path, "/v1beta/models/m:streamGenerateContent?alt=sse");
    assert_eq!(received.header("x-goog-api-key"), Some(KEY));
    assert_eq!(received.header("authorization"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recording_gives_what_is_expected() {
    RECORDINGS.play(|_| Cut::Whole, assert_played).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_the_bytes_are_cut() {
    RECORDINGS.play(Cut::Seeded, assert_played).await;
}

#[tokio::test]
async fn the_client_conforms() {
    let cases = ["tools-parallel-stream", "text-json", "error-403", "thinking-tool-stream"];
    assert_conforms(cases.map(|case| RECORDINGS.load(case)), client).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_an_error_and_never_a_finished_answer() {
    let exchange = RECORDINGS.load("tools-parallel-stream");
    assert_breaking_off_is_an_error(&exchange, b"\"finishReason\"", 31, client).await;
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
        let server = serve(RECORDINGS.load(case)).await;
        let client = client(&server);
        let (builder, _, error) = answer(&client).await;
        assert!(error.is_none(), "{case}: {error:?}");
        let transcript = vec![Message::user("Hi"), builder.finish().unwrap().message];
        let lowered = client.lower(&ModelRequest::new("gemini-3-pro-preview", transcript)).unwrap();
        let body: Value = serde_json::from_slice(&lowered.body).unwrap();
        assert_eq!(joined(&body["contents"][1]["parts"]), joined(&sent_parts(&RECORDINGS.load(case))), "{case}");
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
    assert_stalls_time_out(&RECORDINGS.load("text-multi-chunk-stream"), 200, reached(impatient)).await;
}

#[tokio::test]
async fn redirects_are_refused_and_carry_no_key() {
    assert_redirects_are_refused(RECORDINGS.load("text-stream"), client).await;
}

#[tokio::test]
async fn a_failed_call_is_made_again_and_says_so() {
    let delay = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "0.005s"}]}});
    let malformed = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]});
    let script = Script::new()
        .then(Exchange::json(429, &delay))
        .then(RECORDINGS.load("error-503-unavailable"))
        .then(Exchange::event_stream(format!("data: {malformed}\r\n\r\n")))
        .then(RECORDINGS.load("text-stream"));
    let server = ReplayServer::start(script).await.unwrap();
    let (builder, events, error) = answer(&reached(quickly_again)(&server)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(retries(&events), [2, 3, 4]);
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
