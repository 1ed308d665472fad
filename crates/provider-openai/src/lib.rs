//! OpenAI as an [`InferenceClient`](atomr_agents_inference::InferenceClient): chat completions and the Responses API,
//! with the servers that speak like them (Azure, OpenRouter, Groq, DeepSeek, Mistral, xAI, vLLM, llama.cpp, Ollama and
//! others).
//!
//! The Responses API is asked to keep nothing (`store: false`): the transcript is sent whole each time, with the
//! reasoning items as they came, encrypted. What only it understands is marked with `openai-responses`. Tools that
//! OpenAI runs itself are set up in [`ResponsesOptions::tools`]; a custom tool's free text is the argument `input` of a
//! call here.
//!
//! Usage: `input_tokens` includes cached tokens; `output_tokens` includes reasoning, except at xAI, where the
//! provider's `total_tokens` is larger than the sum of both by the reasoning.
//!
//! This crate knows no tool and no agent, only how a transcript is written in these formats and how answers are read.

mod chat;
mod classify;
mod config;
mod responses;

use atomr_agents_provider::HttpClient;

pub use chat::ChatCompletions;
pub use config::{OpenAiConfig, Quirks};
pub use responses::{OpenAiResponsesConfig, Responses, ResponsesOptions};

/// A client of OpenAI chat completions. Cheap to clone; clones share their connections.
pub type OpenAiClient = HttpClient<ChatCompletions>;

/// The name under which users of the 0.x package know [`OpenAiClient`].
pub type OpenAiRunner = OpenAiClient;

/// A client of OpenAI's Responses API. Cheap to clone; clones share their connections.
pub type OpenAiResponsesClient = HttpClient<Responses>;

/// The same client under the name that goes with [`OpenAiRunner`].
pub type OpenAiResponsesRunner = OpenAiResponsesClient;
