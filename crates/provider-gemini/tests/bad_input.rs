//! Everything that can be wrong between us and the provider, each with a kind of its own and nothing lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::error::Error as _;

use atomr_agents_core::{FinishReason, Kind};
use atomr_agents_http::RetryPolicy;
use atomr_agents_inference::InferenceError;
use atomr_agents_provider_gemini::GeminiClient;
use atomr_agents_testkit::{Exchange, ReplayServer};
use common::faults::{
    assert_a_long_wait_is_told_at_once, assert_cancelling_ends_it, assert_quoted_keys_are_hidden,
    assert_tried_again_unless_something_was_said,
};
use common::{answer, answered, client, config, quickly_again, reached, serve};
use serde_json::{Value, json};

fn event(parts: &Value, finish: Option<&str>) -> String {
    let candidate = json!({"content": {"parts": parts, "role": "model"}, "finishReason": finish});
    format!("data: {}\r\n\r\n", json!({"candidates": [candidate], "responseId": "r"}))
}

fn so_far() -> String {
    event(&json!([{"text": "so far"}]), None)
}

fn stream(events: &[String]) -> Exchange {
    Exchange::event_stream(events.concat())
}

#[tokio::test]
async fn an_error_in_a_list_as_google_sends_it_is_read() {
    for status in [400, 503] {
        let error = json!({"code": status, "message": "m", "status": "UNAVAILABLE", "details": []});
        let (builder, _, told) = answered(Exchange::json(status, &json!([{"error": error}])), client).await;
        let Some(InferenceError::Api(told)) = told else { panic!("{told:?}") };
        assert_eq!((told.status, told.message.as_str(), &told.body), (status, "m", &error));
        assert!(!builder.has_begun());
    }
}

#[tokio::test]
async fn an_error_status_whose_body_is_no_json_or_no_text_is_still_that_status() {
    for body in [&b"<html>Bad gateway</html>"[..], b"\xff\xfe\x00", b""] {
        let exchange = Exchange { status: 502, body: body.into(), ..Exchange::event_stream("") };
        let (_, _, error) = answered(exchange, client).await;
        assert_eq!(error.unwrap().kind(), Kind::ServerError);
    }
}

#[tokio::test]
async fn an_error_in_mid_stream_keeps_the_text() {
    for (code, word, kind) in
        [(503, "UNAVAILABLE", Kind::Overloaded), (500, "INTERNAL", Kind::ServerError), (429, "", Kind::RateLimited)]
    {
        let error = json!({"error": {"code": code, "message": "m", "status": word}});
        for sent in [error.clone(), json!([error])] {
            let (builder, _, error) = answered(stream(&[so_far(), format!("data: {sent}\r\n\r\n")]), client).await;
            assert_eq!(error.unwrap().kind(), kind);
            assert_eq!(builder.partial().unwrap().text(), "so far");
        }
    }
}

#[tokio::test]
async fn a_filtered_answer_is_a_whole_answer_that_says_so_and_a_refused_prompt_is_an_error() {
    let (builder, _, error) = answered(stream(&[so_far(), event(&json!([]), Some("SAFETY"))]), client).await;
    assert!(error.is_none(), "{error:?}");
    let reply = builder.finish().unwrap();
    assert_eq!((reply.finish, reply.message.text()), (FinishReason::ContentFilter, "so far".to_owned()));
    let feedback =
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}});
    let (builder, _, error) = answered(stream(&[format!("data: {feedback}\r\n\r\n")]), client).await;
    let error = error.unwrap();
    assert_eq!(error.kind(), Kind::ContentFilter);
    assert!(error.to_string().contains("PROHIBITED_CONTENT"), "{error}");
    assert_eq!(builder.usage().input_tokens, 9, "it is paid for all the same");
}

#[tokio::test]
async fn bytes_that_are_no_text_and_text_that_is_no_json_break_the_protocol() {
    for garbage in
        [&b"data: {\"candidates\": \"\xff\"}\n\n"[..], b"data: {\"candidates\": [}\n\n", b"data: sk-canary\n\n"]
    {
        let body = [so_far().as_bytes(), garbage].concat();
        let (builder, _, error) = answered(Exchange::event_stream(body), client).await;
        let error = error.unwrap();
        assert!(matches!(error, InferenceError::Protocol { .. }), "{error:?}");
        assert_eq!(builder.partial().unwrap().text(), "so far");
    }
    let body = Exchange { body: b"{\"candidates\": \"\xff\"}".as_slice().into(), ..Exchange::json(200, &json!(0)) };
    assert_eq!(answered(body, client).await.2.unwrap().kind(), Kind::Protocol);
}

#[tokio::test]
async fn gigantic_arguments_stop_at_the_limit() {
    let huge = json!([{"functionCall": {"name": "write", "args": {"text": "x".repeat(900)}}}]);
    let limited = |server: &ReplayServer| {
        let mut config = config(server);
        config.max_tool_args = 800;
        GeminiClient::new(config).unwrap()
    };
    let (builder, _, error) = answered(stream(&[so_far(), event(&huge, Some("STOP"))]), limited).await;
    let error = error.unwrap();
    assert!(matches!(&error, InferenceError::TooLarge { what, limit: 800 } if what.contains("write")), "{error:?}");
    assert!(error.source().is_none() && !builder.is_finished());
    assert_eq!(builder.partial().unwrap().text(), "so far");
}

#[tokio::test]
async fn a_key_that_the_server_quotes_is_in_no_error() {
    let quoting = json!({"error": {"message": "bad key sk-canary", "status": "sk-canary", "details": ["sk-canary"]}});
    let midstream = Exchange::event_stream(format!("data: {quoting}\r\n\r\n"));
    let blocked = json!({"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "sk-canary"}});
    let blocked = Exchange::event_stream(format!("data: {blocked}\r\n\r\n"));
    let statuses = [Exchange::json(401, &quoting), Exchange::json(400, &json!("sk-canary"))];
    assert_quoted_keys_are_hidden(statuses.into_iter().chain([midstream, blocked]), client).await;
}

#[tokio::test]
async fn the_wait_that_the_provider_asks_for_is_kept_or_told_at_once() {
    let details = json!([{"retryDelay": "30s"}]);
    let limited = json!({"error": {"status": "RESOURCE_EXHAUSTED", "details": details}});
    let patient = reached(|connection| connection.retry = RetryPolicy::default());
    assert_a_long_wait_is_told_at_once(Exchange::json(429, &limited), patient).await;
}

#[tokio::test]
async fn a_call_written_wrongly_is_tried_again_unless_something_was_said() {
    let wrong = |said: &[String]| {
        let end = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "call:f{"}]});
        stream(&[said, &[format!("data: {end}\r\n\r\n")]].concat())
    };
    let good = || stream(&[event(&json!([{"text": "fine"}]), Some("STOP"))]);
    for first in [(wrong(&[]), None), (wrong(&[so_far()]), Some("so far"))] {
        assert_tried_again_unless_something_was_said(first, (good(), "fine"), reached(quickly_again)).await;
    }
}

#[tokio::test]
async fn cancelling_in_mid_stream_ends_it_at_once() {
    assert_cancelling_ends_it(stream(&[so_far()]), client).await;
}

#[tokio::test]
async fn one_json_body_in_place_of_a_stream_is_read() {
    let body = json!({"candidates": [{"content": {"parts": [{"text": "whole"}]}, "finishReason": "STOP"}]});
    let server = serve(Exchange::json(200, &body)).await;
    let mut whole = config(&server);
    whole.streaming = false;
    let (builder, _, error) = answer(&GeminiClient::new(whole).unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(builder.finish().unwrap().message.text(), "whole");
    assert_eq!(server.requests()[0].path, "/v1beta/models/m:generateContent");
    server.stop().await;
}
