//! Where a request is not the recorded one.

use std::collections::HashMap;
use std::fmt;

use atomr_agents_core::{Kind, ModelRequest};
use serde_json::{Map, Value};
use thiserror::Error;

use super::hidden::same_text;

/// How much of a value is shown.
const SHOWN: usize = 120;

/// Where a request is not the recorded one: the first place, reading from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which call of the recording it was compared with, from 1.
    pub call: usize,
    /// The place in the request, e.g. `messages[1].parts[0].text`.
    pub place: String,
    /// What was recorded there, shortened; `nothing` where nothing was.
    pub recorded: String,
    /// What is there now.
    pub asked: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, place, recorded, asked } = self;
        write!(f, "call {call} of the recording differs at {place}: recorded was {recorded}, asked is {asked}")
    }
}

/// Why a recording has no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The request is not the recorded one.
    #[error("{0}")]
    Differs(Difference),
    /// Every recorded call was made already.
    #[error("the recording has {calls} calls, and this is one more")]
    Exhausted {
        /// How many calls were recorded.
        calls: usize,
    },
    /// The caller of the recorded run went away in the middle of the answer, and this one did not.
    #[error("call {call} of the recording ends here: its caller went away")]
    Left {
        /// Which call, from 1.
        call: usize,
    },
}

impl ReplayError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Config
    }
}

/// A request as it is kept and compared. The ids of tool calls are numbered in their order: an engine may make new ones
/// in every run.
pub(super) fn canonical(request: &ModelRequest) -> Value {
    let mut value = serde_json::to_value(request).unwrap_or(Value::Null);
    let mut ids: HashMap<String, usize> = HashMap::new();
    let messages = value["messages"].as_array_mut().into_iter().flatten();
    for part in messages.filter_map(|message| message["parts"].as_array_mut()).flatten() {
        let field = match part["type"].as_str() {
            Some("tool_call") => "id",
            Some("tool_result") => "call_id",
            _ => continue,
        };
        if let Some(Value::String(id)) = part.get_mut(field) {
            let next = ids.len();
            *id = format!("call_{}", ids.entry(id.clone()).or_insert(next));
        }
    }
    value
}

/// The first place where `asked` is not `recorded`.
pub(super) fn difference(call: usize, recorded: &Value, asked: &Value) -> Option<Difference> {
    let (place, recorded, asked) = walk(String::new(), Some(recorded), Some(asked))?;
    let place = if place.is_empty() { "its beginning".to_owned() } else { place };
    Some(Difference { call: call + 1, place, recorded: shown(recorded), asked: shown(asked) })
}

type Found<'v> = (String, Option<&'v Value>, Option<&'v Value>);

fn walk<'v>(place: String, recorded: Option<&'v Value>, asked: Option<&'v Value>) -> Option<Found<'v>> {
    match (recorded, asked) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let below = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
            names(one, other).find_map(|name| walk(below(name), one.get(name), other.get(name)))
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            (0..one.len().max(other.len())).find_map(|at| walk(format!("{place}[{at}]"), one.get(at), other.get(at)))
        }
        (Some(Value::String(one)), Some(Value::String(other))) if same_text(one, other) => None,
        (one, other) if one == other => None,
        (one, other) => Some((place, one, other)),
    }
}

/// The names of both, those of the first in its order before what only the second has.
fn names<'v>(one: &'v Map<String, Value>, other: &'v Map<String, Value>) -> impl Iterator<Item = &'v String> {
    one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)))
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    match text.len() {
        0..=SHOWN => text,
        _ => format!("{}…", &text[..text.floor_char_boundary(SHOWN)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atomr_agents_core::{Message, Part, Role, ToolCall};
    use serde_json::json;

    fn asks(text: &str, id: &str) -> Value {
        let call = Part::ToolCall(ToolCall::new(id, "add", "{}"));
        let messages = vec![
            Message::user(text),
            Message { role: Role::Assistant, parts: vec![call] },
            Message::tool_result(id, "3", false),
        ];
        canonical(&ModelRequest::new("m", messages))
    }

    #[test]
    fn the_first_difference_is_named_with_its_place() {
        assert_eq!(difference(0, &asks("hi", "a"), &asks("hi", "b")), None, "ids may be new ones");
        let found = difference(1, &asks("hi", "a"), &asks("hello", "a")).unwrap();
        assert_eq!((found.call, found.place.as_str()), (2, "messages[0].parts[0].text"));
        assert_eq!((found.recorded.as_str(), found.asked.as_str()), ("\"hi\"", "\"hello\""));
        let mut longer = asks("hi", "a");
        longer["messages"].as_array_mut().unwrap().push(json!({"role": "user"}));
        let found = difference(0, &asks("hi", "a"), &longer).unwrap();
        assert_eq!((found.place.as_str(), found.recorded.as_str()), ("messages[3]", "nothing"));
        let found = difference(0, &json!({"a": 1, "b": 2}), &json!({"a": 1, "c": 3, "b": 2})).unwrap();
        assert_eq!((found.place.as_str(), found.recorded.as_str(), found.asked.as_str()), ("c", "nothing", "3"));
        assert_eq!(difference(0, &json!({"k": "[hidden]"}), &json!({"k": "secret"})), None);
        let long = difference(0, &json!("é".repeat(500)), &json!(1)).unwrap();
        assert!(long.recorded.len() < 130 && long.recorded.ends_with('…') && long.place == "its beginning");
    }
}
