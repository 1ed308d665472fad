//! How working memory is written: what is new in it since the iteration before, so that a list which grows is not
//! written again each time.

use std::collections::BTreeMap;

use atomr_agents_core::Value;
use atomr_agents_state::{Journal, RunLogError, StoredDelta};
use serde::{Deserialize, Serialize};

/// The channel of working memory that is no object.
const WHOLE: &str = "memory";

/// What the channels of its fields begin with, where it is one.
const FIELD: &str = "memory/";

/// Which channels are the working memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// One.
    #[default]
    Whole,
    /// One for each of these fields.
    Fields(Vec<String>),
}

impl Shape {
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Object(fields) => Self::Fields(fields.keys().cloned().collect()),
            _ => Self::Whole,
        }
    }

    /// The working memory that these channels say.
    pub(crate) fn read(&self, channels: &mut BTreeMap<String, Value>) -> Value {
        let mut take = |name: &str| channels.remove(name).unwrap_or_default();
        match self {
            Self::Whole => take(WHOLE),
            Self::Fields(names) => {
                let field = |name: &String| (name.clone(), take(&format!("{FIELD}{name}")));
                Value::Object(names.iter().map(field).collect())
            }
        }
    }
}

/// What is new in `after`; everything where `before` is `None`.
pub(crate) fn deltas(
    journal: &Journal,
    before: Option<&Value>,
    after: &Value,
) -> Result<BTreeMap<String, StoredDelta>, RunLogError> {
    let mut channels = BTreeMap::new();
    match after {
        Value::Object(fields) => {
            for (name, value) in fields {
                let old = before.and_then(|before| before.as_object()?.get(name));
                if let Some(delta) = delta(journal, old, value)? {
                    channels.insert(format!("{FIELD}{name}"), delta);
                }
            }
        }
        value => {
            let old = before.filter(|before| !before.is_object());
            if let Some(delta) = delta(journal, old, value)? {
                channels.insert(WHOLE.to_owned(), delta);
            }
        }
    }
    Ok(channels)
}

fn delta(journal: &Journal, before: Option<&Value>, after: &Value) -> Result<Option<StoredDelta>, RunLogError> {
    if before == Some(after) {
        return Ok(None);
    }
    let Value::Array(items) = after else { return Ok(Some(StoredDelta::Set(journal.body(after)?))) };
    let bodies = |items: &[Value]| items.iter().map(|item| journal.body(item)).collect::<Result<_, _>>();
    // A list is always written by its elements: only then can some be added.
    match before {
        Some(Value::Array(old)) if items.starts_with(old) => {
            Ok(Some(StoredDelta::Append(bodies(&items[old.len()..])?)))
        }
        _ => Ok(Some(StoredDelta::List(bodies(items)?))),
    }
}
