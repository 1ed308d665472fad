//! The clients that the table is played to.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents::inference::InferenceClient;
use atomr_agents::provider_anthropic::{AnthropicClient, AnthropicConfig};
use atomr_agents::provider_openai::{OpenAiClient, OpenAiConfig, OpenAiResponsesClient, OpenAiResponsesConfig};
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_provider::Connection;
use atomr_agents_testkit::Format;

/// A client of one provider.
pub(crate) struct Speaker {
    pub(crate) format: Format,
    pub(crate) client: fn(&str, Patience) -> Arc<dyn InferenceClient>,
}

/// How long a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until something fails that is not a matter of waiting.
    Long,
    /// Not long.
    Short,
    /// As long as it takes, and it asks once only.
    Once,
}

/// Every provider that there is a client of; a new one is one line.
pub(crate) fn speakers() -> Vec<Speaker> {
    vec![
        Speaker { format: Format::OpenAiChat, client: openai_chat },
        Speaker { format: Format::OpenAiResponses, client: openai_responses },
        Speaker { format: Format::Anthropic, client: anthropic },
        #[cfg(feature = "provider-gemini")]
        Speaker { format: Format::Gemini, client: gemini },
    ]
}

fn anthropic(url: &str, patience: Patience) -> Arc<dyn InferenceClient> {
    let mut config = AnthropicConfig::new(url, Some(Secret::new("sk-canary"))).unwrap();
    tune(&mut config.connection, patience);
    Arc::new(AnthropicClient::new(config).unwrap())
}

#[cfg(feature = "provider-gemini")]
fn gemini(url: &str, patience: Patience) -> Arc<dyn InferenceClient> {
    use atomr_agents::provider_gemini::{GeminiClient, GeminiConfig};
    let mut config = GeminiConfig::new(url, Some(Secret::new("sk-canary"))).unwrap();
    tune(&mut config.connection, patience);
    Arc::new(GeminiClient::new(config).unwrap())
}

fn openai_chat(url: &str, patience: Patience) -> Arc<dyn InferenceClient> {
    let mut config = OpenAiConfig::new(url, Some(Secret::new("sk-canary"))).unwrap();
    tune(&mut config.connection, patience);
    Arc::new(OpenAiClient::new(config).unwrap())
}

fn openai_responses(url: &str, patience: Patience) -> Arc<dyn InferenceClient> {
    let mut config = OpenAiResponsesConfig::new(url, Some(Secret::new("sk-canary"))).unwrap();
    tune(&mut config.connection, patience);
    Arc::new(OpenAiResponsesClient::new(config).unwrap())
}

/// Retries at once, and little patience where the row is about waiting.
pub(crate) fn tune(connection: &mut Connection, patience: Patience) {
    let wait = Duration::from_millis(if patience == Patience::Short { 200 } else { 20_000 });
    connection.http.first_byte_timeout = wait;
    connection.http.idle_timeout = wait;
    connection.http.max_response_bytes = 8 << 20;
    connection.retry = RetryPolicy {
        max_attempts: if patience == Patience::Once { 1 } else { 3 },
        base: Duration::from_millis(2),
        cap: Duration::from_millis(4),
        ..connection.retry
    };
}
