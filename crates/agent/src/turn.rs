//! The tool calls of one answer, as the run machine keeps them.

use std::collections::HashSet;

use atomr_agents_core::{Message, Part, Role, ToolCall, Value};
use serde::{Deserialize, Serialize};

/// What the model will see of a tool call, and what the call asks of the loop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    /// The content.
    pub parts: Vec<Part>,
    /// Whether the tool failed.
    #[serde(default)]
    pub is_error: bool,
    /// Data for the caller that the model does not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Value>,
    /// What happens once every call of the answer has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
}

/// What a tool call asks of the loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "then", rename_all = "snake_case")]
pub enum Then {
    /// Another agent goes on with the conversation.
    Handoff {
        /// Its name.
        target: String,
    },
    /// The run is done.
    Done {
        /// Its output.
        value: Value,
    },
    /// The caller shall find these values in the result.
    Update {
        /// By name.
        values: serde_json::Map<String, Value>,
    },
}

/// One tool call of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// The call as the model wrote it.
    pub(crate) call: ToolCall,
    pub(crate) state: SlotState,
}

/// How far a call has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum SlotState {
    /// To be run.
    Open,
    /// Somebody must say whether it may be run.
    Waiting {
        /// What would be run.
        call: ToolCall,
    },
    /// Somebody said that this may be run.
    Approved {
        /// What is run.
        call: ToolCall,
        /// Whether that is not what was asked for.
        #[serde(default)]
        edited: bool,
    },
    /// It has ended.
    Done {
        /// How.
        result: CallResult,
    },
}

impl CallResult {
    /// Words for the model.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::text(text)], ..Self::default() }
    }

    /// Words for the model about what went wrong.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self { is_error: true, ..Self::text(text) }
    }
}

impl Slot {
    pub(crate) fn open(call: ToolCall) -> Self {
        Self { call, state: SlotState::Open }
    }

    pub(crate) fn result(&self) -> Option<&CallResult> {
        match &self.state {
            SlotState::Done { result } => Some(result),
            _ => None,
        }
    }
}

/// The message that answers the calls; `missing` is said of those without a result.
pub(crate) fn tool_message<'a>(
    calls: impl IntoIterator<Item = (&'a ToolCall, Option<&'a CallResult>)>,
    missing: &str,
) -> Message {
    let parts = calls
        .into_iter()
        .map(|(call, result)| {
            let result = result.cloned().unwrap_or_else(|| CallResult::error(missing));
            let CallResult { parts, is_error, artifact, .. } = result;
            Part::ToolResult { call_id: call.id.clone(), parts, is_error, artifact }
        })
        .collect();
    Message { role: Role::Tool, parts }
}

/// What the calls of one answer ask of the loop together: the end of the run before a handoff, and of several the first
/// one. What cannot be done as well is said in the result that asked for it.
pub(crate) fn settle(slots: &mut [Slot]) -> (Option<Then>, serde_json::Map<String, Value>) {
    let mut values = serde_json::Map::new();
    let ends = |slot: &Slot| matches!(slot.result().and_then(|result| result.then.as_ref()), Some(Then::Done { .. }));
    let ended = slots.iter().any(ends);
    let mut chosen: Option<Then> = None;
    for slot in slots {
        let SlotState::Done { result } = &mut slot.state else { continue };
        match result.then.take() {
            None => {}
            Some(Then::Update { values: more }) => values.extend(more),
            Some(done @ Then::Done { .. }) if chosen.is_none() => chosen = Some(done),
            Some(handoff @ Then::Handoff { .. }) if chosen.is_none() && !ended => chosen = Some(handoff),
            Some(_) => *result = CallResult::error("not done: another call of the same answer came first"),
        }
    }
    (chosen, values)
}

pub(crate) fn results_of(slots: &[Slot], missing: &str) -> Message {
    tool_message(slots.iter().map(|slot| (&slot.call, slot.result())), missing)
}

/// The call whose arguments the output limit cut, if the answer ended at it. That the last call has no arguments at
/// all says nothing about whether it was meant to have some, so it counts as cut.
pub(crate) fn cut_call(calls: &[ToolCall]) -> Option<&ToolCall> {
    let last_is_bare = calls.last().filter(|call| call.raw.trim().is_empty());
    calls.iter().find(|call| call.arguments().is_err()).or(last_is_bare)
}

/// Providers repeat or omit ids, and some refuse a transcript in which two calls have the same: every call of `message`
/// gets one that no other call has, here and before.
pub(crate) fn give_every_call_an_id(message: &mut Message, before: &[Message], iteration: u32) {
    if message.tool_calls().next().is_none() {
        return;
    }
    let mut seen: HashSet<String> = before.iter().flat_map(Message::tool_calls).map(|call| call.id.clone()).collect();
    let mut position = 0;
    for part in &mut message.parts {
        let Part::ToolCall(call) = part else { continue };
        if call.id.is_empty() || seen.contains(&call.id) {
            let own = format!("call_{iteration}_{position}");
            let mut ids = (1_u64..).map(|number| if number == 1 { own.clone() } else { format!("{own}_{number}") });
            call.id = ids.find(|id| !seen.contains(id)).unwrap_or(own);
        }
        seen.insert(call.id.clone());
        position += 1;
    }
}
