//! What may be in a channel.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::Value;

/// A type of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsonType {
    /// `null`.
    Null,
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
            Self::Null => value.is_null(),
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
            Self::Null => "null",
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

    /// What is of one of these types.
    ///
    /// ```
    /// use atomr_agents_state::{Check, JsonType, RunState, StateSchema};
    /// use serde_json::json;
    ///
    /// let text = Check::any_of([JsonType::String, JsonType::Null]);
    /// let mut state = RunState::new(&StateSchema::builder().add_lww("answer").check("answer", text).build()?);
    /// let error = state.write("answer", json!(3)).unwrap_err();
    /// assert!(error.to_string().contains("it takes a string or null, and this is 3"));
    /// # Ok::<(), atomr_agents_state::StateError>(())
    /// ```
    #[must_use]
    pub fn any_of(types: impl IntoIterator<Item = JsonType>) -> Self {
        let types: Vec<JsonType> = types.into_iter().collect();
        Self::by(move |value| {
            if types.iter().any(|kind| kind.admits(value)) {
                return Ok(());
            }
            let names: Vec<String> = types.iter().map(ToString::to_string).collect();
            Err(format!("it takes {}", names.join(" or ")))
        })
    }

    pub(crate) fn ask(&self, value: &Value) -> Result<(), String> {
        (self.0)(value)
    }
}

impl From<JsonType> for Check {
    fn from(kind: JsonType) -> Self {
        Self::any_of([kind])
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}
