//! What a run begins with.

use atomr_agents_core::{Message, TurnInput};

/// What a run begins with: new messages and what was said before them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunInput {
    /// The new messages.
    pub messages: Vec<Message>,
    /// What was said before, e.g. the messages of an earlier result. System messages are left to the
    /// instructions of the agent.
    pub history: Vec<Message>,
}

impl RunInput {
    /// The same input after `history`.
    #[must_use]
    pub fn with_history(mut self, history: Vec<Message>) -> Self {
        self.history = history;
        self
    }

    pub(crate) fn turn(&self) -> TurnInput {
        TurnInput { input: self.messages.clone(), history: self.history.clone() }
    }
}

impl From<&str> for RunInput {
    fn from(text: &str) -> Self {
        Message::user(text).into()
    }
}

impl From<String> for RunInput {
    fn from(text: String) -> Self {
        Message::user(text).into()
    }
}

impl From<Message> for RunInput {
    fn from(message: Message) -> Self {
        vec![message].into()
    }
}

impl From<Vec<Message>> for RunInput {
    fn from(messages: Vec<Message>) -> Self {
        Self { messages, history: Vec::new() }
    }
}
