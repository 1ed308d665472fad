//! The clients and recordings of these tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

#[path = "../../../provider/tests/support/mod.rs"]
mod support;

use atomr_agents_http::Secret;
use atomr_agents_provider::Connection;
use atomr_agents_provider_openai::{OpenAiClient, OpenAiConfig, OpenAiResponsesClient, OpenAiResponsesConfig};
use atomr_agents_testkit::ReplayServer;

pub use support::*;

pub const CHAT: Recordings = Recordings { folder: "openai-chat", count: 65 };
pub const RESPONSES: Recordings = Recordings { folder: "openai-responses", count: 39 };

pub fn config(url: &str) -> OpenAiConfig {
    let mut config = OpenAiConfig::new(url, Some(Secret::new(KEY))).unwrap();
    never_again(&mut config.connection);
    config
}

pub fn client(server: &ReplayServer) -> OpenAiClient {
    OpenAiClient::new(config(&server.url())).unwrap()
}

/// A client that is reached like this.
pub fn reached(change: fn(&mut Connection)) -> impl Fn(&ReplayServer) -> OpenAiClient {
    move |server| {
        let mut config = config(&server.url());
        change(&mut config.connection);
        OpenAiClient::new(config).unwrap()
    }
}

pub fn responses_config(url: &str) -> OpenAiResponsesConfig {
    let mut config = OpenAiResponsesConfig::new(url, Some(Secret::new(KEY))).unwrap();
    never_again(&mut config.connection);
    config
}

pub fn responses_client(server: &ReplayServer) -> OpenAiResponsesClient {
    OpenAiResponsesClient::new(responses_config(&server.url())).unwrap()
}
