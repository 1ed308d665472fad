//! Which result answers which call.

use std::collections::{HashMap, HashSet};

use atomr_agents_core::{Message, Part};

/// A place in a transcript: the message and the part of it.
pub type Place = (usize, usize);

/// What a call brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome<'m> {
    /// What the tool gave.
    pub parts: &'m [Part],
    /// Whether it failed.
    pub is_error: bool,
}

/// Calls and their results, paired by id. Ids may repeat in a long transcript: a result answers the last call of its
/// id before it, and only once.
#[derive(Clone, Debug, Default)]
pub struct Pairs<'m> {
    outcomes: HashMap<Place, Outcome<'m>>,
    answering: HashSet<Place>,
}

impl<'m> Pairs<'m> {
    /// Those of this transcript.
    #[must_use]
    pub fn of(messages: &'m [Message]) -> Self {
        let mut open: HashMap<&str, Vec<Place>> = HashMap::new();
        let mut pairs = Self::default();
        for (at, message) in messages.iter().enumerate() {
            // Of calls that share an id, those of one message are answered in order; older ones are given up.
            for call in message.tool_calls() {
                open.remove(call.id.as_str());
            }
            for (part_at, part) in message.parts.iter().enumerate() {
                match part {
                    Part::ToolCall(call) => open.entry(&call.id).or_default().push((at, part_at)),
                    Part::ToolResult { call_id, parts, is_error, .. } => {
                        let waiting = open.get_mut(call_id.as_str()).filter(|calls| !calls.is_empty());
                        if let Some(calls) = waiting {
                            pairs.outcomes.insert(calls.remove(0), Outcome { parts, is_error: *is_error });
                            pairs.answering.insert((at, part_at));
                        }
                    }
                    _ => {}
                }
            }
        }
        pairs
    }

    /// What the call at this place brought; `None` where it was never answered.
    #[must_use]
    pub fn outcome(&self, call: Place) -> Option<Outcome<'m>> {
        self.outcomes.get(&call).copied()
    }

    /// Whether the result at this place answers a call.
    #[must_use]
    pub fn answers(&self, result: Place) -> bool {
        self.answering.contains(&result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atomr_agents_core::{Role, ToolCall};

    #[test]
    fn a_result_answers_the_last_call_of_its_id_before_it_and_only_once() {
        let asked = |ids: &[&str]| Message {
            role: Role::Assistant,
            parts: ids.iter().map(|id| Part::ToolCall(ToolCall::new(*id, "f", "{}"))).collect(),
        };
        let result = |id: &str, text: &str| Message::tool_result(id, text, text == "failed");
        let messages = [
            asked(&["a"]),
            asked(&["a", "a", "b"]),
            result("a", "1"),
            result("a", "failed"),
            result("a", "too many"),
            result("c", "of no call"),
        ];
        let pairs = Pairs::of(&messages);
        let told = |place| {
            let Outcome { parts, is_error } = pairs.outcome(place)?;
            Some((Message { role: Role::Tool, parts: parts.to_vec() }.text(), is_error))
        };
        assert_eq!(told((0, 0)), None, "its id was used again");
        assert_eq!(told((1, 0)), Some(("1".into(), false)));
        assert_eq!(told((1, 1)), Some(("failed".into(), true)));
        assert_eq!(told((1, 2)), None, "never answered");
        let answering: Vec<bool> = (2..6).map(|at| pairs.answers((at, 0))).collect();
        assert_eq!(answering, [true, true, false, false]);
    }
}
