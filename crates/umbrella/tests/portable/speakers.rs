//! The four providers' clients.

use std::sync::Arc;

use atomr_agents::inference::InferenceClient;
use atomr_agents::prelude::*;
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_provider::Connection;
use atomr_agents_testkit::Format;

/// A provider, and how its client is made.
#[derive(Clone, Copy)]
pub(crate) struct Speaker {
    /// Its prefix in model names, which is how it marks what is its own.
    pub(crate) provider: &'static str,
    pub(crate) format: Format,
    pub(crate) model: &'static str,
    pub(crate) client: fn(&str) -> Arc<dyn InferenceClient>,
}

/// All of them.
pub(crate) fn speakers() -> Vec<Speaker> {
    vec![
        Speaker { provider: "openai", format: Format::OpenAiChat, model: "gpt-4o", client: chat },
        Speaker { provider: "openai-responses", format: Format::OpenAiResponses, model: "gpt-5", client: responses },
        Speaker { provider: "anthropic", format: Format::Anthropic, model: "claude-sonnet-4-5", client: anthropic },
        Speaker { provider: "gemini", format: Format::Gemini, model: "gemini-3-pro-preview", client: gemini },
    ]
}

fn chat(url: &str) -> Arc<dyn InferenceClient> {
    let mut config = OpenAiConfig::new(url, key()).unwrap();
    once(&mut config.connection);
    Arc::new(OpenAiClient::new(config).unwrap())
}

fn responses(url: &str) -> Arc<dyn InferenceClient> {
    let mut config = OpenAiResponsesConfig::new(url, key()).unwrap();
    once(&mut config.connection);
    Arc::new(OpenAiResponsesClient::new(config).unwrap())
}

fn anthropic(url: &str) -> Arc<dyn InferenceClient> {
    let mut config = AnthropicConfig::new(url, key()).unwrap();
    once(&mut config.connection);
    Arc::new(AnthropicClient::new(config).unwrap())
}

fn gemini(url: &str) -> Arc<dyn InferenceClient> {
    let mut config = GeminiConfig::new(url, key()).unwrap();
    once(&mut config.connection);
    Arc::new(GeminiClient::new(config).unwrap())
}

fn key() -> Option<Secret> {
    Some(Secret::new("sk-portable"))
}

/// A call that failed is the next client's, at once.
fn once(connection: &mut Connection) {
    connection.retry = RetryPolicy { max_attempts: 1, ..connection.retry };
}
