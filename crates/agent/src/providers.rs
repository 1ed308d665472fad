//! The providers that are compiled in, under the names by which users of the 0.x package know them: for each the settings
//! of its client, its published prices, and the client itself.

/// Anthropic Messages.
#[cfg(feature = "provider-anthropic")]
pub mod anthropic {
    pub use atomr_agents_provider_anthropic::{AnthropicConfig, AnthropicRunner};
    pub use atomr_agents_tokens::AnthropicPricing;
}

/// Gemini generateContent.
#[cfg(feature = "provider-gemini")]
pub mod gemini {
    pub use atomr_agents_provider_gemini::{GeminiConfig, GeminiRunner};
    pub use atomr_agents_tokens::GeminiPricing;
}

/// OpenAI chat completions and the Responses API.
///
/// ```
/// use atomr_agents_agent::providers::openai::{OpenAiConfig, OpenAiPricing, OpenAiRunner};
///
/// let config = OpenAiConfig::from_env(Some("http://localhost:8080/v1"), None)?;
/// let client = OpenAiRunner::new(config)?;
/// assert!(OpenAiPricing::published().get("gpt-4o-mini").is_some());
/// # drop(client);
/// # Ok::<(), atomr_agents_inference::InferenceError>(())
/// ```
#[cfg(feature = "provider-openai")]
pub mod openai {
    pub use atomr_agents_provider_openai::{OpenAiConfig, OpenAiResponsesConfig, OpenAiResponsesRunner, OpenAiRunner};
    pub use atomr_agents_tokens::OpenAiPricing;
}
