//! Tool calls and what tools are made known by.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Part;

/// What happens to the world when a call is made twice.
///
/// ```
/// use atomr_agents_core::EffectClass;
///
/// assert_eq!("once".parse(), Ok(EffectClass::Once));
/// assert!("twice".parse::<EffectClass>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// Nothing: it only looks. After a crash it is called again.
    None,
    /// Nothing more than when it is made once, as it hands on its idempotency key. After a crash it is called again
    /// with the same one.
    #[default]
    Idempotent,
    /// Something. After a crash it is not called again: the run stops, and somebody must find out whether it happened.
    Once,
}

impl EffectClass {
    /// The name users see, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Idempotent => "idempotent",
            Self::Once => "once",
        }
    }
}

impl FromStr for EffectClass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::None, Self::Idempotent, Self::Once].into_iter().find(|class| class.as_str() == text);
        known.ok_or_else(|| format!("an effect is \"none\", \"idempotent\" or \"once\", not {text:?}"))
    }
}

/// The model asks for a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id for this call; answers name it.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them, which may not be valid JSON.
    pub raw: String,
    /// What the provider wants back with the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<Box<Private>>,
}

/// Something about a part that only its provider understands. It goes back to that provider and to no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// Whose it is.
    pub provider: String,
    /// The provider's own JSON.
    pub data: Value,
}

impl ToolCall {
    /// A call of tool `name` with arguments as the model wrote them.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>, raw: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), raw: raw.into(), private: None }
    }

    /// What `provider` wants back with the call.
    #[must_use]
    pub fn private_to(&self, provider: &str) -> Option<&Value> {
        self.private.as_ref().filter(|private| private.provider == provider).map(|private| &private.data)
    }

    /// The arguments as JSON. Empty text means no arguments: `{}`.
    ///
    /// # Errors
    /// The parser's error when the model wrote something that is not JSON.
    pub fn arguments(&self) -> Result<Value, serde_json::Error> {
        if self.raw.trim().is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_str(&self.raw)
    }
}

/// What a model is told about a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name the model calls it by: 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// What it does and when to use it.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments; its type is `object`.
    pub parameters: Value,
    /// Whether the provider shall force the arguments to match the schema, where it can.
    #[serde(default)]
    pub strict: bool,
}

/// What a tool gives back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolReturn {
    /// Content that the model sees.
    Content {
        /// The parts.
        parts: Vec<Part>,
    },
    /// Content that the model sees and data that only the caller sees.
    ContentAndArtifact {
        /// What the model sees.
        parts: Vec<Part>,
        /// What the caller finds in the tool result.
        artifact: Value,
    },
    /// An order to the loop that runs the tool.
    Command(ToolControl),
}

/// What a tool can tell the loop that runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolControl {
    /// Another agent goes on with the conversation.
    Handoff {
        /// The agent's name.
        target: String,
        /// What it shall know besides the conversation.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        payload: Value,
    },
    /// The run is done; this is its output.
    Done {
        /// The output.
        value: Value,
    },
    /// The caller shall find these values in the result of the run; the model sees the content.
    Update {
        /// What the model sees.
        parts: Vec<Part>,
        /// The values, by name. A later value of one name replaces an earlier one.
        values: serde_json::Map<String, Value>,
    },
}

impl ToolReturn {
    /// Plain text for the model.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        ToolReturn::Content { parts: vec![Part::text(text)] }
    }

    /// A JSON value for the model: a string as it is, anything else as its compact JSON text.
    #[must_use]
    pub fn json(value: Value) -> Self {
        match value {
            Value::String(text) => Self::text(text),
            other => Self::text(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_survives_json() {
        let control = ToolControl::Handoff { target: "billing".into(), payload: Value::Null };
        let json = serde_json::to_value(ToolReturn::Command(control.clone())).unwrap();
        assert_eq!(json, serde_json::json!({"kind": "command", "control": "handoff", "target": "billing"}));
        assert_eq!(serde_json::from_value::<ToolReturn>(json).unwrap(), ToolReturn::Command(control));
    }

    #[test]
    fn empty_arguments_are_an_empty_object_and_bad_ones_an_error() {
        let call = |raw: &str| ToolCall::new("1", "t", raw);
        assert_eq!(call(" ").arguments().unwrap(), serde_json::json!({}));
        assert_eq!(call("{\"a\":1}").arguments().unwrap(), serde_json::json!({"a": 1}));
        assert!(call("{\"a\":").arguments().is_err());
    }
}
