//! How long a history may be.

use atomr_agents_core::{Message, ModelRequest, Part, Role};

use super::HistoryLimit;
use crate::engine::Engine;

impl HistoryLimit {
    /// Whether these messages are too many.
    pub(crate) fn exceeded(&self, messages: &[Message], engine: &Engine) -> bool {
        self.messages.is_some_and(|limit| messages.len() > limit)
            || self.tokens.is_some_and(|limit| {
                let request = ModelRequest::new(engine.model.clone(), messages.to_vec());
                engine.options.counter.count_request(&request) > limit
            })
    }

    /// What is left of them when the oldest turns are left out.
    pub(crate) fn cut(&self, messages: &[Message], engine: &Engine) -> Vec<Message> {
        let begins = |at: &usize| messages[*at].role == Role::User;
        let starts = (1..messages.len()).filter(begins);
        let fits = starts.map(|at| &messages[at..]).find(|rest| !self.exceeded(rest, engine));
        fits.unwrap_or_default().to_vec()
    }
}

/// What is wrong with a transcript that shall be sent to a model.
pub(crate) fn fault(messages: &[Message]) -> Option<String> {
    let mut open: Vec<String> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        for part in &message.parts {
            let Part::ToolResult { call_id: id, .. } = part else { continue };
            match open.iter().position(|call| call == id) {
                Some(index) => drop(open.remove(index)),
                None => return Some(format!("message {at} has a result of a call that is not before it ({id})")),
            }
        }
        if message.role == Role::Assistant && !open.is_empty() {
            break;
        }
        open.extend(message.tool_calls().map(|call| call.id.clone()));
    }
    open.first().map(|id| format!("the call {id} has no result"))
}
