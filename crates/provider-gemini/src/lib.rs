//! Google Gemini as an [`InferenceClient`](atomr_agents_inference::InferenceClient): `streamGenerateContent` of the
//! Gemini API, and of servers that speak like it.
//!
//! - Usage: `input_tokens` is the prompt with its cached tokens and with what the provider's own tools read;
//!   `output_tokens` is the answer with the thoughts. Both together are the provider's `total_tokens`.
//! - Calls mostly come without ids, which the engine then makes; only an id of the provider's own is sent back. A
//!   signature goes back beside the part that it came with; Gemini 3 refuses a call without one, so a call that another
//!   model made is sent with the mark that Google documents for that.
//! - Models before Gemini 3 cannot be forced to a shape while they have tools; a request that has both asks them in
//!   words ([`Capabilities::output_with_tools`](atomr_agents_inference::Capabilities::output_with_tools) says so
//!   beforehand).
//! - A prompt that the provider blocks is an error of kind `content_filter`; so is an answer that its filters end, as a
//!   finish. A call that the model wrote wrongly (`MALFORMED_FUNCTION_CALL`) is an error that may be tried again.
//! - Pictures that the model makes are kept as opaque parts; grounding becomes citations and a server tool part.
//! - The API has no place for cache points (it keeps prompts by itself) and for metadata: both are left out. A kept
//!   prompt is named by `cachedContent` in the extra body; system messages and tools are then part of it and not sent.
//! - The extra body is joined with the request object by object, e.g. `{"generationConfig": {"topK": 3}}`; what is no
//!   object, lists included, replaces what was there.
//!
//! ```
//! use atomr_agents_core::{Message, ModelRequest};
//! use atomr_agents_http::Secret;
//! use atomr_agents_inference::InferenceClient;
//! use atomr_agents_provider_gemini::{GeminiClient, GeminiConfig};
//!
//! let config = GeminiConfig::new("https://generativelanguage.googleapis.com", Some(Secret::new("key")))?;
//! let client = GeminiClient::new(config)?;
//! let lowered = client.lower(&ModelRequest::new("gemini-2.5-flash", vec![Message::user("Oslo?")]))?;
//! assert_eq!(lowered.body, br#"{"contents":[{"role":"user","parts":[{"text":"Oslo?"}]}]}"#);
//! # Ok::<(), atomr_agents_inference::InferenceError>(())
//! ```
//!
//! This crate knows no tool and no agent, only how a transcript is written in this format and how answers are read.

mod classify;
mod config;
mod dialect;
mod generation;
mod lower;
mod metadata;
mod translate;

use atomr_agents_provider::HttpClient;

pub use config::GeminiConfig;
pub use dialect::GenerateContent;
pub use translate::GeminiReader;

/// A client of Gemini. Cheap to clone; clones share their connections.
pub type GeminiClient = HttpClient<GenerateContent>;

/// The name under which users of the 0.x package know [`GeminiClient`].
pub type GeminiRunner = GeminiClient;
