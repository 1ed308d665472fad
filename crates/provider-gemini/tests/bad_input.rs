//! Everything that can be wrong between us and the provider, each with a kind of its own and nothing lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail as tests do

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atomr_agents_core::{CallCtx, FinishReason, Kind, Message, ModelEvent, ModelRequest};
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_inference::{InferenceClient, InferenceError, ReplyBuilder};
use atomr_agents_provider_gemini::{GeminiClient, GeminiConfig};
use atomr_agents_testkit::{Exchange, Fault, ReplayServer, Reply, Script};
use futures_util::StreamExt;
use serde_json::{Value, json};

fn config(server: &ReplayServer) -> GeminiConfig {
    let mut config = GeminiConfig::new(&server.url(), Some(Secret::new("key-canary"))).unwrap();
    config.connection.retry = RetryPolicy::never();
    config
}

/// What arrived, and how it ended.
async fn call(config: GeminiConfig, ctx: CallCtx) -> (ReplyBuilder, Option<InferenceError>) {
    let client = GeminiClient::new(config).unwrap();
    let mut builder = ReplyBuilder::new(client.provider());
    let mut stream = client.stream(Arc::new(ModelRequest::new("m", vec![Message::user("Hi")])), ctx);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => builder.push(event),
            Err(error) => {
                let shown = format!("{error:?} {error}");
                assert!(!shown.contains("canary"), "{shown}");
                assert!(stream.next().await.is_none(), "nothing follows an error");
                return (builder, Some(error));
            }
        }
    }
    (builder, None)
}

async fn answered(exchange: Exchange) -> (ReplyBuilder, Option<InferenceError>) {
    let server = ReplayServer::start(Script::always(exchange)).await.unwrap();
    let answer = call(config(&server), CallCtx::new()).await;
    server.stop().await;
    answer
}

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
        let (builder, told) = answered(Exchange::json(status, &json!([{"error": error}]))).await;
        let Some(InferenceError::Api(told)) = told else { panic!("{told:?}") };
        assert_eq!((told.status, told.message.as_str(), &told.body), (status, "m", &error));
        assert!(!builder.has_begun());
    }
}

#[tokio::test]
async fn an_error_status_whose_body_is_no_json_or_no_text_is_still_that_status() {
    for body in [&b"<html>Bad gateway</html>"[..], b"\xff\xfe\x00", b""] {
        let exchange = Exchange { status: 502, body: body.into(), ..Exchange::event_stream("") };
        let (_, error) = answered(exchange).await;
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
            let (builder, error) = answered(stream(&[so_far(), format!("data: {sent}\r\n\r\n")])).await;
            assert_eq!(error.unwrap().kind(), kind);
            assert_eq!(builder.partial().unwrap().text(), "so far");
        }
    }
}

#[tokio::test]
async fn a_filtered_answer_is_a_whole_answer_that_says_so_and_a_refused_prompt_is_an_error() {
    let (builder, error) = answered(stream(&[so_far(), event(&json!([]), Some("SAFETY"))])).await;
    assert!(error.is_none(), "{error:?}");
    let reply = builder.finish().unwrap();
    assert_eq!((reply.finish, reply.message.text()), (FinishReason::ContentFilter, "so far".to_owned()));
    let feedback =
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}});
    let (builder, error) = answered(stream(&[format!("data: {feedback}\r\n\r\n")])).await;
    let error = error.unwrap();
    assert_eq!(error.kind(), Kind::ContentFilter);
    assert!(error.to_string().contains("PROHIBITED_CONTENT"), "{error}");
    assert_eq!(builder.usage().input_tokens, 9, "it is paid for all the same");
}

#[tokio::test]
async fn bytes_that_are_no_text_and_text_that_is_no_json_break_the_protocol() {
    for garbage in
        [&b"data: {\"candidates\": \"\xff\"}\n\n"[..], b"data: {\"candidates\": [}\n\n", b"data: key-canary\n\n"]
    {
        let body = [so_far().as_bytes(), garbage].concat();
        let (builder, error) = answered(Exchange::event_stream(body)).await;
        let error = error.unwrap();
        assert!(matches!(error, InferenceError::Protocol { .. }), "{error:?}");
        assert_eq!(builder.partial().unwrap().text(), "so far");
    }
    let body = Exchange { body: b"{\"candidates\": \"\xff\"}".as_slice().into(), ..Exchange::json(200, &json!(0)) };
    assert_eq!(answered(body).await.1.unwrap().kind(), Kind::Protocol);
}

#[tokio::test]
async fn gigantic_arguments_stop_at_the_limit() {
    let huge = json!([{"functionCall": {"name": "write", "args": {"text": "x".repeat(900)}}}]);
    let server = ReplayServer::start(Script::always(stream(&[so_far(), event(&huge, Some("STOP"))]))).await.unwrap();
    let mut config = config(&server);
    config.max_tool_args = 800;
    let (builder, error) = call(config, CallCtx::new()).await;
    let error = error.unwrap();
    assert!(matches!(&error, InferenceError::TooLarge { what, limit: 800 } if what.contains("write")), "{error:?}");
    assert!(error.source().is_none() && !builder.is_finished());
    assert_eq!(builder.partial().unwrap().text(), "so far");
    server.stop().await;
}

#[tokio::test]
async fn a_key_that_the_server_quotes_is_in_no_error() {
    let quoting =
        json!({"error": {"message": "bad key key-canary", "status": "key-canary", "details": ["key-canary"]}});
    let midstream = Exchange::event_stream(format!("data: {quoting}\r\n\r\n"));
    let blocked = json!({"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "key-canary"}});
    let blocked = Exchange::event_stream(format!("data: {blocked}\r\n\r\n"));
    for exchange in [Exchange::json(401, &quoting), Exchange::json(400, &json!("key-canary")), midstream, blocked] {
        assert!(answered(exchange).await.1.is_some());
    }
}

#[tokio::test]
async fn the_wait_that_the_provider_asks_for_is_kept_or_told_at_once() {
    let details = json!([{"retryDelay": "30s"}]);
    let limited = json!({"error": {"status": "RESOURCE_EXHAUSTED", "details": details}});
    let server = ReplayServer::start(Script::always(Exchange::json(429, &limited))).await.unwrap();
    let mut patient = config(&server);
    patient.connection.retry = RetryPolicy::default();
    let begin = Instant::now();
    let (_, error) = call(patient, CallCtx::new().with_timeout(Duration::from_secs(20))).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.retry_after()), (Kind::RateLimited, Some(Duration::from_secs(30))));
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(server.requests().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_call_written_wrongly_is_tried_again_unless_something_was_said() {
    let wrong = |said: &[String]| {
        let end = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "call:f{"}]});
        stream(&[said, &[format!("data: {end}\r\n\r\n")]].concat())
    };
    let good = || stream(&[event(&json!([{"text": "fine"}]), Some("STOP"))]);
    for (first, text, attempts) in [(wrong(&[]), "fine", 2), (wrong(&[so_far()]), "so far", 1)] {
        let server = ReplayServer::start(Script::new().then(first).then(good())).await.unwrap();
        let mut quick = config(&server);
        quick.connection.retry = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
        let (builder, error) = call(quick, CallCtx::new()).await;
        assert_eq!((error.is_some(), server.requests().len()), (attempts == 1, attempts));
        assert_eq!(builder.partial().unwrap().text(), text);
        server.stop().await;
    }
}

#[tokio::test]
async fn cancelling_in_mid_stream_ends_it_at_once() {
    let body = so_far();
    let stalls = Reply::new(Exchange::event_stream(body.clone())).fault(Fault::StallAt(body.len()));
    let server = ReplayServer::start(Script::always(stalls)).await.unwrap();
    let client = GeminiClient::new(config(&server)).unwrap();
    let ctx = CallCtx::new();
    let cancel = ctx.cancel.clone();
    let mut stream = client.stream(Arc::new(ModelRequest::new("m", vec![Message::user("Hi")])), ctx);
    while !matches!(stream.next().await.unwrap().unwrap(), ModelEvent::Text(_)) {}
    let (last, ()) = tokio::join!(stream.next(), async { cancel.cancel() });
    assert!(matches!(last, Some(Err(InferenceError::Cancelled))), "{last:?}");
    server.stop().await;
}

#[tokio::test]
async fn one_json_body_in_place_of_a_stream_is_read() {
    let server = ReplayServer::start(Script::always(Exchange::json(
        200,
        &json!({"candidates": [{"content": {"parts": [{"text": "whole"}]}, "finishReason": "STOP"}]}),
    )))
    .await
    .unwrap();
    let mut whole = config(&server);
    whole.streaming = false;
    let (builder, error) = call(whole, CallCtx::new()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(builder.finish().unwrap().message.text(), "whole");
    assert_eq!(server.requests()[0].path, "/v1/models/m:generateContent");
    server.stop().await;
}
