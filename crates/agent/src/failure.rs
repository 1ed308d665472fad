//! Why a run failed.

use atomr_agents_core::Kind;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Error)]
#[serde(tag = "failure", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// The model still wanted tools when its calls were used up.
    #[error("the model was called {limit} times, which is the limit, and still asks for {}", pending.join(", "))]
    IterationCap {
        /// The limit.
        limit: u32,
        /// The tools it asked for; they were not run.
        pending: Vec<String>,
    },
    /// The output limit cut the arguments of a tool call.
    #[error("the output limit cut the arguments for {name} after {bytes} bytes; raise max_tokens")]
    IncompleteToolCall {
        /// The tool.
        name: String,
        /// How much had arrived.
        bytes: usize,
    },
    /// The provider's safety system cut the answer.
    #[error("the provider's content filter stopped the answer")]
    ContentFilter,
    /// The model refused.
    #[error("the model refused: {text}")]
    Refusal {
        /// In its words.
        text: String,
    },
    /// An effect failed.
    #[error("{message}")]
    Effect {
        /// What it amounts to.
        kind: Kind,
        /// In words.
        message: String,
    },
}

/// The machine was fed something it did not ask for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the run machine did not ask for this: {0}")]
pub struct MachineError(pub &'static str);
