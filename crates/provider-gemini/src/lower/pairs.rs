//! Which result answers which call.

use std::collections::HashMap;

use atomr_agents_core::{Message, Part};

/// A place in a transcript: the message and the part of it.
type Place = (usize, usize);

/// Calls and their results, paired by id. Ids may repeat in a long transcript: a result answers the last call of its
/// id before it, and only once.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    results: HashMap<Place, Place>,
    calls: HashMap<Place, Place>,
}

impl Pairs {
    pub(super) fn of(messages: &[Message]) -> Self {
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
                    Part::ToolResult { call_id, .. } => {
                        let waiting = open.get_mut(call_id.as_str()).filter(|calls| !calls.is_empty());
                        if let Some(calls) = waiting {
                            let call = calls.remove(0);
                            pairs.results.insert(call, (at, part_at));
                            pairs.calls.insert((at, part_at), call);
                        }
                    }
                    _ => {}
                }
            }
        }
        pairs
    }

    /// The result that answers the call at this place.
    pub(super) fn result<'m>(&self, messages: &'m [Message], call: Place) -> Option<&'m Part> {
        let (at, part) = self.results.get(&call)?;
        messages.get(*at)?.parts.get(*part)
    }

    /// Whether the result at this place answers a call.
    pub(super) fn answers(&self, result: Place) -> bool {
        self.calls.contains_key(&result)
    }
}
