//! Which channels a state has.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use atomr_agents_core::Value;

use super::check::Check;
use super::error::{ReduceError, StateError, described};
use super::form::{ChannelForm, Difference, SchemaForm};
use super::order;
use super::reducer::{BuiltIn, Reducer};
use super::value::{ChannelValue, Shape};

/// The channels of a state, each with its reducer and what it begins with. A copy shares all of it.
///
/// ```
/// use atomr_agents_state::{AppendMessages, LastWriteWins, StateSchema};
/// use serde_json::json;
///
/// let schema = StateSchema::builder()
///     .add("messages", AppendMessages)
///     .add_with_default("count", LastWriteWins, json!(0))
///     .add_lww("answer")
///     .build()?;
/// assert_eq!(schema.names().collect::<Vec<_>>(), ["messages", "count", "answer"]);
/// let error = schema.reducer("mesages").unwrap_err();
/// assert!(error.to_string().contains("perhaps `messages` is meant"));
/// # Ok::<(), atomr_agents_state::StateError>(())
/// ```
#[derive(Clone)]
pub struct StateSchema(Arc<Inner>);

struct Inner {
    channels: Vec<Channel>,
    places: HashMap<Arc<str>, usize>,
    initial: Arc<Vec<ChannelValue>>,
    fingerprint: String,
}

/// A channel.
#[derive(Clone)]
pub(crate) struct Channel {
    pub(crate) name: Arc<str>,
    pub(crate) reducer: Arc<dyn Reducer>,
    pub(crate) built_in: Option<BuiltIn>,
    default: Option<Value>,
    check: Option<Check>,
}

impl StateSchema {
    /// A schema without channels, to add some.
    #[must_use]
    pub fn builder() -> StateSchemaBuilder {
        StateSchemaBuilder::default()
    }

    /// The same channels, to add some.
    #[must_use]
    pub fn to_builder(&self) -> StateSchemaBuilder {
        StateSchemaBuilder { channels: self.0.channels.clone(), checks: Vec::new() }
    }

    /// The names of the channels, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.channels.iter().map(|channel| &*channel.name)
    }

    /// The reducer of a channel.
    ///
    /// # Errors
    /// There is no such channel.
    pub fn reducer(&self, channel: &str) -> Result<&Arc<dyn Reducer>, StateError> {
        Ok(&self.channel(self.place(channel)?).reducer)
    }

    /// The schema in writing.
    #[must_use]
    pub fn form(&self) -> SchemaForm {
        form(&self.0.channels)
    }

    /// 32 hexadecimal digits that stay the same as long as the names, reducers and defaults do.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// What is different in this one from `was`.
    ///
    /// ```
    /// use atomr_agents_state::{AppendList, StateSchema};
    ///
    /// let was = StateSchema::builder().add_lww("notes").add_lww("count").build()?;
    /// let is = StateSchema::builder().add("notes", AppendList).build()?;
    /// let told: Vec<String> = is.difference(&was).iter().map(ToString::to_string).collect();
    /// assert_eq!(told, ["channel `notes` has the reducer append_list instead of last_write_wins", "channel `count` is gone"]);
    /// # Ok::<(), atomr_agents_state::StateError>(())
    /// ```
    #[must_use]
    pub fn difference(&self, was: &Self) -> Vec<Difference> {
        self.form().difference(&was.form())
    }

    pub(crate) fn initial(&self) -> Arc<Vec<ChannelValue>> {
        Arc::clone(&self.0.initial)
    }

    pub(crate) fn channel(&self, place: usize) -> &Channel {
        &self.0.channels[place]
    }

    pub(crate) fn place(&self, channel: &str) -> Result<usize, StateError> {
        self.0.places.get(channel).copied().ok_or_else(|| self.unknown(channel))
    }

    fn unknown(&self, channel: &str) -> StateError {
        StateError::UnknownChannel {
            channel: channel.into(),
            nearest: order::nearest(channel, self.names()).map(str::to_owned),
            known: self.names().map(str::to_owned).collect(),
        }
    }
}

impl Channel {
    pub(crate) fn shape(&self) -> Shape {
        self.built_in.map_or(Shape::Single, BuiltIn::shape)
    }

    /// What it begins with, or what is wrong with that.
    fn begin(&self) -> Result<ChannelValue, StateError> {
        let default = self.default.clone().unwrap_or_default();
        let begun = match self.built_in {
            Some(built_in) => built_in.begin(default).map_err(|error| self.reduce_error("", error))?,
            None => ChannelValue::Single(Arc::new(default)),
        };
        if self.default.is_some() {
            match &begun {
                ChannelValue::Single(value) => self.check("", value)?,
                ChannelValue::List(list) => list.iter().try_for_each(|item| self.check("", item))?,
                ChannelValue::Map(map) => map.iter().try_for_each(|(_, value)| self.check("", value))?,
            }
        }
        Ok(begun)
    }

    pub(crate) fn check(&self, task: &str, value: &Value) -> Result<(), StateError> {
        let Some(check) = &self.check else { return Ok(()) };
        check.ask(value).map_err(|message| StateError::Refused {
            channel: Arc::clone(&self.name),
            task: task.into(),
            given: described(value),
            message,
        })
    }

    pub(crate) fn reduce_error(&self, task: &str, source: ReduceError) -> StateError {
        StateError::Reduce {
            channel: Arc::clone(&self.name),
            reducer: self.reducer.name().to_owned(),
            task: task.into(),
            source,
        }
    }
}

fn form(channels: &[Channel]) -> SchemaForm {
    let row = |channel: &Channel| {
        let form = ChannelForm { reducer: channel.reducer.name().to_owned(), default: channel.default.clone() };
        (channel.name.to_string(), form)
    };
    SchemaForm { channels: channels.iter().map(row).collect() }
}

/// Makes a [`StateSchema`].
#[derive(Clone, Debug, Default)]
pub struct StateSchemaBuilder {
    channels: Vec<Channel>,
    checks: Vec<(String, Check)>,
}

impl StateSchemaBuilder {
    /// Adds a channel that begins with nothing: an empty list for the two that append, an empty object for
    /// [`BuiltIn::MergeMap`], otherwise `null`.
    #[must_use]
    pub fn add(self, name: &str, reducer: impl Reducer) -> Self {
        self.with(name, reducer, None)
    }

    /// Adds a channel that begins with `default`.
    #[must_use]
    pub fn add_with_default(self, name: &str, reducer: impl Reducer, default: Value) -> Self {
        self.with(name, reducer, Some(default))
    }

    /// Adds a channel that keeps the last write.
    #[must_use]
    pub fn add_lww(self, name: &str) -> Self {
        self.add(name, BuiltIn::LastWriteWins)
    }

    /// Looks at everything that comes into a channel; see [`Check`].
    #[must_use]
    pub fn check(mut self, channel: &str, check: impl Into<Check>) -> Self {
        self.checks.push((channel.to_owned(), check.into()));
        self
    }

    /// The schema.
    ///
    /// # Errors
    /// [`StateError::Schema`] for two channels of one name or a name that is empty; [`StateError::UnknownChannel`] for a
    /// check of a channel that is not there; what a reducer or check has against a default.
    pub fn build(self) -> Result<StateSchema, StateError> {
        let mut places = HashMap::with_capacity(self.channels.len());
        for (place, channel) in self.channels.iter().enumerate() {
            let message = match places.insert(Arc::clone(&channel.name), place) {
                Some(_) => "there are two of this name",
                None if channel.name.is_empty() => "a channel must have a name",
                None => continue,
            };
            return Err(StateError::Schema { channel: Arc::clone(&channel.name), message: message.to_owned() });
        }
        let fingerprint = form(&self.channels).fingerprint();
        let mut inner = Inner { channels: self.channels, places, initial: Arc::default(), fingerprint };
        for (name, check) in self.checks {
            match inner.places.get(&*name) {
                Some(place) => inner.channels[*place].check = Some(check),
                None => return Err(StateSchema(Arc::new(inner)).unknown(&name)),
            }
        }
        inner.initial = Arc::new(inner.channels.iter().map(Channel::begin).collect::<Result<_, _>>()?);
        Ok(StateSchema(Arc::new(inner)))
    }

    fn with(mut self, name: &str, reducer: impl Reducer, default: Option<Value>) -> Self {
        let built_in = reducer.built_in();
        self.channels.push(Channel { name: name.into(), reducer: Arc::new(reducer), built_in, default, check: None });
        self
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reducer.name())
    }
}

impl fmt::Debug for StateSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateSchema").field(&self.0.channels).finish()
    }
}

/// Two schemas are equal if they have the same fingerprint.
impl PartialEq for StateSchema {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}
