//! What strategies are told about the turn they serve.

use serde::{Deserialize, Serialize};

use crate::{Message, RunId};

/// What strategies are told about the turn they serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentContext {
    /// The agent's name.
    pub agent: String,
    /// The run.
    pub run: RunId,
    /// What was asked and what was said before.
    pub turn: TurnInput,
}

/// What is asked in a turn and what was said before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnInput {
    /// The new messages, usually one of the user.
    pub input: Vec<Message>,
    /// The transcript before them, oldest first, without the system message.
    pub history: Vec<Message>,
}

impl TurnInput {
    /// A turn of one user text without a history.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self { input: vec![Message::user(text)], history: Vec::new() }
    }

    /// The visible text of the new messages, joined by line breaks.
    #[must_use]
    pub fn text(&self) -> String {
        self.input.iter().map(Message::text).collect::<Vec<_>>().join("\n")
    }
}
