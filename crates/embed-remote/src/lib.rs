//! Embedders over HTTP: OpenAI and every server that speaks like it ([`Api::OpenAi`]), Gemini ([`Api::Gemini`]) and Ollama
//! ([`Api::Ollama`]), with the secrets, time-outs, limits and retries of the house's HTTP client.
//!
//! This crate knows no index and no document. An answer that does not have one finite vector of one dimension for each
//! text is an error, never a guess.
//!
//! ```
//! use atomr_agents_embed::Embedder;
//! use atomr_agents_embed_remote::{Api, RemoteConfig, RemoteEmbedder};
//!
//! # fn main() -> Result<(), atomr_agents_embed::EmbedError> {
//! let config = RemoteConfig::new(Api::Ollama, "nomic-embed-text", "http://localhost:11434", None)?;
//! assert_eq!(RemoteEmbedder::new(config)?.model(), "ollama:nomic-embed-text");
//! # Ok(()) }
//! ```

mod api;
mod client;
mod config;

pub use api::Api;
pub use client::RemoteEmbedder;
pub use config::RemoteConfig;
