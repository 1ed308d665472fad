//! OpenAI as an [`InferenceClient`](atomr_agents_inference::InferenceClient): chat completions, with the servers that
//! speak like it (Azure, OpenRouter, Groq, DeepSeek, Mistral, xAI, vLLM, llama.cpp, Ollama and others).
//!
//! Usage: `input_tokens` includes cached tokens; `output_tokens` includes reasoning, except at xAI, where the
//! provider's `total_tokens` is larger than the sum of both by the reasoning.
//!
//! This crate knows no tool and no agent, only how a transcript is written in these formats and how answers are read.

mod chat;
mod classify;
mod config;

use atomr_agents_provider::HttpClient;

pub use chat::ChatCompletions;
pub use config::{OpenAiConfig, Quirks};

/// A client of OpenAI chat completions. Cheap to clone; clones share their connections.
pub type OpenAiClient = HttpClient<ChatCompletions>;

/// The name under which users of the 0.x package know [`OpenAiClient`].
pub type OpenAiRunner = OpenAiClient;
