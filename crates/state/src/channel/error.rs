//! What can go wrong with channels.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{Kind, Value};

/// Why a reducer did not take a write.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReduceError {
    /// It is of the wrong type.
    #[error("it was given {given}, and it takes {wanted}: {advice}")]
    WrongType {
        /// What it was given.
        given: String,
        /// What it takes.
        wanted: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The reducer does not want it.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
    },
    /// The reducer panicked.
    #[error("it panicked: {message}")]
    Panicked {
        /// With what.
        message: String,
    },
    /// The reducer failed, as the source says: one that is written in another language, for instance.
    #[error("it failed")]
    Failed {
        /// What kind of failure it is.
        kind: Kind,
        /// What happened.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl ReduceError {
    /// The reducer does not want it.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into() }
    }

    /// The reducer failed.
    #[must_use]
    pub fn failed(kind: Kind, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed { kind, source: Arc::new(source) }
    }

    pub(crate) fn wrong(given: &Value, wanted: &'static str, advice: &'static str) -> Self {
        Self::WrongType { given: described(given), wanted, advice }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::WrongType { .. } | Self::Refused { .. } => Kind::State,
            Self::Panicked { .. } => Kind::Contract,
            Self::Failed { kind, .. } => *kind,
        }
    }
}

/// What is wrong with a state, its schema, or what was written to it. Whatever it is, the state is as it was before.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There is no channel of this name.
    #[error("there is no channel `{channel}`{}. There are: {}", meant(nearest.as_deref()), known.join(", "))]
    UnknownChannel {
        /// The name.
        channel: Arc<str>,
        /// The channel whose name is most like it.
        nearest: Option<String>,
        /// The channels that there are.
        known: Vec<String>,
    },
    /// Two tasks of one super-step wrote a channel that keeps one write.
    #[error(
        "channel `{channel}` keeps the last write, and two tasks of one super-step wrote it: {first} and {second}. Let \
         one of them write it, put an edge between them, or give the channel a reducer that takes both (append_list)"
    )]
    TwoWriters {
        /// The channel.
        channel: Arc<str>,
        /// The path of one task.
        first: Arc<str>,
        /// The path of the other.
        second: Arc<str>,
    },
    /// A reducer did not take a write.
    #[error("channel `{channel}`, reducer {reducer}{}: nothing was written", by(task))]
    Reduce {
        /// The channel.
        channel: Arc<str>,
        /// The reducer.
        reducer: String,
        /// The path of the task that wrote; empty outside of a super-step.
        task: Arc<str>,
        /// Why.
        #[source]
        source: ReduceError,
    },
    /// The check of a channel did not let a write through.
    #[error("channel `{channel}`{}: {message}, and this is {given}; nothing was written", by(task))]
    Refused {
        /// The channel.
        channel: Arc<str>,
        /// The path of the task that wrote; empty outside of a super-step.
        task: Arc<str>,
        /// What was written, or what the reducer made of it.
        given: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value is read as a type that does not take it.
    #[error("channel `{channel}` does not hold what was asked for")]
    Shape {
        /// The channel.
        channel: Arc<str>,
        /// What the type does not take.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// A schema that makes no sense.
    #[error("channel `{channel}`: {message}")]
    Schema {
        /// The channel.
        channel: Arc<str>,
        /// What is wrong with it.
        message: String,
    },
    /// What was stored does not fit the channel.
    #[error("channel `{channel}`: what was stored does not fit it: {message}")]
    Stored {
        /// The channel.
        channel: Arc<str>,
        /// What does not fit.
        message: String,
    },
}

impl StateError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownChannel { .. } | Self::TwoWriters { .. } | Self::Refused { .. } | Self::Shape { .. } => {
                Kind::State
            }
            Self::Reduce { source, .. } => source.kind(),
            Self::Schema { .. } => Kind::Config,
            Self::Stored { .. } => Kind::Corrupt,
        }
    }
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; perhaps `{name}` is meant")).unwrap_or_default()
}

fn by(task: &str) -> String {
    if task.is_empty() { String::new() } else { format!(", written by {task}") }
}

const SHOWN: usize = 40;

/// A value in the words of an error: its type and its beginning.
pub(crate) fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the string {}", Cut(text)),
        Value::Array(items) => match items.len() {
            0 => "an empty array".to_owned(),
            len => format!("an array of {len} that begins with {}", kind_of(&items[0])),
        },
        Value::Object(map) if map.is_empty() => "an empty object".to_owned(),
        Value::Object(map) => {
            let mut keys: Vec<&str> = map.keys().take(4).map(String::as_str).collect();
            if map.len() > keys.len() {
                keys.push("…");
            }
            format!("an object with {}", keys.join(", "))
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

struct Cut<'t>(&'t str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}
