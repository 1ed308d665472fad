//! The recordings, and one call of a client.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Message, ModelEvent, ModelRequest};
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_inference::{InferenceClient, InferenceError, ReplyBuilder};
use atomr_agents_provider_anthropic::{AnthropicClient, AnthropicConfig};
use atomr_agents_testkit::{Exchange, ReplayServer, Script};
use futures_util::StreamExt;
use serde_json::Value;

pub fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/recordings/anthropic-messages")
}

pub fn cases() -> Vec<String> {
    let folders = fs::read_dir(recordings()).unwrap().map(|entry| entry.unwrap());
    let mut cases: Vec<String> =
        folders.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect();
    cases.sort();
    assert_eq!(cases.len(), 41, "all recordings must be seen");
    cases
}

pub fn load(case: &str) -> Exchange {
    Exchange::load(recordings().join(case)).unwrap()
}

pub fn expected(case: &str) -> Value {
    serde_json::from_slice(&fs::read(recordings().join(case).join("expected.json")).unwrap()).unwrap()
}

pub fn config(url: &str) -> AnthropicConfig {
    let mut config = AnthropicConfig::new(url, Some(Secret::new("sk-canary"))).unwrap();
    config.connection.retry = RetryPolicy::never();
    config
}

pub fn client(url: &str, quick: bool) -> AnthropicClient {
    let mut config = config(url);
    if quick {
        config.connection.http.idle_timeout = Duration::from_millis(300);
        config.connection.http.first_byte_timeout = Duration::from_millis(300);
    }
    AnthropicClient::new(config).unwrap()
}

pub fn request() -> ModelRequest {
    ModelRequest::new("claude-sonnet-4-5", vec![Message::user("Hi")])
}

/// What arrived, and how it ended. No error shows the key.
pub async fn answer(client: &AnthropicClient) -> (ReplyBuilder, Vec<ModelEvent>, Option<InferenceError>) {
    let mut builder = ReplyBuilder::new(client.provider());
    let mut events = Vec::new();
    let mut stream = client.stream(Arc::new(request()), CallCtx::new());
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                events.push(event.clone());
                builder.push(event);
            }
            Err(error) => {
                let shown = format!("{error:?} {error}");
                assert!(!shown.contains("canary"), "{shown}");
                assert!(stream.next().await.is_none(), "nothing follows an error");
                return (builder, events, Some(error));
            }
        }
    }
    (builder, events, None)
}

/// The same from a server that answers like this.
pub async fn answered(exchange: Exchange) -> (ReplyBuilder, Option<InferenceError>) {
    let server = ReplayServer::start(Script::always(exchange)).await.unwrap();
    let (builder, _, error) = answer(&client(&server.url(), false)).await;
    server.stop().await;
    (builder, error)
}
