//! Every recorded exchange of the Responses API, through the real client over real HTTP, gives what is expected of it,
//! and what was asked for can be asked for.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;
#[path = "responses/requests.rs"]
mod requests;

use atomr_agents_core::{FinishReason, Kind, Message, ModelEvent, Part};
use atomr_agents_inference::{InferenceClient, InferenceError, ModelReply};
use atomr_agents_provider_openai::{OpenAiResponsesClient, OpenAiResponsesConfig};
use atomr_agents_testkit::{Cut, Exchange};
use common::expected::{assert_api_error, assert_usage, described, raw_call, wanted};
use common::faults::{assert_breaking_off_is_an_error, assert_conforms, assert_the_end_is_not_waited_for};
use common::{Played, RESPONSES, answer, request, responses_client as client, responses_config as config, serve};
use serde_json::{Value, json};

const PROVIDER: &str = "openai-responses";

/// A call of `expected.json`; a custom tool's text is an argument here.
fn wanted_call(call: &Value) -> Value {
    let raw = match call["kind"].as_str() {
        Some("custom") => json!({"input": call["arguments_raw"]}).to_string(),
        _ => call["arguments_raw"].as_str().unwrap().to_owned(),
    };
    json!({"id": call["id"], "name": call["name"], "arguments_raw": raw})
}

fn assert_reply(case: &str, expected: &Value, reply: &ModelReply) {
    assert_eq!(described(&reply.message, raw_call), wanted(expected, wanted_call), "{case}");
    assert_eq!(expected["finish_reason"], json!(reply.finish_raw), "{case}");
    assert_eq!(expected["id"], json!(reply.id), "{case}");
    assert_eq!(expected["model"], json!(reply.model), "{case}");
    if expected["usage"].is_object() {
        assert_usage(case, expected, &reply.usage);
    }
    let items = expected["output_items"].as_array().unwrap();
    let count = |wanted: &dyn Fn(&Value) -> bool| items.iter().filter(|item| wanted(item)).count();
    let parts = |wanted: fn(&Part) -> bool| reply.message.parts.iter().filter(|part| wanted(part)).count();
    let annotations: u64 = items.iter().filter_map(|item| item["annotations"].as_u64()).sum();
    assert_eq!(parts(|part| matches!(part, Part::Citation(_))) as u64, annotations, "{case}");
    let proofs = count(&|item| item["encrypted"] == true || item["content_text"].is_string());
    assert_eq!(parts(|part| matches!(part, Part::Thinking { signature: Some(_), .. })), proofs, "{case}");
    let kinds = ["message", "reasoning", "function_call", "custom_tool_call", "compaction"];
    let server = count(&|item| !kinds.contains(&item["type"].as_str().unwrap()));
    // This one is two responses in one stream; only the second one is expected, but both were said.
    let said_before = usize::from(case == "local-shell-stream");
    assert_eq!(parts(|part| matches!(part, Part::ServerTool { .. })), server + said_before, "{case}");
    let opaque = count(&|item| item["type"] == "compaction" || item["phase"].is_string());
    assert_eq!(parts(|part| matches!(part, Part::Opaque { .. })), opaque, "{case}");
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
            assert_eq!((error.status, error.code.as_deref()), (200, expected["error"]["code"].as_str()), "{case}");
            assert_eq!(expected["error"]["message"], json!(error.message), "{case}");
            assert!(builder.partial().is_none() && !builder.is_finished(), "{case}");
        }
        ("incomplete_stream", Some(InferenceError::Interrupted { .. })) => {
            let wanted = &expected["tool_calls"][0];
            let id = |event: &ModelEvent| matches!(event, ModelEvent::ToolCallStarted { id, .. } if wanted["id"] == id.as_str());
            let arguments: String = events
                .iter()
                .filter_map(|event| match event {
                    ModelEvent::ToolCallDelta { arguments, .. } => Some(arguments.as_str()),
                    _ => None,
                })
                .collect();
            assert!(events.iter().any(id) && wanted["arguments_raw"] == arguments.as_str(), "{case}");
            assert!(!events.iter().any(|event| matches!(event, ModelEvent::ToolCallFinished { .. })), "{case}");
        }
        (outcome, error) => panic!("{case}: expected {outcome}, but it ended with {error:?}"),
    }
    let received = played.only_request().await;
    assert_eq!(received.header("authorization"), Some("Bearer sk-canary"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recording_gives_what_is_expected() {
    RESPONSES.play(|_| Cut::Whole, assert_played).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_the_bytes_are_cut() {
    RESPONSES.play(Cut::Seeded, assert_played).await;
}

#[tokio::test]
async fn the_client_conforms() {
    let cases = ["tools-parallel-stream", "text-json", "error-401", "midstream-error"];
    assert_conforms(cases.map(|case| RESPONSES.load(case)), client).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_interrupted_and_never_a_finished_answer() {
    let exchange = RESPONSES.load("tools-parallel-stream");
    assert_breaking_off_is_an_error(&exchange, b"event: response.completed\n", 97, client).await;
}

fn event(event: &Value) -> String {
    format!("data: {event}\n\n")
}

async fn answered(events: &[Value]) -> (Option<ModelReply>, Option<InferenceError>) {
    let body: String = events.iter().map(event).collect();
    let exchange = Exchange::event_stream(body).header("x-request-id", "req_7");
    let (builder, _, error) = common::answered(exchange, client).await;
    (builder.finish().ok(), error)
}

fn ended(status: &str, details: &Value) -> Value {
    json!({"type": format!("response.{status}"), "response": {"status": status, "incomplete_details": details}})
}

#[tokio::test]
async fn every_end_has_its_reason() {
    let text = json!({"type": "response.output_text.delta", "output_index": 0, "delta": "so far"});
    let call = json!({"type": "response.output_item.done", "output_index": 1,
        "item": {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}});
    let cut = |reason: &str| ended("incomplete", &json!({"reason": reason}));
    for (events, reason, raw) in [
        (vec![text.clone(), ended("completed", &Value::Null)], FinishReason::Stop, "completed"),
        (vec![text.clone(), call, ended("completed", &Value::Null)], FinishReason::ToolCalls, "completed"),
        (vec![text.clone(), cut("max_output_tokens")], FinishReason::Length, "incomplete:max_output_tokens"),
        (vec![text.clone(), cut("content_filter")], FinishReason::ContentFilter, "incomplete:content_filter"),
        (vec![text, cut("something_new")], FinishReason::Other, "incomplete:something_new"),
    ] {
        let (reply, error) = answered(&events).await;
        let reply = reply.unwrap_or_else(|| panic!("{raw}: {error:?}"));
        assert_eq!((reply.finish, reply.finish_raw.as_str(), reply.message.text().as_str()), (reason, raw, "so far"));
    }
}

#[tokio::test]
async fn errors_inside_a_stream_have_their_kind_and_the_request_id() {
    let failed = |code: &str| json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": code, "message": "m"}}});
    for (event, kind) in [
        (failed("rate_limit_exceeded"), Kind::RateLimited),
        (failed("server_is_overloaded"), Kind::Overloaded),
        (failed("server_error"), Kind::ServerError),
        (failed("invalid_prompt"), Kind::InvalidRequest),
        (failed("context_length_exceeded"), Kind::ContextTooLong),
        (json!({"type": "error", "code": "insufficient_quota", "message": "m", "param": null}), Kind::QuotaExceeded),
        (json!({"error": {"code": 502, "message": "m"}}), Kind::ServerError),
    ] {
        let (reply, error) = answered(std::slice::from_ref(&event)).await;
        let error = error.unwrap();
        assert!(reply.is_none() && error.to_string().contains('m'), "{event}: {error}");
        assert_eq!((error.kind(), error.request_id()), (kind, Some("req_7")), "{event}");
    }
}

#[tokio::test]
async fn gigantic_arguments_stop_at_the_limit_and_an_image_of_some_megabytes_does_not() {
    let delta =
        |text: &str| json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": text});
    let added = json!({"type": "response.output_item.added", "output_index": 0,
        "item": {"type": "function_call", "call_id": "c", "name": "write", "arguments": ""}});
    let mut events = vec![added];
    events.extend((0..40).map(|_| delta(&"x".repeat(64 << 10))));
    let (reply, error) = answered(&events).await;
    let Some(InferenceError::TooLarge { what, limit }) = error else { panic!("{error:?}") };
    assert!(reply.is_none() && what.contains("write") && limit == 1 << 20);
    let image =
        json!({"type": "image_generation_call", "id": "ig", "status": "completed", "result": "A".repeat(3 << 20)});
    let done = json!({"type": "response.output_item.done", "output_index": 0, "item": image});
    let (reply, error) = answered(&[done, ended("completed", &Value::Null)]).await;
    let parts = reply.unwrap_or_else(|| panic!("{error:?}")).message.parts;
    assert!(matches!(&parts[..], [Part::ServerTool { name, .. }] if name == "image_generation_call"));
}

#[tokio::test]
async fn after_the_last_event_nobody_waits_for_the_connection() {
    assert_the_end_is_not_waited_for(RESPONSES.load("text-stream"), "Olá!", client).await;
}

#[tokio::test]
async fn it_is_set_up_by_the_environment_of_openai_and_has_a_name_of_its_own() {
    let client = OpenAiResponsesClient::new(config("https://example.org/v1")).unwrap();
    assert_eq!(client.provider(), PROVIDER);
    assert!(!format!("{client:?}").contains("canary"));
    if std::env::var_os("OPENAI_API_KEY").is_none() {
        let error = OpenAiResponsesConfig::from_env(Some("https://example.org/v1"), None).unwrap_err();
        assert!(error.to_string().contains("OPENAI_API_KEY"), "{error}");
    }
    assert!(OpenAiResponsesConfig::from_env(Some("http://127.0.0.1:1/v1"), None).is_ok());
}

/// What the model said, sent back: the reasoning, the message with its phase, the call; then its output.
#[tokio::test]
async fn a_recorded_answer_goes_back_as_it_came() {
    for case in RESPONSES.cases().into_iter().filter(|case| RESPONSES.expected(case)["outcome"] == "ok") {
        let server = serve(RESPONSES.load(&case)).await;
        let client = client(&server);
        let reply = answer(&client).await.0.finish().unwrap();
        server.stop().await;
        let mut next = request();
        next.messages.push(reply.message);
        next.messages.push(Message::user("And now?"));
        let body: Value = serde_json::from_slice(&client.lower(&next).unwrap().body).unwrap();
        let items = body["input"].as_array().unwrap();
        let back: Vec<&str> = items.iter().filter_map(|item| item["type"].as_str()).collect();
        let mut want = Vec::new();
        let mut outputs = Vec::new();
        for item in RESPONSES.expected(&case)["output_items"].as_array().unwrap() {
            let kind = item["type"].as_str().unwrap();
            let said = item["text"] != "" || RESPONSES.expected(&case)["refusal"].is_string();
            match kind {
                "reasoning" if item["encrypted"] == true => want.push("reasoning".to_owned()),
                "reasoning" | "shell_call" | "apply_patch_call" => {}
                "message" if !said => {}
                "function_call" | "custom_tool_call" => {
                    want.push(kind.to_owned());
                    outputs.push(format!("{kind}_output"));
                }
                _ => want.push(kind.to_owned()),
            }
        }
        want.extend(outputs);
        assert_eq!(back, want, "{case}");
        let encrypted = |item: &Value| item["encrypted_content"].as_str().is_some_and(|text| text.len() > 100);
        assert!(items.iter().filter(|item| item["type"] == "reasoning").all(encrypted), "{case}");
    }
}
