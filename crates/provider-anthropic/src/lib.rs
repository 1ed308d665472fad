//! Anthropic messages (Claude) as an [`InferenceClient`](atomr_agents_inference::InferenceClient).
//!
//! Usage: `input_tokens` is what was neither read from nor written to the prompt cache; `cached_input_tokens` and
//! `cache_write_tokens` come on top of it. `output_tokens` includes thinking.
//!
//! Thoughts go back with their proofs, and so do the provider's own tools (`Part::ServerTool`), citations and other
//! blocks of its own. What another provider has left in a transcript is left out, never shown as text. A stop reason of
//! `pause_turn` is [`FinishReason::Paused`](atomr_agents_core::FinishReason): the transcript with that message at its end,
//! sent again, goes on with the turn.
//!
//! ```
//! use atomr_agents_core::{CachePoint, Message, ModelRequest};
//! use atomr_agents_http::Secret;
//! use atomr_agents_inference::InferenceClient;
//! use atomr_agents_provider_anthropic::{AnthropicClient, AnthropicConfig};
//!
//! let config = AnthropicConfig::new("https://api.anthropic.com", Some(Secret::new("a key")))?;
//! let client = AnthropicClient::new(config)?;
//! let mut request = ModelRequest::new("claude-sonnet-4-5", vec![Message::system("Be brief."), Message::user("Oslo?")]);
//! request.cache = vec![CachePoint::System];
//! let body = String::from_utf8(client.lower(&request)?.body)?;
//! assert!(body.contains(r#""text":"Be brief.","cache_control":{"type":"ephemeral"}"#));
//! // `client.stream(request, ctx)` sends it.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate knows no tool and no agent, only how a transcript is written in this format and how answers are read.

mod classify;
mod config;
mod dialect;
mod lower;
mod model;
mod translate;

use atomr_agents_provider::HttpClient;

pub use config::AnthropicConfig;
pub use dialect::AnthropicMessages;
pub use translate::MessagesReader;

/// A client of Anthropic messages. Cheap to clone; clones share their connections.
pub type AnthropicClient = HttpClient<AnthropicMessages>;

/// The name under which users of the 0.x package know [`AnthropicClient`].
pub type AnthropicRunner = AnthropicClient;
