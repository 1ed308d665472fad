//! What may be in a channel.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::Value;

/// A type of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsonType {
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction.
    Integer,
    /// Any number.
    Number,
    /// Text.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl JsonType {
    fn admits(self, value: &Value) -> bool {
        match self {
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// Looks at everything before it is in a channel: at each item of a list that is appended to, at each value of a map that
/// is merged into, otherwise at the whole value.
///
/// ```
/// use atomr_agents_state::{AppendList, Check, JsonType, RunState, StateSchema};
/// use serde_json::json;
///
/// let short = Check::by(|item| match item.as_str() {
///     Some(text) if text.len() < 10 => Ok(()),
///     _ => Err("a line has fewer than ten bytes".to_owned()),
/// });
/// let schema =
///     StateSchema::builder().add("log", AppendList).check("log", short).add_lww("n").check("n", JsonType::Integer);
/// let mut state = RunState::new(&schema.build()?);
/// state.write("log", json!(["one", "two"]))?;
/// assert!(state.write("log", json!(["three", "far too long"])).is_err());
/// assert!(state.write("n", json!(1.5)).is_err());
/// assert_eq!(state.get::<Vec<String>>("log")?, ["one", "two"]);
/// # Ok::<(), atomr_agents_state::StateError>(())
/// ```
#[derive(Clone)]
pub struct Check(Arc<Ask>);

type Ask = dyn Fn(&Value) -> Result<(), String> + Send + Sync;

impl Check {
    /// What a function lets through; its error says what is wrong.
    #[must_use]
    pub fn by(ask: impl Fn(&Value) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) fn ask(&self, value: &Value) -> Result<(), String> {
        (self.0)(value)
    }
}

impl From<JsonType> for Check {
    fn from(kind: JsonType) -> Self {
        Self::by(move |value| if kind.admits(value) { Ok(()) } else { Err(format!("it takes {kind}")) })
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}
