//! What the run machine asks for and is told.

use atomr_agents_core::{FinishReason, ToolCall, Value};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Call the model with [`crate::Machine::messages`].
    CallModel {
        /// The number of this call in the run, from 1.
        iteration: u32,
    },
    /// Run these calls, at once if possible. The number is the call's position in its answer. A call that somebody
    /// must be asked about first is given to [`crate::Machine::wait`] instead.
    CallTools(Vec<ToolTask>),
    /// Check whether this answer has the shape that was asked for; [`crate::Machine::accept`] or
    /// [`crate::Machine::reject`] it.
    CheckAnswer {
        /// The answer.
        text: String,
        /// Whether it came as the arguments of the answer tool.
        by_tool: bool,
    },
    /// Ask somebody about these calls, and [`crate::Machine::decide`]. The run may be put away until then.
    Suspend(Vec<(usize, ToolCall)>),
    /// Nothing: the run is done.
    Finish {
        /// Why the model stopped, normalised.
        finish: FinishReason,
        /// Why the model stopped, in the provider's own word.
        finish_raw: String,
        /// The answer.
        text: String,
        /// The answer as a value, where it was checked or a tool gave it.
        value: Option<Value>,
    },
    /// Nothing: the run failed.
    Fail(Failure),
}

/// A call to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolTask {
    /// Its position in the answer.
    pub index: usize,
    /// The call.
    pub call: ToolCall,
    /// Whether somebody said that just this may be run.
    pub approved: bool,
}

/// What somebody said about a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// It may be run as it is.
    Approve,
    /// It may be run with these arguments instead.
    Edit {
        /// A JSON object.
        arguments: serde_json::Map<String, Value>,
    },
    /// It may not be run.
    Deny {
        /// What the model is told; empty for no reason.
        #[serde(default)]
        reason: String,
    },
}

/// Which answers end a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerRule<'a> {
    /// A call of this tool is the answer.
    pub tool: Option<&'a str>,
    /// An answer must be checked before the run ends.
    pub checked: bool,
}
