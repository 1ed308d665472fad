//! Every recorded exchange, through the real client over real HTTP, gives what is expected of it.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use atomr_agents_core::{FinishReason, Kind, Message, ModelEvent, Part};
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_inference::{ApiError, InferenceError, ModelReply, conformance};
use atomr_agents_provider_anthropic::{AnthropicClient, AnthropicConfig};
use atomr_agents_testkit::{Cut, Exchange, Fault, ReplayServer, Reply, Script};
use common::{answer, cases, client, config, expected, load, request};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// The message as `expected.json` describes one.
fn described(message: &Message) -> Value {
    let thoughts = message.parts.iter().filter_map(|part| match part {
        Part::Thinking { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let calls: Vec<Value> = message
        .tool_calls()
        .map(|call| json!({"id": call.id, "name": call.name, "arguments": call.arguments().unwrap_or_default()}))
        .collect();
    let (text, reasoning) = (message.text(), thoughts.collect::<String>());
    json!({"text": text, "reasoning": reasoning, "refusal": message.refusal(), "tool_calls": calls})
}

fn wanted(expected: &Value) -> Value {
    let calls: Vec<Value> = expected["tool_calls"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|call| json!({"id": call["id"], "name": call["name"], "arguments": call["arguments"]}))
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
    assert_eq!(expected["finish_reason"], json!(reply.finish_raw), "{case}");
    let normalised = match reply.finish_raw.as_str() {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        "pause_turn" => FinishReason::Paused,
        other => panic!("{case}: {other}"),
    };
    assert_eq!(reply.finish, normalised, "{case}");
    assert_eq!(expected["id"], json!(reply.id.as_deref().unwrap_or_default()), "{case}");
    assert_eq!(expected["model"], json!(reply.model.as_deref().unwrap_or_default()), "{case}");
    assert_usage(case, expected, &reply.usage);
}

fn assert_usage(case: &str, expected: &Value, usage: &atomr_agents_core::Usage) {
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

fn assert_api_error(case: &str, expected: &Value, error: &ApiError) {
    assert_eq!(expected["status"].as_u64(), Some(error.status.into()), "{case}");
    assert_eq!(expected["error_type"], json!(error.error_type), "{case}");
    assert_eq!(expected["error_code"], json!(error.code), "{case}");
    assert_eq!(expected["error_message"], json!(error.message), "{case}");
    assert_eq!(expected["error"], error.body, "{case}");
    let seconds = expected["retry_after"].as_str().map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    assert_eq!(error.retry_after, seconds, "{case}");
    let should_retry = expected["x_should_retry"].as_str().map(|said| said == "true");
    assert_eq!(error.should_retry, should_retry, "{case}");
    let request_id = [&expected["request_id"], &expected["body_request_id"]].into_iter().find_map(Value::as_str);
    assert_eq!(error.request_id.as_deref(), request_id, "{case}");
    let class = match case {
        "error-400-context" => Kind::ContextTooLong,
        "error-400-effort" => Kind::InvalidRequest,
        "error-401" => Kind::Authentication,
        "error-404-model" => Kind::NotFound,
        "error-429-rate-limit" => Kind::RateLimited,
        "error-500-api-error" => Kind::ServerError,
        "error-529-overloaded" => Kind::Overloaded,
        other => panic!("{other}"),
    };
    assert_eq!(error.class, Some(class), "{case}");
}

async fn assert_case(case: &str, cut: Cut) {
    let expected = expected(case);
    let server = ReplayServer::start(Script::always(Reply::new(load(case)).cut(cut))).await.unwrap();
    let (builder, events, error) = answer(&client(&server.url(), false)).await;
    match (expected["outcome"].as_str().unwrap(), error) {
        ("ok", None) => assert_reply(case, &expected, &builder.finish().unwrap()),
        ("http_error", Some(InferenceError::Api(error))) => {
            assert!(events.is_empty(), "{case}");
            assert_api_error(case, &expected, &error);
        }
        ("stream_error", Some(InferenceError::Api(error))) => {
            assert_eq!((error.status, error.class), (200, Some(Kind::Overloaded)), "{case}");
            assert_eq!(error.request_id.as_deref(), Some("req_REDACTED"), "{case}");
            assert_eq!(expected["error"], error.body, "{case}");
            assert_eq!(expected["text"], json!(builder.partial().unwrap().text()), "{case}");
            assert_usage(case, &expected, builder.usage());
        }
        (outcome, error) => panic!("{case}: expected {outcome}, but it ended with {error:?}"),
    }
    let received = server.requests();
    assert_eq!(received.len(), 1, "{case}");
    assert_eq!(received[0].header("x-api-key"), Some("sk-canary"));
    assert_eq!(received[0].header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(received[0].path, "/v1/messages");
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
    for case in ["tools-parallel-stream", "tool-partial-json-cut-stream", "text-json", "error-401", "mcp-stream"] {
        let server = ReplayServer::start(Script::always(load(case))).await.unwrap();
        conformance::check(&client(&server.url(), false), request()).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_an_error_and_never_a_finished_answer() {
    let exchange = load("tools-parallel-stream");
    let body = exchange.body.clone();
    let needle = b"{\"type\":\"message_stop\"";
    let done = body.windows(needle.len()).position(|window| window == needle).unwrap();
    for at in (0..body.len()).step_by(61).chain([done, body.len() - 2]) {
        for fault in [Fault::ResetAt(at), Fault::CleanEndAt(at), Fault::CloseAt(at)] {
            let server = ReplayServer::start(Script::always(Reply::new(exchange.clone()).fault(fault))).await.unwrap();
            let (builder, _, error) = answer(&client(&server.url(), false)).await;
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

#[tokio::test]
async fn a_stalled_stream_and_stalled_headers_time_out() {
    for fault in [Fault::StallAt(500), Fault::StallBeforeHeaders] {
        let reply = Reply::new(load("text-stream")).fault(fault);
        let server = ReplayServer::start(Script::always(reply)).await.unwrap();
        let (_, _, error) = answer(&client(&server.url(), true)).await;
        assert!(matches!(error, Some(InferenceError::Timeout { .. })), "{error:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn redirects_are_refused_and_carry_no_key() {
    let elsewhere = ReplayServer::start(Script::always(Exchange::json(200, &json!({})))).await.unwrap();
    let reply = Reply::new(load("text-stream")).fault(Fault::RedirectTo(elsewhere.url()));
    let server = ReplayServer::start(Script::always(reply)).await.unwrap();
    let (_, _, error) = answer(&client(&server.url(), false)).await;
    assert!(error.unwrap().to_string().contains("redirects are not followed"));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn an_overloaded_provider_is_asked_again_and_a_refused_key_is_not() {
    let script =
        Script::new().then(load("error-529-overloaded")).then(load("error-500-api-error")).then(load("text-stream"));
    let server = ReplayServer::start(script).await.unwrap();
    let mut quick = config(&server.url());
    quick.connection.retry = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
    let (builder, events, error) = answer(&AnthropicClient::new(quick.clone()).unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    let retries = events.iter().filter(|event| matches!(event, ModelEvent::Retrying { .. })).count();
    assert_eq!((retries, server.requests().len()), (2, 3));
    assert!(builder.finish().unwrap().message.text().starts_with("Olá!"));
    // The provider's own word counts: this error would be tried again otherwise.
    let stubborn = load("error-500-api-error").header("x-should-retry", "false");
    let server = ReplayServer::start(Script::always(stubborn)).await.unwrap();
    let again = AnthropicConfig::new(&server.url(), None).unwrap();
    let (_, _, error) = answer(&AnthropicClient::new(again).unwrap()).await;
    assert_eq!((error.unwrap().kind(), server.requests().len()), (Kind::ServerError, 1));
}

#[tokio::test]
async fn a_key_that_the_server_quotes_is_in_no_error() {
    let quoting = json!({"type": "error", "error": {"message": "bad key sk-canary", "type": "sk-canary"}});
    let midstream = Exchange::event_stream(format!("event: error\ndata: {quoting}\n\n"));
    let garbage = Exchange::event_stream("data: {\"a\": sk-canary\n\n");
    for exchange in [Exchange::json(401, &quoting), Exchange::json(400, &json!("sk-canary")), midstream, garbage] {
        let (_, error) = common::answered(exchange).await; // which looks at every error
        assert!(error.is_some());
    }
}

#[tokio::test]
async fn no_key_is_told_with_its_variable_and_a_secret_never_prints() {
    let config = AnthropicConfig::new("https://example.org", Some(Secret::new("sk-canary"))).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
    if std::env::var_os("ANTHROPIC_API_KEY").is_none() {
        let error = AnthropicConfig::from_env(Some("https://example.org"), None).unwrap_err();
        assert!(error.to_string().contains("ANTHROPIC_API_KEY"), "{error}");
    }
    let error = AnthropicConfig::from_env(Some("https://example.org"), Some(Secret::new(""))).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("api_key"), "{error}");
    assert!(AnthropicConfig::from_env(Some("http://127.0.0.1:1"), None).is_ok());
}

#[tokio::test]
async fn the_address_may_have_its_version_and_betas_are_asked_for() {
    let server = ReplayServer::start(Script::always(load("text-stream"))).await.unwrap();
    let root = server.url().trim_end_matches("/v1").to_owned();
    for url in [root.clone(), format!("{root}/"), format!("{root}/v1"), format!("{root}/v1/")] {
        let mut config = config(&url);
        config.betas = vec!["files-api-2025-04-14".into(), "b".into()];
        let (_, _, error) = answer(&AnthropicClient::new(config).unwrap()).await;
        assert!(error.is_none(), "{error:?}");
    }
    for received in server.requests() {
        assert_eq!(received.path, "/v1/messages");
        assert_eq!(received.header("anthropic-beta"), Some("files-api-2025-04-14,b"));
    }
}
