//! How a write changes what a channel holds.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::Value;

use super::error::ReduceError;
use super::fold::Draft;
use super::value::{ChannelValue, Shape};

/// How a write changes what a channel holds. What is not built in is written like this, or with [`reducer`]:
///
/// ```
/// use atomr_agents_state::{ReduceError, Reducer, RunState, StateSchema};
/// use serde_json::{Value, json};
///
/// struct Longest;
///
/// impl Reducer for Longest {
///     fn name(&self) -> &str {
///         "longest"
///     }
///
///     fn reduce(&self, current: &Value, incoming: Value) -> Result<Value, ReduceError> {
///         let length = |value: &Value| value.as_str().map_or(0, str::len);
///         Ok(if length(&incoming) > length(current) { incoming } else { current.clone() })
///     }
/// }
///
/// let mut state = RunState::new(&StateSchema::builder().add("word", Longest).build()?);
/// state.write("word", json!("longer"))?;
/// state.write("word", json!("long"))?;
/// assert_eq!(state.read("word")?.to_value(), json!("longer"));
/// # Ok::<(), atomr_agents_state::StateError>(())
/// ```
pub trait Reducer: Send + Sync + 'static {
    /// Its name, in errors and in the fingerprint of a schema. A reducer that begins to do something else takes another
    /// name, so that stored runs are not continued with it by mistake.
    fn name(&self) -> &str;

    /// The new value. It depends on nothing but its arguments: a stored run is not asked again.
    ///
    /// # Errors
    /// What is wrong with `incoming`. The channel keeps `current`, then and after a panic.
    fn reduce(&self, current: &Value, incoming: Value) -> Result<Value, ReduceError>;

    /// The built-in reducer which does exactly the same, if there is one: a channel is then kept and stored as that
    /// one's, and [`Reducer::reduce`] is not called.
    fn built_in(&self) -> Option<BuiltIn> {
        None
    }
}

/// The reducers that come with the crate. Each is associative: reducing `a` by `b` and the result by `c` gives what
/// reducing `a` by the result of `b` and `c` gives, where `b` is something that the channel can hold. `null` adds nothing
/// to any but [`BuiltIn::LastWriteWins`].
///
/// ```
/// use atomr_agents_state::{AppendMessages, Reducer};
/// use serde_json::json;
///
/// let asked = json!([{"id": "1", "text": "Oslo?"}]);
/// let mended = AppendMessages.reduce(&asked, json!({"id": "1", "text": "Rome?"}))?;
/// assert_eq!(mended, json!([{"id": "1", "text": "Rome?"}]));
/// # Ok::<(), atomr_agents_state::ReduceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuiltIn {
    /// What was written last. Two tasks of one super-step must not write the same channel.
    LastWriteWins,
    /// A list: arrays are joined, anything else is appended.
    AppendList,
    /// A list of objects: an object is appended, or takes the place of the one that has the same string `id`; of an array
    /// each object.
    AppendMessages,
    /// An object: the keys of what is written are set, the others stay. Objects within are not merged.
    MergeMap,
    /// The object with the greatest integer `ts_ms` of all that were written; of equal ones the later.
    MaxByTimestamp,
}

impl BuiltIn {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::LastWriteWins, Self::AppendList, Self::AppendMessages, Self::MergeMap, Self::MaxByTimestamp];

    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::LastWriteWins | Self::MaxByTimestamp => Shape::Single,
            Self::AppendList => Shape::List,
            Self::AppendMessages => Shape::Messages,
            Self::MergeMap => Shape::Map,
        }
    }

    /// What a channel holds that begins with `value`; for `null` what it holds before anything is written.
    pub(crate) fn begin(self, value: Value) -> Result<ChannelValue, ReduceError> {
        if matches!(self.shape(), Shape::List | Shape::Messages) && !matches!(value, Value::Null | Value::Array(_)) {
            let advice = "put it into an array";
            return Err(ReduceError::wrong(&value, "an array as the current value", advice));
        }
        let mut draft = Draft::new(ChannelValue::empty(self.shape()));
        draft.fold_built_in(self, value, &mut |_| Ok(()))?;
        Ok(draft.into_value())
    }
}

impl Reducer for BuiltIn {
    fn name(&self) -> &str {
        match self {
            Self::LastWriteWins => "last_write_wins",
            Self::AppendList => "append_list",
            Self::AppendMessages => "append_messages",
            Self::MergeMap => "merge_map",
            Self::MaxByTimestamp => "max_by_timestamp",
        }
    }

    fn reduce(&self, current: &Value, incoming: Value) -> Result<Value, ReduceError> {
        let mut draft = Draft::new(self.begin(current.clone())?);
        draft.fold_built_in(*self, incoming, &mut |_| Ok(()))?;
        Ok(draft.into_value().to_value())
    }

    fn built_in(&self) -> Option<BuiltIn> {
        Some(*self)
    }
}

impl<R: Reducer + ?Sized> Reducer for Arc<R> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn reduce(&self, current: &Value, incoming: Value) -> Result<Value, ReduceError> {
        (**self).reduce(current, incoming)
    }

    fn built_in(&self) -> Option<BuiltIn> {
        (**self).built_in()
    }
}

/// A reducer that is a function.
///
/// ```
/// use atomr_agents_state::{ReduceError, RunState, StateSchema, reducer};
/// use serde_json::json;
///
/// let sum = reducer("sum", |current, incoming| match (current.as_i64().unwrap_or(0), incoming.as_i64()) {
///     (current, Some(more)) => Ok(json!(current + more)),
///     _ => Err(ReduceError::refused(format!("{incoming} is no integer"))),
/// });
/// let mut state = RunState::new(&StateSchema::builder().add("total", sum).build()?);
/// state.write("total", json!(2))?;
/// state.write("total", json!(3))?;
/// assert_eq!(state.get::<i64>("total")?, 5);
/// # Ok::<(), atomr_agents_state::StateError>(())
/// ```
pub fn reducer<F>(name: impl Into<String>, function: F) -> impl Reducer
where
    F: Fn(&Value, Value) -> Result<Value, ReduceError> + Send + Sync + 'static,
{
    Function { name: name.into(), function }
}

struct Function<F> {
    name: String,
    function: F,
}

impl<F> Reducer for Function<F>
where
    F: Fn(&Value, Value) -> Result<Value, ReduceError> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn reduce(&self, current: &Value, incoming: Value) -> Result<Value, ReduceError> {
        (self.function)(current, incoming)
    }
}

impl fmt::Display for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for dyn Reducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
