//! Every recorded chat exchange, through the real client over real HTTP, gives what is expected of it.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::time::Duration;

use atomr_agents_core::ModelEvent;
use atomr_agents_http::Secret;
use atomr_agents_inference::{InferenceError, ModelReply, conformance};
use atomr_agents_provider_openai::OpenAiConfig;
use atomr_agents_testkit::{Cut, Exchange, ReplayServer, Reply, Script};
use common::expected::{assert_api_error, assert_usage, described, raw_call, wanted, wanted_raw_call};
use common::faults::{
    assert_breaking_off_is_an_error, assert_quoted_keys_are_hidden, assert_redirects_are_refused,
    assert_stalls_time_out,
};
use common::{CHAT, Played, answer, client, impatient, quickly_again, reached, request, retries, serve};
use serde_json::{Value, json};

fn assert_reply(case: &str, expected: &Value, reply: &ModelReply) {
    assert_eq!(described(&reply.message, raw_call), wanted(expected, wanted_raw_call), "{case}");
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

async fn assert_played(played: Played) {
    let Played { case, expected, server } = &played;
    let (builder, events, error) = answer(&client(server)).await;
    match (expected["outcome"].as_str().unwrap(), error) {
        ("ok", None) => assert_reply(case, expected, &builder.finish().unwrap()),
        ("http_error", Some(InferenceError::Api(error))) => {
            assert!(events.is_empty(), "{case}");
            assert_api_error(case, expected, &error);
        }
        ("stream_error", Some(InferenceError::Api(error))) => {
            assert_eq!(error.status, 200, "{case}");
            assert_eq!(expected["error"]["message"], json!(error.message), "{case}");
            let partial = builder.partial().map(|message| described(&message, raw_call));
            let reasoning = partial.as_ref().map_or("", |message| message["reasoning"].as_str().unwrap());
            assert_eq!(expected["reasoning"].as_str().unwrap_or_default(), reasoning, "{case}");
        }
        ("incomplete_stream", Some(InferenceError::Interrupted { .. })) => {
            let text = builder.partial().map(|message| message.text()).unwrap_or_default();
            assert_eq!(expected["text"].as_str(), Some(text.as_str()), "{case}");
            if expected["usage"].is_object() {
                assert_usage(case, expected, builder.usage());
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
    let received = played.only_request().await;
    assert_eq!(received.header("authorization"), Some("Bearer sk-canary"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recording_gives_what_is_expected() {
    CHAT.play(|_| Cut::Whole, assert_played).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_the_bytes_are_cut() {
    CHAT.play(Cut::Seeded, assert_played).await;
}

#[tokio::test]
async fn the_client_conforms() {
    for case in ["tools-parallel-stream", "text-json", "error-401", "groq-midstream-tool-use-failed"] {
        // Slowly, so that calls are ended in the middle of the answer.
        let slowly = Cut::PerEvent(Duration::from_millis(20));
        let server = serve(Reply::new(CHAT.load(case)).cut(slowly)).await;
        let quiet = || server.quiet(Duration::from_secs(5));
        conformance::check_at_rest(&client(&server), request(), quiet).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_an_error_and_never_a_finished_answer() {
    assert_breaking_off_is_an_error(&CHAT.load("tools-parallel-stream"), b"\"finish_reason\"", 61, client).await;
}

#[tokio::test]
async fn a_stalled_stream_and_stalled_headers_time_out() {
    assert_stalls_time_out(&CHAT.load("text-stream"), 200, reached(impatient)).await;
}

#[tokio::test]
async fn redirects_are_refused_and_carry_no_key() {
    assert_redirects_are_refused(CHAT.load("text-stream"), client).await;
}

#[tokio::test]
async fn a_failed_call_is_made_again_and_says_so() {
    let limited = Exchange::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after-ms", "5");
    let script = Script::new().then(limited).then(CHAT.load("error-500-server-error")).then(CHAT.load("text-stream"));
    let server = ReplayServer::start(script).await.unwrap();
    let (builder, events, error) = answer(&reached(quickly_again)(&server)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(retries(&events), [2, 3]);
    assert_eq!(builder.finish().unwrap().message.text(), "Olá!");
}

#[tokio::test]
async fn a_key_that_the_server_quotes_is_in_no_error() {
    let quoting = json!({"error": {"message": "bad key sk-canary", "code": "sk-canary", "param": ["sk-canary"]}});
    let midstream = Exchange::event_stream(format!("data: {quoting}\n\ndata: [DONE]\n\n"));
    let garbage = Exchange::event_stream("data: {\"a\": sk-canary\n\n");
    let statuses = [Exchange::json(401, &quoting), Exchange::json(400, &json!("sk-canary"))];
    assert_quoted_keys_are_hidden(statuses.into_iter().chain([midstream, garbage]), client).await;
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
