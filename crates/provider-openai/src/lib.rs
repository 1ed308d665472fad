//! OpenAI chat completions and the servers that speak like it (Azure, OpenRouter, Groq, DeepSeek, Mistral, xAI,
//! vLLM, llama.cpp, Ollama and others), as an [`InferenceClient`](atomr_agents_inference::InferenceClient).
//!
//! Usage: `input_tokens` includes cached tokens; `output_tokens` includes reasoning, except at xAI, where the
//! provider's `total_tokens` is larger than the sum of both by the reasoning.
//!
//! This crate knows no tool and no agent, only how a transcript is written in this format and how answers are read.

mod classify;
mod client;
mod config;
mod lower;
mod translate;

pub use client::OpenAiClient;
pub use config::{OpenAiConfig, Quirks};
