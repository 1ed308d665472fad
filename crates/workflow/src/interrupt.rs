//! Questions that a run asks from outside, and what is said to it.

use std::collections::BTreeMap;

use atomr_agents_core::Value;
use serde::{Deserialize, Serialize};

use crate::Target;

/// Something that a suspended run waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interrupt {
    /// What an answer names. It stays the same over restarts.
    pub id: String,
    /// The path of the step: `review`, `worker[3]`, or `outer/2.inner` in a graph inside a step.
    pub path: String,
    /// Why it waits.
    #[serde(default)]
    pub kind: InterruptKind,
    /// What the step asked; null at a breakpoint.
    #[serde(default)]
    pub value: Value,
}

/// Why a run waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterruptKind {
    /// The step asked ([`crate::NodeCtx::interrupt`]) and waits for the answer.
    #[default]
    Asked,
    /// The step is due, and the run was told to stop before it. It goes on without an answer.
    Before,
    /// The step ran, and the run was told to stop after it. It goes on without an answer.
    After,
}

/// What is said to a run that does not go on by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Goes on from where it stopped: past breakpoints, over the step limit, after an error. Steps that are recorded are not
    /// run again. Where interrupts wait for answers they go on waiting.
    Continue,
    /// Answers interrupts by their ids. Those that are not answered go on waiting.
    Resume(BTreeMap<String, Value>),
    /// Answers the one interrupt that waits.
    Answer(Value),
    /// Writes to channels, through their reducers, and goes on.
    Update(Vec<(String, Value)>),
    /// Goes to these steps instead of what was due. The count of super-steps goes on.
    Goto(Vec<Target>),
}

impl Command {
    /// Answers one interrupt.
    ///
    /// ```
    /// use atomr_agents_workflow::Command;
    ///
    /// let command = Command::resume("3:review/interrupt#0", "yes");
    /// assert!(matches!(command, Command::Resume(answers) if answers["3:review/interrupt#0"] == "yes"));
    /// ```
    #[must_use]
    pub fn resume(id: impl Into<String>, answer: impl Into<Value>) -> Self {
        Self::Resume(BTreeMap::from([(id.into(), answer.into())]))
    }
}
