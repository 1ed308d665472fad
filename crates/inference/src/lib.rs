//! The seam to models. A client turns a [`ModelRequest`](atomr_agents_core::ModelRequest) into a stream of
//! [`ModelEvent`](atomr_agents_core::ModelEvent)s; everything else (the whole reply, retries seen from outside,
//! partial text after an error) is the fold of that stream.
//!
//! This crate knows no wire format, no tool and no agent.

mod capabilities;
mod client;
pub mod conformance;
mod error;
mod fallbacks;
mod prompt;
mod reply;

pub use atomr_agents_core::Phase;
pub use capabilities::{Capabilities, OutputMode};
pub use client::{InferenceClient, ModelStream, run};
pub use error::{ApiError, InferenceError};
pub use fallbacks::FallbackClient;
pub use prompt::{Lowered, PrefixBreak, PromptPrefix};
pub use reply::{ModelReply, ReplyBuilder};
