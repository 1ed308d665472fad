//! One line of a cassette.

use atomr_agents_core::ModelEvent;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::Failure;

/// The version of the format that this crate writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

/// One line of a cassette. A file begins with [`Line::Cassette`]; the lines of calls that were made at once stand
/// between each other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(super) enum Line {
    /// What this is.
    Cassette { version: u32, provider: String },
    /// A call begins.
    Call {
        call: usize,
        /// How the client says that an answer of a certain shape is got from the model.
        output: String,
        request: Value,
    },
    /// The model said something.
    Event { call: usize, after_ms: u64, event: ModelEvent },
    /// The call failed.
    Failed { call: usize, after_ms: u64, error: Failure },
    /// The answer ended without a terminal event.
    Cut { call: usize },
    /// The caller went away.
    Left { call: usize },
}
