//! A cache of finished answers in front of any model client. [`CachedClient`] wraps an
//! [`InferenceClient`](atomr_agents_inference::InferenceClient) and is one; an [`LlmCache`] keeps the answers,
//! [`InMemoryLlmCache`] and [`StoreLlmCache`] within bounds of number, bytes and age. Only a request that is equal in every byte, for
//! the same tenant, is answered from them; [`SemanticLlmCache`] compares the last words by meaning, with care.
//!
//! This crate knows no provider, no agent and no tool: it sees requests and the events of streams.

mod client;
pub mod conformance;
mod error;
mod flight;
mod key;
mod memory;
mod question;
mod semantic;
mod store;
mod stored;
mod turn;

pub use client::{CachedClient, Tenant};
pub use error::CacheError;
pub use key::CacheKey;
pub use memory::{CacheLimits, CacheStats, InMemoryLlmCache};
pub use question::Question;
pub use semantic::{SemanticLlmCache, SemanticOptions};
pub use store::LlmCache;
pub use stored::{StoreLlmCache, StoredLimits};
pub use turn::CachedTurn;
