//! Every recorded exchange, through the real client over real HTTP, gives what is expected of it.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::time::Duration;

use atomr_agents_core::{FinishReason, Kind};
use atomr_agents_http::Secret;
use atomr_agents_inference::{ApiError, InferenceError, ModelReply};
use atomr_agents_provider_anthropic::{AnthropicClient, AnthropicConfig};
use atomr_agents_testkit::{Cut, Exchange, ReplayServer, Script};
use common::expected::{assert_api_error, assert_usage, described, parsed_call, wanted, wanted_parsed_call};
use common::faults::{
    assert_breaking_off_is_an_error, assert_conforms, assert_quoted_keys_are_hidden, assert_redirects_are_refused,
    assert_stalls_time_out,
};
use common::{Played, RECORDINGS, answer, client, config, impatient, quickly_again, reached, retries, root, serve};
use serde_json::{Value, json};

fn assert_reply(case: &str, expected: &Value, reply: &ModelReply) {
    assert_eq!(described(&reply.message, parsed_call), wanted(expected, wanted_parsed_call), "{case}");
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

fn assert_refused(case: &str, expected: &Value, error: &ApiError) {
    assert_api_error(case, expected, error);
    assert_eq!(expected["error_message"], json!(error.message), "{case}");
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

async fn assert_played(played: Played) {
    let Played { case, expected, server } = &played;
    let (builder, events, error) = answer(&client(server)).await;
    match (expected["outcome"].as_str().unwrap(), error) {
        ("ok", None) => assert_reply(case, expected, &builder.finish().unwrap()),
        ("http_error", Some(InferenceError::Api(error))) => {
            assert!(events.is_empty(), "{case}");
            assert_refused(case, expected, &error);
        }
        ("stream_error", Some(InferenceError::Api(error))) => {
            assert_eq!((error.status, error.class), (200, Some(Kind::Overloaded)), "{case}");
            assert_eq!(error.request_id.as_deref(), Some("req_REDACTED"), "{case}");
            assert_eq!(expected["error"], error.body, "{case}");
            assert_eq!(expected["text"], json!(builder.partial().unwrap().text()), "{case}");
            assert_usage(case, expected, builder.usage());
        }
        (outcome, error) => panic!("{case}: expected {outcome}, but it ended with {error:?}"),
    }
    let received = played.only_request().await;
    assert_eq!(received.header("x-api-key"), Some("sk-canary"));
    assert_eq!(received.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(received.path, "/v1/messages");
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
    let cases = ["tools-parallel-stream", "tool-partial-json-cut-stream", "text-json", "error-401", "mcp-stream"];
    assert_conforms(cases.map(|case| RECORDINGS.load(case)), client).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_an_error_and_never_a_finished_answer() {
    let exchange = RECORDINGS.load("tools-parallel-stream");
    assert_breaking_off_is_an_error(&exchange, b"{\"type\":\"message_stop\"", 61, client).await;
}

#[tokio::test]
async fn a_stalled_stream_and_stalled_headers_time_out() {
    assert_stalls_time_out(&RECORDINGS.load("text-stream"), 500, reached(impatient)).await;
}

#[tokio::test]
async fn redirects_are_refused_and_carry_no_key() {
    assert_redirects_are_refused(RECORDINGS.load("text-stream"), client).await;
}

#[tokio::test]
async fn an_overloaded_provider_is_asked_again_and_a_refused_key_is_not() {
    let load = |case| RECORDINGS.load(case);
    let script =
        Script::new().then(load("error-529-overloaded")).then(load("error-500-api-error")).then(load("text-stream"));
    let server = ReplayServer::start(script).await.unwrap();
    let (builder, events, error) = answer(&reached(quickly_again)(&server)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((retries(&events), server.requests().len()), (vec![2, 3], 3));
    assert!(builder.finish().unwrap().message.text().starts_with("Olá!"));
    // The provider's own word counts: this error would be tried again otherwise.
    let stubborn = load("error-500-api-error").header("x-should-retry", "false");
    let server = serve(stubborn).await;
    let again = AnthropicConfig::new(&server.url(), None).unwrap();
    let (_, _, error) = answer(&AnthropicClient::new(again).unwrap()).await;
    assert_eq!((error.unwrap().kind(), server.requests().len()), (Kind::ServerError, 1));
}

#[tokio::test]
async fn a_key_that_the_server_quotes_is_in_no_error() {
    let quoting = json!({"type": "error", "error": {"message": "bad key sk-canary", "type": "sk-canary"}});
    let midstream = Exchange::event_stream(format!("event: error\ndata: {quoting}\n\n"));
    let garbage = Exchange::event_stream("data: {\"a\": sk-canary\n\n");
    let statuses = [Exchange::json(401, &quoting), Exchange::json(400, &json!("sk-canary"))];
    assert_quoted_keys_are_hidden(statuses.into_iter().chain([midstream, garbage]), client).await;
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
    let server = serve(RECORDINGS.load("text-stream")).await;
    let root = root(&server);
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
