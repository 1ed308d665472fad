//! A schema in writing: what is stored beside a run, to tell later whether another schema still fits it.

use std::collections::BTreeMap;
use std::fmt;

use atomr_agents_core::Value;
use serde::{Deserialize, Serialize};

/// A schema without its code: the channels by name. It goes into a store; its fingerprint pins a run to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SchemaForm {
    /// The channels.
    pub channels: BTreeMap<String, ChannelForm>,
}

/// A channel without its code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelForm {
    /// The name of its reducer.
    pub reducer: String,
    /// What it begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// What is different about one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difference {
    /// It was not there.
    Added {
        /// The channel.
        channel: String,
    },
    /// It is no longer there.
    Removed {
        /// The channel.
        channel: String,
    },
    /// It has another reducer.
    Reducer {
        /// The channel.
        channel: String,
        /// The reducer it had.
        was: String,
        /// The reducer it has.
        is: String,
    },
    /// It begins with something else.
    Default {
        /// The channel.
        channel: String,
        /// What it began with.
        was: Option<Value>,
        /// What it begins with.
        is: Option<Value>,
    },
}

impl SchemaForm {
    /// 32 hexadecimal digits that stay the same as long as names, reducers and defaults do, whatever the order in which
    /// they are given.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let channels = self.channels.iter();
        let rows: Vec<_> =
            channels.map(|(name, form)| (name, &form.reducer, form.default.as_ref().map(sorted))).collect();
        // Text, numbers and arrays: nothing of it can fail to be written.
        let text = serde_json::to_vec(&rows).unwrap_or_default();
        blake3::hash(&text).to_hex()[..32].to_owned()
    }

    /// What is different in this one from `was`, by the names of the channels.
    #[must_use]
    pub fn difference(&self, was: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for (name, is) in &self.channels {
            let channel = name.clone();
            let Some(was) = was.channels.get(name) else {
                found.push(Difference::Added { channel });
                continue;
            };
            if was.reducer != is.reducer {
                let (was, is) = (was.reducer.clone(), is.reducer.clone());
                found.push(Difference::Reducer { channel: channel.clone(), was, is });
            }
            if was.default != is.default {
                let (was, is) = (was.default.clone(), is.default.clone());
                found.push(Difference::Default { channel, was, is });
            }
        }
        let gone = was.channels.keys().filter(|name| !self.channels.contains_key(*name));
        found.extend(gone.map(|name| Difference::Removed { channel: name.clone() }));
        found
    }
}

/// The same value with the keys of its objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(map) => {
            let entries: BTreeMap<&String, Value> = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        plain => plain.clone(),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        match self {
            Self::Added { channel } => write!(f, "channel `{channel}` is new"),
            Self::Removed { channel } => write!(f, "channel `{channel}` is gone"),
            Self::Reducer { channel, was, is } => {
                write!(f, "channel `{channel}` has the reducer {is} instead of {was}")
            }
            Self::Default { channel, was, is } => {
                write!(f, "channel `{channel}` begins with {} instead of {}", text(is), text(was))
            }
        }
    }
}
