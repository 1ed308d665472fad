//! The state of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use atomr_agents_core::Value;
use serde::de::DeserializeOwned;

use super::base::Base;
use super::delta::{Change, Delta};
use super::error::{ReduceError, StateError};
use super::fold::Draft;
use super::order;
use super::reducer::BuiltIn;
use super::schema::{Channel, StateSchema};
use super::value::ChannelValue;
use super::view::StateView;

/// What a task writes to a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The task's path: it says whose write comes first.
    pub task: Arc<str>,
    /// The channel.
    pub channel: Arc<str>,
    /// What its reducer is given.
    pub value: Value,
}

impl Write {
    /// `task` writes `value` to `channel`.
    #[must_use]
    pub fn new(task: impl Into<Arc<str>>, channel: impl Into<Arc<str>>, value: Value) -> Self {
        Self { task: task.into(), channel: channel.into(), value }
    }
}

/// The state of a run: what its channels hold, and how many super-steps made it so. A copy shares everything.
///
/// ```
/// use atomr_agents_state::{AppendList, RunState, StateSchema, Write};
/// use serde_json::json;
///
/// let schema = StateSchema::builder().add("log", AppendList).add_lww("answer").build()?;
/// let mut state = RunState::new(&schema);
/// let base = state.base();
/// // Given in the order in which the tasks ended; taken in the order of their paths.
/// let deltas = state.apply([
///     Write::new("fan[10]", "log", json!("ten")),
///     Write::new("fan[9]", "log", json!("nine")),
///     Write::new("fan[9]", "answer", json!(42)),
/// ])?;
/// assert_eq!(state.get::<Vec<String>>("log")?, ["nine", "ten"]);
/// assert_eq!(RunState::replay(&schema, base, [(1, deltas)])?, state);
/// # Ok::<(), atomr_agents_state::StateError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    view: StateView,
}

impl RunState {
    /// The state before the first super-step.
    #[must_use]
    pub fn new(schema: &StateSchema) -> Self {
        Self { view: StateView { schema: schema.clone(), values: schema.initial(), step: 0 } }
    }

    /// The state as it is now, for nodes that read it while others are at work. It shares everything.
    #[must_use]
    pub fn snapshot(&self) -> StateView {
        self.view.clone()
    }

    /// What a channel holds.
    ///
    /// # Errors
    /// There is no such channel.
    pub fn read(&self, channel: &str) -> Result<&ChannelValue, StateError> {
        self.view.read(channel)
    }

    /// What a channel holds, as a type.
    ///
    /// # Errors
    /// There is no such channel, or the type does not take what it holds.
    pub fn get<T: DeserializeOwned>(&self, channel: &str) -> Result<T, StateError> {
        self.view.get(channel)
    }

    /// How many super-steps were applied.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.view.step
    }

    /// Its schema.
    #[must_use]
    pub fn schema(&self) -> &StateSchema {
        &self.view.schema
    }

    /// Reduces what all tasks of a super-step wrote, in the order of their paths (what one task wrote in the order in
    /// which it did), and counts the step. What it tells is new in each channel; nothing for a channel that holds what
    /// it held.
    ///
    /// # Errors
    /// The first write that cannot be taken, [`StateError::TwoWriters`] among them. None of the writes is in the state then, and
    /// the step does not count.
    pub fn apply(&mut self, writes: impl IntoIterator<Item = Write>) -> Result<Vec<Delta>, StateError> {
        let mut writes: Vec<Write> = writes.into_iter().collect();
        writes.sort_by(|one, two| order::of_tasks(&one.task, &two.task));
        let deltas = self.reduce(writes)?;
        self.view.step += 1;
        Ok(deltas)
    }

    /// Reduces one write outside of a super-step: an input, or the hand of a person.
    ///
    /// # Errors
    /// The write cannot be taken; the state is as it was.
    pub fn write(&mut self, channel: &str, value: Value) -> Result<Vec<Delta>, StateError> {
        self.reduce(vec![Write::new("", channel, value)])
    }

    /// Lets a channel hold `value` and nothing of what it held, without asking its reducer: a history that was cut
    /// short, for instance.
    ///
    /// # Errors
    /// The channel cannot hold it; the state is as it was.
    pub fn overwrite(&mut self, channel: &str, value: Value) -> Result<Vec<Delta>, StateError> {
        let place = self.view.schema.place(channel)?;
        let spec = self.view.schema.channel(place);
        let held = spec.holding(value)?;
        let before = &mut Arc::make_mut(&mut self.view.values)[place];
        if *before == held {
            return Ok(Vec::new());
        }
        let set = Change::Set(held.clone().into_shared());
        *before = held;
        Ok(vec![Delta { channel: Arc::clone(&spec.name), change: set }])
    }

    fn reduce(&mut self, writes: Vec<Write>) -> Result<Vec<Delta>, StateError> {
        let mut drafts: BTreeMap<usize, (Draft, Arc<str>)> = BTreeMap::new();
        for Write { task, channel, value } in writes {
            let place = self.view.schema.place(&channel)?;
            let spec = self.view.schema.channel(place);
            let begin = || (Draft::new(self.view.values[place].clone()), Arc::clone(&task));
            let (draft, writer) = drafts.entry(place).or_insert_with(begin);
            if spec.built_in == Some(BuiltIn::LastWriteWins) && *writer != task {
                return Err(StateError::TwoWriters { channel, first: Arc::clone(writer), second: task });
            }
            spec.fold(draft, &task, value)?;
        }
        let mut deltas = Vec::with_capacity(drafts.len());
        let values = Arc::make_mut(&mut self.view.values);
        for (place, (draft, _)) in drafts {
            let spec = self.view.schema.channel(place);
            values[place] = draft.finish(&spec.name, spec.built_in.is_none(), &mut deltas);
        }
        Ok(deltas)
    }

    /// The whole state, to be stored. It shares everything.
    #[must_use]
    pub fn base(&self) -> Base {
        let names = self.view.schema.names().map(Arc::from);
        Base { step: self.view.step, channels: names.zip(self.view.values.iter().cloned()).collect() }
    }

    /// The state that a stored base is. A channel that is not in it begins anew.
    ///
    /// # Errors
    /// The base has a channel that the schema does not have, or one that cannot hold what is stored.
    pub fn from_base(schema: &StateSchema, base: Base) -> Result<Self, StateError> {
        let mut state = Self::new(schema);
        let values = Arc::make_mut(&mut state.view.values);
        for (name, value) in base.channels {
            let place = schema.place(&name)?;
            values[place] = schema.channel(place).stored(value.into_shared())?;
        }
        state.view.step = base.step;
        Ok(state)
    }

    /// The state that stored deltas make of a stored base: those of each checkpoint with its step, from the oldest to
    /// the newest.
    ///
    /// # Errors
    /// What was stored does not fit the schema.
    pub fn replay(
        schema: &StateSchema,
        base: Base,
        checkpoints: impl IntoIterator<Item = (u64, Vec<Delta>)>,
    ) -> Result<Self, StateError> {
        let mut state = Self::from_base(schema, base)?;
        for (step, deltas) in checkpoints {
            state.restore(step, deltas)?;
        }
        Ok(state)
    }

    /// Takes in the deltas of one stored checkpoint: afterwards it is the state after `step`. No reducer and no check is
    /// asked.
    ///
    /// # Errors
    /// They do not fit the state, which is as it was.
    pub fn restore(&mut self, step: u64, deltas: impl IntoIterator<Item = Delta>) -> Result<(), StateError> {
        let mut values = Arc::clone(&self.view.values);
        for Delta { channel, change } in deltas {
            let place = self.view.schema.place(&channel)?;
            let spec = self.view.schema.channel(place);
            let value = &mut Arc::make_mut(&mut values)[place];
            match change {
                Change::Set(whole) => *value = spec.stored(whole)?,
                more => value.grow(more).map_err(|message| spec.misfit(message))?,
            }
        }
        (self.view.values, self.view.step) = (values, step);
        Ok(())
    }
}

impl Channel {
    /// Reduces one write of `task`.
    fn fold(&self, draft: &mut Draft, task: &str, incoming: Value) -> Result<(), StateError> {
        let mut refused = None;
        let mut check = |value: &Value| {
            self.check(task, value).map_err(|error| {
                refused = Some(error);
                ReduceError::refused("the check of the channel does not let it through")
            })
        };
        let folded = match self.built_in {
            Some(built_in) => draft.fold_built_in(built_in, incoming, &mut check),
            None => draft.fold_custom(&*self.reducer, incoming, &mut check),
        };
        folded.map_err(|error| refused.unwrap_or_else(|| self.reduce_error(task, error)))
    }

    /// What it holds when it is given `value` to hold.
    fn holding(&self, value: Value) -> Result<ChannelValue, StateError> {
        let Some(built_in) = self.built_in else {
            self.check("", &value)?;
            return Ok(ChannelValue::Single(Arc::new(value)));
        };
        let empty = built_in.begin(Value::Null).map_err(|error| self.reduce_error("", error))?;
        let mut draft = Draft::new(empty);
        self.fold(&mut draft, "", value)?;
        Ok(draft.into_value())
    }

    fn stored(&self, value: Arc<Value>) -> Result<ChannelValue, StateError> {
        ChannelValue::shaped(self.shape(), value).map_err(|value| {
            let reducer = self.reducer.name();
            self.misfit(format!("{} is nothing that {reducer} made", super::error::described(&value)))
        })
    }

    fn misfit(&self, message: impl Into<String>) -> StateError {
        StateError::Stored { channel: Arc::clone(&self.name), message: message.into() }
    }
}
