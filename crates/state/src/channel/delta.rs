//! What is new in a channel.

use std::sync::Arc;

use atomr_agents_core::Value;
use serde::{Deserialize, Serialize};

use super::map::SharedMap;
use super::weight::weight_of;

/// What is new in one channel. Stored deltas on a stored base give the state again.
///
/// ```
/// use atomr_agents_state::{AppendList, RunState, StateSchema};
/// use serde_json::json;
///
/// let mut state = RunState::new(&StateSchema::builder().add("log", AppendList).build()?);
/// state.write("log", json!(["one", "two"]))?;
/// let deltas = state.write("log", json!("three"))?;
/// assert_eq!(serde_json::to_value(&deltas)?, json!([{"channel": "log", "change": {"append": ["three"]}}]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// The channel.
    pub channel: Arc<str>,
    /// What is new in it.
    pub change: Change,
}

/// A change of a channel. Values are shared with the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// It holds this now.
    Set(Arc<Value>),
    /// These items came to the end of its list.
    Append(Vec<Arc<Value>>),
    /// An item of its list is another now.
    Replace {
        /// The position, counted from 0.
        at: usize,
        /// The item.
        value: Arc<Value>,
    },
    /// These keys of its map have these values now.
    Merge(SharedMap),
}

impl Delta {
    /// About how many bytes it takes as JSON.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.channel.len()
            + match &self.change {
                Change::Set(value) | Change::Replace { value, .. } => weight_of(value),
                Change::Append(items) => items.iter().map(|item| weight_of(item) + 1).sum(),
                Change::Merge(entries) => entries.weight(),
            }
    }
}

impl Change {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Set(_) => "a whole value",
            Self::Append(_) => "items at its end",
            Self::Replace { .. } => "another item in the place of one",
            Self::Merge(_) => "values for its keys",
        }
    }

    /// What came to `before`, if `after` is that and more.
    pub(crate) fn growth(before: &Value, after: &Value) -> Option<Self> {
        match (before, after) {
            (Value::Array(before), Value::Array(after)) if after.starts_with(before) => {
                Some(Self::Append(after[before.len()..].iter().cloned().map(Arc::new).collect()))
            }
            (Value::Object(before), Value::Object(after)) => {
                let same = before.len() <= after.len() && before.keys().zip(after.keys()).all(|(one, two)| one == two);
                if !same {
                    return None;
                }
                let mut more = SharedMap::default();
                for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(value)) {
                    more.put(key.as_str().into(), Arc::new(value.clone()));
                }
                Some(Self::Merge(more))
            }
            _ => None,
        }
    }
}
