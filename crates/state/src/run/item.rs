//! What a frame says.

use std::collections::BTreeMap;

use atomr_agents_core::{Event, EventKind, Kind, RunId, Value};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{BlobId, Body, EffectClass, EffectKey, RunLogError, RunStatus};

/// One thing that happened in a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Item {
    /// A turn began.
    #[serde(rename = "begin")]
    Begin(Begin),
    /// An effect is about to happen.
    #[serde(rename = "intent")]
    Intent(Intent),
    /// An effect happened.
    #[serde(rename = "outcome")]
    Outcome(Outcome),
    /// The state after a step.
    #[serde(rename = "checkpoint")]
    Checkpoint(Checkpoint),
    /// An event that was told.
    #[serde(rename = "event")]
    Event(StoredEvent),
    /// A turn ended.
    #[serde(rename = "end")]
    End(End),
}

/// A turn began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Begin {
    /// Its count in the run, from 1.
    pub turn: u32,
    /// Its id in events.
    pub id: RunId,
    /// What was put in.
    pub input: Body,
}

/// An effect is about to happen. Written before it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Which.
    pub key: EffectKey,
    /// What it is: `model`, `tool`, `node`, `interrupt`, `step`.
    pub kind: String,
    /// What is called: the tool's or node's name.
    pub subject: String,
    /// What happens when it is made twice.
    #[serde(default, skip_serializing_if = "is_idempotent")]
    pub effect: EffectClass,
    /// A hash of what it is called with, where a replay compares it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

fn is_idempotent(effect: &EffectClass) -> bool {
    *effect == EffectClass::Idempotent
}

impl Intent {
    /// An intent that can be made twice.
    #[must_use]
    pub fn new(key: EffectKey, kind: &str, subject: &str) -> Self {
        let (kind, subject) = (kind.to_owned(), subject.to_owned());
        Self { key, kind, subject, effect: EffectClass::Idempotent, digest: String::new() }
    }

    /// What happens when it is made twice.
    #[must_use]
    pub fn effect(mut self, effect: EffectClass) -> Self {
        self.effect = effect;
        self
    }

    /// A hash of what it is called with.
    #[must_use]
    pub fn digest(mut self, digest: String) -> Self {
        self.digest = digest;
        self
    }
}

/// An effect happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Which.
    pub key: EffectKey,
    /// What it gave. Several bodies where parts of it are stored elsewhere, too (a message and what surrounds it).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bodies: Vec<Body>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StoredError>,
}

/// An error as a run remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredError {
    /// What kind it was.
    pub kind: Kind,
    /// In words.
    pub message: String,
}

/// The state after a step, as what is new since the one before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The step, counted from 0 over all turns of the run.
    pub step: u64,
    /// It says the whole state, not what is new.
    #[serde(default, skip_serializing_if = "is_false")]
    pub base: bool,
    /// Why it was made: `input`, `step`, `update`, `fork`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The channels that changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<String, StoredDelta>,
    /// What is due next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<Due>,
    /// The version of the graph that made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The engine's own notes, small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<RawValue>>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// How a channel changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StoredDelta {
    /// It has this value now.
    #[serde(rename = "set")]
    Set(Body),
    /// It is this list now.
    #[serde(rename = "list")]
    List(Vec<Body>),
    /// It is this map now.
    #[serde(rename = "map")]
    Map(BTreeMap<String, Body>),
    /// These were added at its end.
    #[serde(rename = "append")]
    Append(Vec<Body>),
    /// These elements were replaced.
    #[serde(rename = "replace")]
    Replace(Vec<(usize, Body)>),
    /// These keys have these values now.
    #[serde(rename = "merge")]
    Merge(BTreeMap<String, Body>),
    /// Several changes, in order.
    #[serde(rename = "all")]
    All(Vec<StoredDelta>),
}

impl StoredDelta {
    /// Every body in it.
    pub(crate) fn bodies<'a>(&'a self, each: &mut dyn FnMut(&'a Body)) {
        match self {
            Self::Set(body) => each(body),
            Self::List(bodies) | Self::Append(bodies) => bodies.iter().for_each(each),
            Self::Replace(bodies) => bodies.iter().for_each(|(_, body)| each(body)),
            Self::Map(bodies) | Self::Merge(bodies) => bodies.values().for_each(each),
            Self::All(deltas) => deltas.iter().for_each(|delta| delta.bodies(each)),
        }
    }
}

/// A node that is due in the next step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Due {
    /// The node.
    pub node: String,
    /// Its path in the step: the node's name, with a number where it was sent for more than once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What it is given instead of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Body>,
}

/// A turn ended, or stopped where it can go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct End {
    /// Its count in the run, from 1.
    pub turn: u32,
    /// How.
    pub status: RunStatus,
    /// What came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Body>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StoredError>,
}

/// An event as it is stored: without what its frame says already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its number.
    #[serde(rename = "n")]
    pub seq: u64,
    /// When.
    #[serde(rename = "t")]
    pub time_ms: u64,
    /// The run, if it is another one than the turn's own.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Who started that run.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// Where in the tree.
    #[serde(rename = "at", default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What happened.
    #[serde(rename = "k")]
    pub kind: Box<RawValue>,
}

impl StoredEvent {
    /// The stored form of an event of the turn `turn`.
    ///
    /// # Errors
    /// [`RunLogError::NotJson`] for an event that JSON has no form for.
    pub fn of(event: &Event, turn: RunId) -> Result<Self, RunLogError> {
        let kind = serde_json::value::to_raw_value(&event.kind)
            .map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
        let run = (event.run != turn).then_some(event.run);
        let path = event.path.to_string();
        Ok(Self { seq: event.seq, time_ms: event.time_ms, run, parent: event.parent, path, kind })
    }

    /// The event, in the turn `turn`.
    pub(crate) fn event(&self, turn: RunId) -> Result<Event, String> {
        let kind: EventKind = serde_json::from_str(self.kind.get()).map_err(|error| error.to_string())?;
        Ok(Event {
            run: self.run.unwrap_or(turn),
            seq: self.seq,
            index: 0,
            path: self.path.as_str().into(),
            parent: self.parent,
            time_ms: self.time_ms,
            kind,
        })
    }
}

impl Item {
    /// The blobs that it needs.
    pub(crate) fn refs(&self, into: &mut Vec<BlobId>) {
        let mut add = |body: &Body| {
            if let Some(id) = body.blob().filter(|id| !into.contains(id)) {
                into.push(id);
            }
        };
        match self {
            Self::Begin(begin) => add(&begin.input),
            Self::Outcome(outcome) => outcome.bodies.iter().for_each(add),
            Self::End(end) => end.output.iter().for_each(add),
            Self::Checkpoint(checkpoint) => {
                checkpoint.channels.values().for_each(|delta| delta.bodies(&mut add));
                checkpoint.next.iter().filter_map(|due| due.input.as_ref()).for_each(add);
            }
            Self::Intent(_) | Self::Event(_) => {}
        }
    }
}

impl From<(Kind, String)> for StoredError {
    fn from((kind, message): (Kind, String)) -> Self {
        Self { kind, message }
    }
}

/// What is put into a note of a checkpoint.
///
/// # Errors
/// [`RunLogError::NotJson`] for a value that JSON has no form for.
pub fn note(value: &Value) -> Result<Box<RawValue>, RunLogError> {
    serde_json::value::to_raw_value(value).map_err(|error| RunLogError::NotJson { message: error.to_string() })
}
