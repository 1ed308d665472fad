//! Everything that can be wrong between us and a provider, each with a kind of its own and nothing lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::error::Error as _;
use std::time::Duration;

use atomr_agents_core::{FinishReason, Kind};
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider_openai::{OpenAiClient, OpenAiConfig};
use atomr_agents_testkit::{Exchange, Fault, Reply};
use common::faults::{
    assert_a_long_wait_is_told_at_once, assert_cancelling_ends_it, assert_the_end_is_not_waited_for,
    assert_tried_again_unless_something_was_said,
};
use common::{answer, answered, client, config, quickly_again, reached};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A client of whatever listens there.
fn client_at(url: &str) -> OpenAiClient {
    OpenAiClient::new(config(url)).unwrap()
}

fn event(delta: &Value, finish: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    format!("data: {}\n\n", json!({"id": "c", "model": "m", "choices": [choice]}))
}

fn stream(events: &[String]) -> Exchange {
    Exchange::event_stream(events.concat()).header("x-request-id", "req_7")
}

#[tokio::test]
async fn every_status_has_its_kind_and_keeps_what_the_provider_said() {
    for (status, code, message, kind) in [
        (401, "invalid_api_key", "Incorrect API key provided", Kind::Authentication),
        (403, "", "not your project", Kind::Permission),
        (404, "model_not_found", "no such model", Kind::NotFound),
        (429, "rate_limit_exceeded", "slow down", Kind::RateLimited),
        (429, "insufficient_quota", "pay first", Kind::QuotaExceeded),
        (400, "context_length_exceeded", "too many tokens", Kind::ContextTooLong),
        (400, "content_filter", "filtered", Kind::ContentFilter),
        (400, "", "bad", Kind::InvalidRequest),
        (413, "", "too large", Kind::TooLarge),
        (500, "", "oops", Kind::ServerError),
        (529, "", "overloaded", Kind::ServerError),
    ] {
        let body = json!({"error": {"message": message, "type": "t", "code": code}});
        let (builder, _, error) = answered(Exchange::json(status, &body).header("x-request-id", "req_7"), client).await;
        let error = error.unwrap();
        assert_eq!((error.kind(), error.request_id()), (kind, Some("req_7")), "{status} {code}");
        let InferenceError::Api(api) = &error else { panic!("{error:?}") };
        assert_eq!((api.status, &api.body["message"]), (status, &json!(message)));
        assert!(error.to_string().contains(message) && !builder.has_begun());
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
async fn an_error_status_is_told_although_its_body_stalls() {
    let exchange = Exchange::json(503, &json!({"error": {"message": "come back later"}}));
    let reply = Reply::new(exchange).fault(Fault::StallAt(5));
    let (_, _, error) = tokio::time::timeout(Duration::from_secs(20), answered(reply, client))
        .await
        .expect("the idle time-out of 60 s is not waited for");
    let Some(InferenceError::Api(error)) = error else { panic!("{error:?}") };
    assert_eq!(error.status, 503);
}

#[tokio::test]
async fn a_host_that_is_not_there_and_a_name_that_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (_, _, error) = answer(&client_at(&format!("http://127.0.0.1:{port}/v1"))).await;
    let error = error.unwrap();
    assert_eq!(error.kind(), Kind::Connect);
    assert!(error.to_string().contains(&port.to_string()) && error.source().is_some(), "{error:?}");
    let (_, _, error) = answer(&client_at("http://nowhere.invalid/v1")).await;
    assert_eq!(error.unwrap().kind(), Kind::Connect);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_error_with_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream
    };
    let client = client_at(&format!("https://localhost:{port}/v1"));
    let (_stream, (_, _, error)) = tokio::join!(plain, answer(&client));
    let error = error.unwrap();
    assert_eq!(error.kind(), Kind::Tls);
    assert!(error.source().is_some(), "{error:?}");
}

#[tokio::test]
async fn a_filtered_answer_and_a_refusal_are_whole_answers_that_say_so() {
    let filtered = stream(&[event(&json!({"content": "I will"}), None), event(&json!({}), Some("content_filter"))]);
    let (builder, _, error) = answered(filtered, client).await;
    assert!(error.is_none(), "{error:?}");
    let reply = builder.finish().unwrap();
    assert_eq!((reply.finish, reply.message.text()), (FinishReason::ContentFilter, "I will".to_owned()));
    let refused =
        stream(&[event(&json!({"refusal": "No, "}), None), event(&json!({"refusal": "sorry."}), Some("stop"))]);
    let (builder, ..) = answered(refused, client).await;
    assert_eq!(builder.finish().unwrap().message.refusal(), Some("No, sorry."));
}

#[tokio::test]
async fn an_error_in_mid_stream_keeps_the_text_and_the_request_id() {
    let failure = "data: {\"error\":{\"message\":\"overloaded\",\"code\":529}}\n\n".to_owned();
    let (builder, _, error) = answered(stream(&[event(&json!({"content": "so far"}), None), failure]), client).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.request_id()), (Kind::ServerError, Some("req_7")));
    assert_eq!(builder.partial().unwrap().text(), "so far");
}

#[tokio::test]
async fn bytes_that_are_no_text_and_text_that_is_no_json_break_the_protocol() {
    for garbage in [&b"data: {\"choices\": \"\xff\"}\n\n"[..], b"data: {\"choices\": [}\n\n"] {
        let body = [event(&json!({"content": "so far"}), None).as_bytes(), garbage].concat();
        let (builder, _, error) = answered(Exchange::event_stream(body), client).await;
        let error = error.unwrap();
        assert!(matches!(error, InferenceError::Protocol { .. }) && error.source().is_some(), "{error:?}");
        assert_eq!(builder.partial().unwrap().text(), "so far");
    }
    let body = Exchange { body: b"{\"choices\": \"\xff\"}".as_slice().into(), ..Exchange::json(200, &json!(0)) };
    assert_eq!(answered(body, client).await.2.unwrap().kind(), Kind::Protocol);
}

#[tokio::test]
async fn a_web_page_says_that_the_address_is_wrong() {
    let mut page = Exchange::event_stream("<html>Welcome</html>");
    page.headers = vec![("content-type".into(), "Text/HTML; charset=utf-8".into())];
    let error = answered(page, client).await.2.unwrap();
    assert!(error.kind() == Kind::Protocol && error.to_string().contains("base_url"), "{error}");
}

#[tokio::test]
async fn gigantic_arguments_stop_at_the_limit() {
    let call = |arguments: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
    let start = json!({"tool_calls": [{"index": 0, "id": "1", "function": {"name": "write", "arguments": ""}}]});
    let mut events = vec![event(&json!({"content": "so far"}), None), event(&start, None)];
    events.extend((0..40).map(|_| event(&call(&"x".repeat(64 << 10)), None)));
    events.push(event(&json!({}), Some("tool_calls")));
    let (builder, _, error) = answered(stream(&events), client).await;
    let error = error.unwrap();
    assert!(matches!(&error, InferenceError::TooLarge { what, limit } if what.contains("write") && *limit == 1 << 20));
    assert!(!builder.is_finished());
    assert_eq!(builder.partial().unwrap().text(), "so far");
}

#[tokio::test]
async fn a_wait_that_does_not_fit_into_the_time_left_is_told_at_once() {
    let limited = Exchange::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after", "30");
    let patient = reached(|connection| connection.retry = RetryPolicy::default());
    assert_a_long_wait_is_told_at_once(limited, patient).await;
}

#[tokio::test]
async fn after_the_last_word_nobody_waits_for_the_connection() {
    let body = [event(&json!({"content": "done"}), Some("stop")), "data: [DONE]\n\n".to_owned()].concat();
    assert_the_end_is_not_waited_for(Exchange::event_stream(body), "done", client).await;
}

#[tokio::test]
async fn comments_after_the_last_word_do_not_keep_the_answer_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let chatter = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        let body = [event(&json!({"content": "done"}), Some("stop")), "data: [DONE]\n\n".to_owned()].concat();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if stream.write_all(b": ping\n\n").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let client = client_at(&url);
    let answer = tokio::time::timeout(Duration::from_secs(5), answer(&client));
    let (builder, _, error) = tokio::select! {
        answer = answer => answer.unwrap(),
        () = chatter => unreachable!(),
    };
    assert!(error.is_none(), "{error:?}");
    assert_eq!(builder.finish().unwrap().message.text(), "done");
}

#[tokio::test]
async fn an_empty_key_is_an_error_and_not_the_key_of_the_environment() {
    let error = OpenAiConfig::from_env(Some("https://example.org/v1"), Some(Secret::new(""))).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("api_key"), "{error}");
}

#[tokio::test]
async fn an_error_before_any_word_is_tried_again_and_one_after_it_is_not() {
    let failure = || "data: {\"error\":{\"message\":\"overloaded\",\"code\":529}}\n\n".to_owned();
    let good = || (stream(&[event(&json!({"content": "fine"}), Some("stop"))]), "fine");
    let half = stream(&[event(&json!({"content": "half"}), None), failure()]);
    for first in [(stream(&[failure()]), None), (half, Some("half"))] {
        assert_tried_again_unless_something_was_said(first, good(), reached(quickly_again)).await;
    }
}

#[tokio::test]
async fn cancelling_in_mid_stream_ends_it_at_once() {
    assert_cancelling_ends_it(stream(&[event(&json!({"content": "so far"}), None)]), client).await;
}
