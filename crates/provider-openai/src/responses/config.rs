//! How the client of the Responses API is set up.

use atomr_agents_core::Value;
use atomr_agents_http::Secret;
use atomr_agents_inference::{InferenceError, OutputMode};
use atomr_agents_provider::{Connection, Endpoint};

use super::PROVIDER;
use crate::config::{ENDPOINT as OPENAI, connect};

const ENDPOINT: Endpoint = Endpoint { provider: PROVIDER, ..OPENAI };

/// How the client of the Responses API is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenAiResponsesConfig {
    /// How the server is reached, and when a failed call is made again.
    pub connection: Connection,
    /// What every request asks for besides what the caller asks for.
    pub options: ResponsesOptions,
    /// The most bytes that the arguments of one tool call may have. Default 1 MiB.
    pub max_tool_args: usize,
}

/// What every request to the Responses API asks for besides what the caller asks for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResponsesOptions {
    /// Ask for a stream. Default true; a server that answers with one JSON body all the same is understood.
    pub streaming: bool,
    /// Let the provider keep the responses. Default false; nothing here needs them kept, the transcript is sent whole
    /// each time.
    pub store: bool,
    /// Ask for the encrypted reasoning, which is what lets a reasoning model go on thinking over several turns. Default
    /// `None`: for the models that are known to have it; the others refuse a request that asks for it.
    pub encrypted_reasoning: Option<bool>,
    /// Ask for a summary of the reasoning: `auto`, `concise` or `detailed`. Default `None`: no thoughts are shown.
    pub reasoning_summary: Option<String>,
    /// Tools in the provider's own words, put after the caller's: those that it runs itself, such as
    /// `{"type": "web_search"}`, and custom ones.
    pub tools: Vec<Value>,
    /// How long the provider keeps the prompts it has read: `in_memory` or `24h`. Default `None`, the provider's own.
    pub prompt_cache_retention: Option<String>,
    /// How an answer of a certain shape is asked for. Default native.
    pub output: OutputMode,
}

impl Default for ResponsesOptions {
    fn default() -> Self {
        Self {
            streaming: true,
            store: false,
            encrypted_reasoning: None,
            reasoning_summary: None,
            tools: Vec::new(),
            prompt_cache_retention: None,
            output: OutputMode::Native,
        }
    }
}

impl OpenAiResponsesConfig {
    /// A client of the server at `base_url` that sends `key` as a bearer token; no key for servers that want none.
    ///
    /// # Errors
    /// [`InferenceError::Config`] when the URL cannot be used.
    pub fn new(base_url: &str, key: Option<Secret>) -> Result<Self, InferenceError> {
        let connection = connect(&ENDPOINT, base_url, key)?;
        Ok(Self { connection, options: ResponsesOptions::default(), max_tool_args: 1 << 20 })
    }

    /// What is given, or else the environment: `OPENAI_API_KEY` and `OPENAI_BASE_URL`. Without a key, only a server
    /// on this machine is talked to.
    ///
    /// # Errors
    /// [`InferenceError::MissingKey`] or [`InferenceError::Config`].
    pub fn from_env(base_url: Option<&str>, key: Option<Secret>) -> Result<Self, InferenceError> {
        let (base_url, key) = ENDPOINT.resolve(base_url, key)?;
        Self::new(&base_url, key)
    }
}

impl ResponsesOptions {
    /// Whether to ask `model` for its encrypted reasoning.
    pub(crate) fn wants_encrypted_reasoning(&self, model: &str) -> bool {
        self.encrypted_reasoning.unwrap_or_else(|| is_reasoning(model))
    }
}

/// Whether the name is one of OpenAI's reasoning models, also behind a router (`openai/gpt-5`) or tuned (`ft:o4-mini`).
fn is_reasoning(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.strip_prefix("ft:").unwrap_or(name);
    if name.contains("chat") {
        return false;
    }
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<u32>().ok());
    match (name.strip_prefix("gpt-").and_then(number), name.strip_prefix('o').and_then(number)) {
        (Some(generation), _) => generation >= 5,
        (None, o_series) => o_series.is_some() || name.starts_with("codex-") || name.starts_with("gpt-oss"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_models_are_known_by_their_names() {
        for model in [
            "o1",
            "o3-mini",
            "gpt-5",
            "gpt-5.6-luna",
            "openai/gpt-5-nano",
            "codex-mini-latest",
            "gpt-10",
            "ft:o4-mini:me",
            "gpt-oss-20b",
        ] {
            assert!(is_reasoning(model), "{model}");
        }
        for model in [
            "gpt-4o",
            "gpt-4.1-mini",
            "gpt-3.5-turbo",
            "gpt-5-chat-latest",
            "chatgpt-4o-latest",
            "my-deployment",
            "olmo",
            "",
            "openai/gpt-4o",
        ] {
            assert!(!is_reasoning(model), "{model}");
        }
        let told = ResponsesOptions { encrypted_reasoning: Some(true), ..ResponsesOptions::default() };
        assert!(told.wants_encrypted_reasoning("my-deployment"));
    }
}
