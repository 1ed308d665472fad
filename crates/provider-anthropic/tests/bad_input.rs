//! What can be wrong with an answer of this provider in particular, each with a kind of its own and nothing lost. The
//! table of faults that all providers share is played elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use atomr_agents_core::{FinishReason, Kind, ModelEvent, Part};
use atomr_agents_inference::{InferenceClient, InferenceError, OutputMode};
use atomr_agents_provider_anthropic::AnthropicClient;
use atomr_agents_testkit::Exchange;
use common::faults::{assert_the_end_is_not_waited_for, assert_tried_again_unless_something_was_said};
use common::{answered, client, config, quickly_again, reached};
use serde_json::{Value, json};

fn start(index: u32, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn call(index: u32, id: &str) -> Value {
    start(index, json!({"type": "tool_use", "id": id, "name": "write", "input": {}}))
}

fn input(index: u32, piece: &str) -> Value {
    delta(index, json!({"type": "input_json_delta", "partial_json": piece}))
}

/// A text, these events, and the end.
fn stream(events: &[Value], reason: &str) -> Exchange {
    let usage = json!({"input_tokens": 3, "output_tokens": 1});
    let mut all = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": usage}}),
        start(0, json!({"type": "text", "text": ""})),
        delta(0, json!({"type": "text_delta", "text": "so far"})),
        stop(0),
    ];
    all.extend(events.iter().cloned());
    all.push(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}));
    all.push(json!({"type": "message_stop"}));
    let lines = all.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
    Exchange::event_stream(lines.collect::<String>()).header("request-id", "req_7")
}

#[tokio::test]
async fn every_status_has_its_kind_and_keeps_what_the_provider_said() {
    for (status, error_type, message, kind) in [
        (401, "authentication_error", "invalid x-api-key", Kind::Authentication),
        (403, "permission_error", "not yours", Kind::Permission),
        (404, "not_found_error", "model: x", Kind::NotFound),
        (413, "request_too_large", "too large", Kind::TooLarge),
        (429, "rate_limit_error", "slow down", Kind::RateLimited),
        (400, "invalid_request_error", "Your credit balance is too low", Kind::QuotaExceeded),
        (400, "invalid_request_error", "prompt is too long: 2 tokens > 1 maximum", Kind::ContextTooLong),
        (400, "invalid_request_error", "messages: bad", Kind::InvalidRequest),
        (500, "api_error", "oops", Kind::ServerError),
        (529, "overloaded_error", "Overloaded", Kind::Overloaded),
    ] {
        let body = json!({"type": "error", "error": {"type": error_type, "message": message}, "request_id": "req_7"});
        let (builder, _, error) = answered(Exchange::json(status, &body), client).await;
        let error = error.unwrap();
        assert_eq!((error.kind(), error.request_id()), (kind, Some("req_7")), "{status} {message}");
        assert!(error.to_string().contains(message) && !builder.has_begun());
    }
}

#[tokio::test]
async fn calls_that_break_the_protocol_are_errors_and_the_text_is_kept() {
    for events in [
        vec![call(1, "a"), call(1, "b")],
        vec![call(1, "a"), input(2, "{}")],
        vec![call(99_999, "a")],
        vec![start(1, json!({"type": "tool_use", "id": "a", "input": {}}))],
    ] {
        let (builder, _, error) = answered(stream(&events, "tool_use"), client).await;
        assert!(matches!(error, Some(InferenceError::Protocol { .. })), "{error:?}");
        assert!(!builder.is_finished());
        assert_eq!(builder.partial().unwrap().text(), "so far");
    }
}

#[tokio::test]
async fn gigantic_arguments_stop_at_the_limit() {
    let mut events = vec![call(1, "a")];
    events.extend((0..40).map(|_| input(1, &"x".repeat(64 << 10))));
    let (builder, _, error) = answered(stream(&events, "tool_use"), client).await;
    assert!(
        matches!(&error, Some(InferenceError::TooLarge { what, limit }) if what.contains("write") && *limit == 1 << 20)
    );
    assert!(!builder.is_finished());
}

#[tokio::test]
async fn a_refusal_is_told_as_what_it_is() {
    let usage = json!({"input_tokens": 3, "output_tokens": 1});
    for (details, refusal) in [
        (json!({"type": "refusal", "category": "bio", "explanation": "I will not."}), Some("I will not.")),
        (json!({"type": "refusal", "category": null, "explanation": null}), None),
        (Value::Null, None),
    ] {
        let body = json!({"type": "message", "id": "m", "model": "m", "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "refusal", "stop_details": details, "usage": usage});
        let (builder, _, error) = answered(Exchange::json(200, &body), client).await;
        assert!(error.is_none(), "{error:?}");
        let reply = builder.finish().unwrap();
        assert_eq!((reply.finish, reply.message.refusal()), (FinishReason::ContentFilter, refusal));
        assert_eq!(reply.message.text(), "Hi");
    }
}

#[tokio::test]
async fn two_thoughts_without_text_keep_both_proofs() {
    let thought = |index, proof: &str| {
        let delta = delta(index, json!({"type": "signature_delta", "signature": proof}));
        [start(index, json!({"type": "thinking", "thinking": "", "signature": ""})), delta, stop(index)]
    };
    let (builder, _, error) =
        answered(stream(&[thought(1, "one"), thought(2, "two")].concat(), "end_turn"), client).await;
    assert!(error.is_none(), "{error:?}");
    let message = builder.finish().unwrap().message;
    let proofs: Vec<_> = message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Thinking { signature, .. } => signature.as_deref(),
            _ => None,
        })
        .collect();
    assert_eq!(proofs, ["one", "two"]);
}

#[tokio::test]
async fn usage_is_told_as_soon_as_it_is_known() {
    let (_, events, _) = answered(stream(&[], "end_turn"), client).await;
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::Usage(usage) => Some((usage.input_tokens, usage.output_tokens)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(3, 1), (3, 9)]);
}

#[tokio::test]
async fn an_error_before_any_word_is_tried_again_and_one_after_it_is_not() {
    let failure = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let failing = Exchange::event_stream(format!("event: error\ndata: {failure}\n\n"));
    let good = || (stream(&[], "end_turn"), "so far");
    for first in [(failing, None), (stream(&[failure], "end_turn"), Some("so far"))] {
        assert_tried_again_unless_something_was_said(first, good(), reached(quickly_again)).await;
    }
}

#[tokio::test]
async fn after_the_last_word_nobody_waits_for_the_connection() {
    assert_the_end_is_not_waited_for(stream(&[], "end_turn"), "so far", client).await;
}

#[test]
fn newer_models_force_shapes_themselves() {
    let client = AnthropicClient::new(config("https://api.anthropic.com")).unwrap();
    assert_eq!(client.capabilities("claude-sonnet-4-5").output, OutputMode::Native);
    assert_eq!(client.capabilities("claude-3-7-sonnet-latest").output, OutputMode::Tool);
    let mut prompted = config("https://api.anthropic.com");
    prompted.output = Some(OutputMode::Prompted);
    assert_eq!(AnthropicClient::new(prompted).unwrap().capabilities("claude-sonnet-4-5").output, OutputMode::Prompted);
}
