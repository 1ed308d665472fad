//! The clients and recordings of these tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

#[path = "../../../provider/tests/support/mod.rs"]
mod support;

use atomr_agents_http::Secret;
use atomr_agents_provider::Connection;
use atomr_agents_provider_gemini::{GeminiClient, GeminiConfig};
use atomr_agents_testkit::ReplayServer;

pub use support::*;

pub const RECORDINGS: Recordings = Recordings { folder: "gemini-generate-content", count: 32 };

pub fn config(server: &ReplayServer) -> GeminiConfig {
    let mut config = GeminiConfig::new(&root(server), Some(Secret::new(KEY))).unwrap();
    never_again(&mut config.connection);
    config
}

pub fn client(server: &ReplayServer) -> GeminiClient {
    GeminiClient::new(config(server)).unwrap()
}

/// A client that is reached like this.
pub fn reached(change: fn(&mut Connection)) -> impl Fn(&ReplayServer) -> GeminiClient {
    move |server| {
        let mut config = config(server);
        change(&mut config.connection);
        GeminiClient::new(config).unwrap()
    }
}
