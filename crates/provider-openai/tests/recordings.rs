//! Every recorded chat exchange, through the real client over real HTTP, gives what is expected of it.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use atomr_agents_core::ModelEvent;
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_inference::{InferenceError, ModelReply, conformance};
use atomr_agents_provider_openai::{OpenAiClient, OpenAiConfig};
use atomr_agents_testkit::{Cut, Exchange, Fault, ReplayServer, Reply, Script};
use common::{answer, assert_api_error, assert_usage, described, request};
use serde_json::{Value, json};

fn recordings() -> PathBuf {
    common::recordings("openai-chat")
}

fn cases() -> Vec<String> {
    common::cases("openai-chat", 65)
}

fn client(url: &str, quick: bool) -> OpenAiClient {
    let mut config = OpenAiConfig::new(url, Some(Secret::new("sk-canary"))).unwrap();
    config.connection.retry = RetryPolicy::never();
    if quick {
        config.connection.http.idle_timeout = Duration::from_millis(300);
        config.connection.http.first_byte_timeout = Duration::from_millis(300);
    }
    OpenAiClient::new(config).unwrap()
}

/// The deprecated single call counts as a tool call without an id.
fn wanted(expected: &Value) -> Value {
    let calls: Vec<Value> = expected["tool_calls"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(expected.get("function_call").filter(|call| call.is_object()))
        .map(|call| {
            let id = call["id"].as_str().unwrap_or_default();
            json!({"id": id, "name": call["name"], "arguments_raw": call["arguments_raw"]})
        })
        .collect();
    json!({
        "text": expected["text"].as_str().unwrap_or_default(),
        "reasoning": expected["reasoning"].as_str().unwrap_or_default(),
        "refusal": expected["refusal"],
        "tool_calls": calls,
    })
}

fn assert_reply(case: &str, expected: &Value, reply: &ModelReply) {
    assert_eq!(described(&reply.message), wanted(expected), "{case}");
    assert_eq!(expected["finish_reason"], json!(reply.finish_raw), "{case}");
    if expected["usage"].is_object() {
        assert_usage(case, expected, &reply.usage);
    }
    for (choice, alternative) in reply.alternatives.iter().enumerate() {
        let wanted_choice = &expected["choices"][choice + 1];
        assert_eq!(wanted_choice["text"], json!(alternative.message.text()), "{case}");
        assert_eq!(wanted_choice["finish_reason"], json!(alternative.finish_raw), "{case}");
    }
    let choices = expected["choices"].as_array().map_or(1, Vec::len);
    assert_eq!(reply.alternatives.len() + 1, choices.max(1), "{case}");
}

async fn assert_case(case: &str, cut: Cut) {
    let folder = recordings().join(case);
    let expected: Value = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let reply = Reply::new(Exchange::load(&folder).unwrap()).cut(cut);
    let server = ReplayServer::start(Script::always(reply)).await.unwrap();
    let (builder, events, error) = answer(&client(&server.url(), false)).await;
    match (expected["outcome"].as_str().unwrap(), error) {
        ("ok", None) => assert_reply(case, &expected, &builder.finish().unwrap()),
        ("http_error", Some(InferenceError::Api(error))) => {
            assert!(events.is_empty(), "{case}");
            assert_api_error(case, &expected, &error);
        }
        ("stream_error", Some(InferenceError::Api(error))) => {
            assert_eq!(error.status, 200, "{case}");
            assert_eq!(expected["error"]["message"], json!(error.message), "{case}");
            let partial = builder.partial().map(|message| described(&message));
            let reasoning = partial.as_ref().map_or("", |message| message["reasoning"].as_str().unwrap());
            assert_eq!(expected["reasoning"].as_str().unwrap_or_default(), reasoning, "{case}");
        }
        ("incomplete_stream", Some(InferenceError::Interrupted { .. })) => {
            let text = builder.partial().map(|message| message.text()).unwrap_or_default();
            assert_eq!(expected["text"].as_str(), Some(text.as_str()), "{case}");
            if expected["usage"].is_object() {
                assert_usage(case, &expected, builder.usage());
            }
            let names = events.iter().filter_map(|event| match event {
                ModelEvent::ToolCallFinished { call, .. } => Some(call.name.clone()),
                _ => None,
            });
            let wanted = expected["tool_calls"].as_array().unwrap().iter().map(|call| call["name"].as_str().unwrap());
            assert!(names.eq(wanted), "{case}");
        }
        (outcome, error) => panic!("{case}: expected {outcome}, but it ended with {error:?}"),
    }
    let received = server.requests();
    assert_eq!(received.len(), 1, "{case}");
    assert_eq!(received[0].header("authorization"), Some("Bearer sk-canary"));
    server.stop().await;
}

async fn assert_all(cut: fn(u64) -> Cut) {
    common::assert_all(cases(), |case, seed| async move { assert_case(&case, cut(seed)).await }).await;
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
    for case in ["tools-parallel-stream", "text-json", "error-401", "groq-midstream-tool-use-failed"] {
        // Slowly, so that calls are ended in the middle of the answer.
        let slowly = Cut::PerEvent(Duration::from_millis(20));
        let reply = Reply::new(Exchange::load(recordings().join(case)).unwrap()).cut(slowly);
        let server = ReplayServer::start(Script::always(reply)).await.unwrap();
        let quiet = || server.quiet(Duration::from_secs(5));
        conformance::check_at_rest(&client(&server.url(), false), request(), quiet).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_an_error_and_never_a_finished_answer() {
    let exchange = Exchange::load(recordings().join("tools-parallel-stream")).unwrap();
    let body = exchange.body.clone();
    let done = body.windows(15).position(|window| window == b"\"finish_reason\"").unwrap();
    for at in (0..body.len()).step_by(61) {
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
    let exchange = Exchange::load(recordings().join("text-stream")).unwrap();
    for fault in [Fault::StallAt(200), Fault::StallBeforeHeaders] {
        let server = ReplayServer::start(Script::always(Reply::new(exchange.clone()).fault(fault))).await.unwrap();
        let (_, _, error) = answer(&client(&server.url(), true)).await;
        assert!(matches!(error, Some(InferenceError::Timeout { .. })), "{error:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn redirects_are_refused_and_carry_no_key() {
    let elsewhere = ReplayServer::start(Script::always(Exchange::json(200, &json!({})))).await.unwrap();
    let exchange = Exchange::load(recordings().join("text-stream")).unwrap();
    let reply = Reply::new(exchange).fault(Fault::RedirectTo(elsewhere.url()));
    let server = ReplayServer::start(Script::always(reply)).await.unwrap();
    let (_, _, error) = answer(&client(&server.url(), false)).await;
    assert!(error.unwrap().to_string().contains("redirects are not followed"));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_failed_call_is_made_again_and_says_so() {
    let load = |case: &str| Exchange::load(recordings().join(case)).unwrap();
    let limited = Exchange::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after-ms", "5");
    let script = Script::new().then(limited).then(load("error-500-server-error")).then(load("text-stream"));
    let server = ReplayServer::start(script).await.unwrap();
    let mut config = OpenAiConfig::new(&server.url(), None).unwrap();
    config.connection.retry = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
    let (builder, events, error) = answer(&OpenAiClient::new(config).unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    let attempts: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::Retrying { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [2, 3]);
    assert_eq!(builder.finish().unwrap().message.text(), "Olá!");
}

#[tokio::test]
async fn a_key_that_the_server_quotes_is_in_no_error() {
    let quoting = json!({"error": {"message": "bad key sk-canary", "code": "sk-canary", "param": ["sk-canary"]}});
    let midstream = Exchange::event_stream(format!("data: {quoting}\n\ndata: [DONE]\n\n"));
    let garbage = Exchange::event_stream("data: {\"a\": sk-canary\n\n");
    for exchange in [Exchange::json(401, &quoting), Exchange::json(400, &json!("sk-canary")), midstream, garbage] {
        let server = ReplayServer::start(Script::always(exchange)).await.unwrap();
        let (_, _, error) = answer(&client(&server.url(), false)).await;
        let error = error.unwrap();
        assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn no_key_is_told_with_its_variable_and_a_secret_never_prints() {
    let config = OpenAiConfig::new("https://example.org/v1", Some(Secret::new("sk-canary"))).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
    if std::env::var_os("OPENAI_API_KEY").is_none() {
        let error = OpenAiConfig::from_env(Some("https://example.org/v1"), None).unwrap_err();
        assert!(error.to_string().contains("OPENAI_API_KEY"), "{error}");
    }
    assert!(OpenAiConfig::from_env(Some("http://127.0.0.1:1/v1"), None).is_ok());
}
