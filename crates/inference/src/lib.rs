//! The seam to models. A client turns a [`ModelRequest`](atomr_agents_core::ModelRequest) into a stream of
//! [`ModelEvent`](atomr_agents_core::ModelEvent)s; everything else (the whole reply, retries seen from outside,
//! partial text after an error) is the fold of that stream.
//!
//! This crate knows no wire format, no tool and no agent.

mod client;
pub mod conformance;
mod error;
mod reply;

pub use atomr_agents_core::Phase;
pub use client::{InferenceClient, ModelStream, run};
pub use error::{ApiError, InferenceError};
pub use reply::{ModelReply, ReplyBuilder};
