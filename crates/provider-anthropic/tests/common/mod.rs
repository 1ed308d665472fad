//! The clients and recordings of these tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

#[path = "../../../provider/tests/support/mod.rs"]
mod support;

use atomr_agents_http::Secret;
use atomr_agents_provider::Connection;
use atomr_agents_provider_anthropic::{AnthropicClient, AnthropicConfig};
use atomr_agents_testkit::ReplayServer;

pub use support::*;

pub const RECORDINGS: Recordings = Recordings { folder: "anthropic-messages", count: 41 };

pub fn config(url: &str) -> AnthropicConfig {
    let mut config = AnthropicConfig::new(url, Some(Secret::new(KEY))).unwrap();
    never_again(&mut config.connection);
    config
}

pub fn client(server: &ReplayServer) -> AnthropicClient {
    AnthropicClient::new(config(&server.url())).unwrap()
}

/// A client that is reached like this.
pub fn reached(change: fn(&mut Connection)) -> impl Fn(&ReplayServer) -> AnthropicClient {
    move |server| {
        let mut config = config(&server.url());
        change(&mut config.connection);
        AnthropicClient::new(config).unwrap()
    }
}
