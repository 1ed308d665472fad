//! States and answers as they are written to the log, and read from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use atomr_agents_core::Value;
use atomr_agents_state::{
    Base, Body, ChannelChange as Change, ChannelValue, Checkpoint, Delta, Due, Journal, Outcome, RunLogError, RunState,
    StateError, StateSchema, StateView, StoredChannel, StoredDelta, StoredState, note,
};
use serde::{Deserialize, Serialize};

use crate::graph::wiring::Wiring;
use crate::plan::{StoredJoin, Task, Waiting};
use crate::{Target, Update};

/// What a checkpoint is made of.
pub(crate) struct Point<'a> {
    pub(crate) source: &'static str,
    pub(crate) state: &'a StateView,
    pub(crate) step: u64,
    /// What is new; `None` for the whole state.
    pub(crate) deltas: Option<&'a [Delta]>,
    pub(crate) next: &'a [Task],
    pub(crate) waiting: &'a Waiting,
}

impl Point<'_> {
    /// As it is written.
    pub(crate) fn written(&self, journal: &Journal, wiring: &Wiring) -> Result<Checkpoint, RunLogError> {
        let channels = match self.deltas {
            Some(deltas) => of_deltas(journal, deltas)?,
            None => whole(journal, self.state)?,
        };
        let mut next = Vec::with_capacity(self.next.len());
        for task in self.next {
            let node = wiring.name(task.place).to_string();
            let path = if *task.path == *node { String::new() } else { task.path.to_string() };
            let input = task.input.as_ref().map(|input| journal.body(&**input)).transpose()?;
            next.push(Due { node, path, input });
        }
        let joins = self.waiting.stored(wiring);
        let note = if joins.is_empty() { None } else { Some(note(&serde_json::json!({ "joins": joins }))?) };
        let (step, base, source) = (self.step, self.deltas.is_none(), self.source.to_owned());
        Ok(Checkpoint { step, base, source, channels, next, note, ..Checkpoint::default() })
    }
}

fn of_deltas(journal: &Journal, deltas: &[Delta]) -> Result<BTreeMap<String, StoredDelta>, RunLogError> {
    let mut channels = BTreeMap::<String, StoredDelta>::new();
    for delta in deltas {
        let stored = match &delta.change {
            Change::Set(value) => set(journal, value)?,
            Change::Append(items) => StoredDelta::Append(bodies(journal, items.iter().map(|item| &**item))?),
            Change::Replace { at, value } => StoredDelta::Replace(vec![(*at, journal.body(&**value)?)]),
            Change::Merge(map) => StoredDelta::Merge(entries(journal, map.iter())?),
            _ => {
                return Err(RunLogError::NotJson {
                    message: "a change of a kind that this version does not know".into(),
                });
            }
        };
        match channels.get_mut(&*delta.channel) {
            None => {
                channels.insert(delta.channel.to_string(), stored);
            }
            Some(StoredDelta::All(all)) => all.push(stored),
            Some(first) => {
                let before = std::mem::replace(first, StoredDelta::All(Vec::new()));
                *first = StoredDelta::All(vec![before, stored]);
            }
        }
    }
    Ok(channels)
}

/// A whole value; the items of a list each by themselves, so that what was stored before is not stored again.
fn set(journal: &Journal, value: &Value) -> Result<StoredDelta, RunLogError> {
    match value {
        Value::Array(items) => Ok(StoredDelta::List(bodies(journal, items.iter())?)),
        other => Ok(StoredDelta::Set(journal.body(other)?)),
    }
}

fn whole(journal: &Journal, state: &StateView) -> Result<BTreeMap<String, StoredDelta>, RunLogError> {
    let mut channels = BTreeMap::new();
    for (name, value) in state.iter() {
        let stored = match value {
            ChannelValue::Single(value) => set(journal, value)?,
            ChannelValue::List(list) => StoredDelta::List(bodies(journal, list.iter())?),
            ChannelValue::Map(map) => StoredDelta::Map(entries(journal, map.iter())?),
        };
        channels.insert(name.to_owned(), stored);
    }
    Ok(channels)
}

fn bodies<'v>(journal: &Journal, values: impl Iterator<Item = &'v Value>) -> Result<Vec<Body>, RunLogError> {
    values.map(|value| journal.body(value)).collect()
}

fn entries<'v>(
    journal: &Journal,
    entries: impl Iterator<Item = (&'v str, &'v Value)>,
) -> Result<BTreeMap<String, Body>, RunLogError> {
    entries.map(|(key, value)| Ok((key.to_owned(), journal.body(value)?))).collect()
}

/// What surrounds the values of an answer: which channels they are for, and where the run goes.
#[derive(Serialize, Deserialize)]
struct Outline {
    /// Channels, with the number of items where the value is a list whose items are stored one by one.
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    writes: Vec<(Arc<str>, Option<usize>)>,
    /// Steps, and whether each was sent a value.
    #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
    goto: Vec<(Arc<str>, bool)>,
}

/// A step's answer as the bodies of its outcome: the same values as those of the checkpoint that follows.
pub(crate) fn update_bodies(journal: &Journal, update: &Update) -> Result<Vec<Body>, RunLogError> {
    let items = |value: &Value| value.as_array().map(Vec::len);
    let outline = Outline {
        writes: update.writes.iter().map(|(channel, value)| (Arc::clone(channel), items(value))).collect(),
        goto: update.goto.iter().map(|target| (Arc::clone(&target.node), target.input.is_some())).collect(),
    };
    let mut all = vec![journal.body(&outline)?];
    for (_, value) in &update.writes {
        match value {
            Value::Array(items) => all.extend(bodies(journal, items.iter())?),
            one => all.push(journal.body(one)?),
        }
    }
    for input in update.goto.iter().filter_map(|target| target.input.as_ref()) {
        all.push(journal.body(&**input)?);
    }
    Ok(all)
}

/// The answer that [`update_bodies`] wrote.
pub(crate) async fn read_update(journal: &Journal, outcome: &Outcome) -> Result<Update, RunLogError> {
    let bodies: Vec<&Body> = outcome.bodies.iter().collect();
    let mut values = journal.values::<Value>(&bodies).await?.into_iter();
    let outline = serde_json::from_value(values.next().unwrap_or_default());
    let outline: Outline = outline.map_err(|error| RunLogError::Corrupt {
        run: journal.run().to_owned(),
        at: 0,
        message: format!("the outcome of {}: {error}", outcome.key),
    })?;
    let mut next = || values.next().unwrap_or_default();
    let mut update = Update::new();
    for (channel, items) in outline.writes {
        let value = match items {
            Some(count) => Value::Array((0..count).map(|_| next()).collect()),
            None => next(),
        };
        update.writes.push((channel, value));
    }
    for (node, sent) in outline.goto {
        update.goto.push(Target { node, input: sent.then(|| Arc::new(next())) });
    }
    Ok(update)
}

/// Every body of a state and of what is due after it, in the order in which [`read_state`] takes their values.
pub(crate) fn bodies_of(stored: &StoredState) -> Vec<&Body> {
    let mut bodies = Vec::new();
    for channel in stored.channels.values() {
        match channel {
            StoredChannel::Single(body) => bodies.push(body),
            StoredChannel::List(list) => bodies.extend(list),
            StoredChannel::Map(map) => bodies.extend(map.values()),
        }
    }
    bodies.extend(stored.next.iter().filter_map(|due| due.input.as_ref()));
    bodies
}

/// What each visit that is due was sent.
pub(crate) type Inputs = Vec<Option<Arc<Value>>>;

/// A stored state with the values of [`bodies_of`]: the state, and the inputs of what is due.
pub(crate) fn read_state(
    schema: &StateSchema,
    stored: &StoredState,
    values: Vec<Value>,
) -> Result<(RunState, Inputs), StateError> {
    let mut values = values.into_iter();
    let mut next = || values.next().unwrap_or_default();
    let mut channels = BTreeMap::new();
    for (name, channel) in &stored.channels {
        let value = match channel {
            StoredChannel::Single(_) => next(),
            StoredChannel::List(list) => Value::Array(list.iter().map(|_| next()).collect()),
            StoredChannel::Map(map) => Value::Object(map.keys().map(|key| (key.clone(), next())).collect()),
        };
        channels.insert(Arc::from(name.as_str()), ChannelValue::Single(Arc::new(value)));
    }
    let inputs = stored.next.iter().map(|due| due.input.as_ref().map(|_| Arc::new(next()))).collect();
    Ok((RunState::from_base(schema, Base { step: stored.step, channels })?, inputs))
}

/// The joins that a checkpoint notes.
pub(crate) fn read_waiting(stored: &StoredState, wiring: &Wiring) -> Waiting {
    let joins = stored.note.as_ref().and_then(|note| note.get("joins")).cloned();
    let joins: Vec<StoredJoin> = joins.and_then(|joins| serde_json::from_value(joins).ok()).unwrap_or_default();
    Waiting::read(&joins, wiring)
}

/// The whole values of some channels, for the edits of a fork.
pub(crate) fn edits_of(
    state: &StateView,
    channels: &[Arc<str>],
    blobs: &mut Vec<(atomr_agents_state::BlobId, bytes::Bytes)>,
) -> Result<BTreeMap<String, StoredDelta>, RunLogError> {
    let mut body = |value: &Value| -> Result<Body, RunLogError> {
        let new = Body::of(value)?;
        if let (Some(id), Some(bytes)) = (new.body.blob(), new.bytes) {
            blobs.push((id, bytes));
        }
        Ok(new.body)
    };
    let mut edits = BTreeMap::new();
    for (name, value) in state.iter().filter(|(name, _)| channels.iter().any(|channel| **channel == **name)) {
        let stored = match value {
            ChannelValue::Single(value) => match &**value {
                Value::Array(items) => StoredDelta::List(items.iter().map(&mut body).collect::<Result<_, _>>()?),
                one => StoredDelta::Set(body(one)?),
            },
            ChannelValue::List(list) => StoredDelta::List(list.iter().map(&mut body).collect::<Result<_, _>>()?),
            ChannelValue::Map(map) => {
                let each = map.iter().map(|(key, value)| Ok((key.to_owned(), body(value)?)));
                StoredDelta::Map(each.collect::<Result<_, RunLogError>>()?)
            }
        };
        edits.insert(name.to_owned(), stored);
    }
    Ok(edits)
}
