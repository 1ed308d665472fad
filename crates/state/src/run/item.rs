//! What a frame says.

use std::collections::BTreeMap;

use atomr_agents_core::{Event, Kind, RunId, Value};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::packed;
use crate::{Body, EffectClass, EffectKey, RunLogError, RunStatus};

/// One thing that happened in a run.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
pub struct Begin {
    /// Its count in the run, from 1.
    pub turn: u32,
    /// Its id in events.
    pub id: RunId,
    /// What was put in.
    pub input: Body,
}

/// An effect is about to happen. Written before it does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Intent {
    /// Which.
    pub key: EffectKey,
    /// What it is: `model`, `tool`, `node`, `interrupt`, `step`.
    pub kind: String,
    /// What is called: the tool's or node's name.
    pub subject: String,
    /// What happens when it is made twice.
    #[serde(default)]
    pub effect: EffectClass,
    /// A hash of what it is called with, where a replay compares it.
    #[serde(default)]
    pub digest: String,
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
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    /// Which.
    pub key: EffectKey,
    /// What it gave. Several bodies where parts of it are stored elsewhere, too (a message and what surrounds it).
    #[serde(default)]
    pub bodies: Vec<Body>,
    /// What went wrong.
    #[serde(default)]
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
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Checkpoint {
    /// The step, counted from 0 over all turns of the run.
    pub step: u64,
    /// It says the whole state, not what is new.
    #[serde(default)]
    pub base: bool,
    /// Why it was made: `input`, `step`, `update`, `fork`.
    #[serde(default)]
    pub source: String,
    /// The channels that changed.
    #[serde(default)]
    pub channels: BTreeMap<String, StoredDelta>,
    /// What is due next.
    #[serde(default)]
    pub next: Vec<Due>,
    /// The version of the graph that made it.
    #[serde(default)]
    pub version: String,
    /// The engine's own notes, small.
    #[serde(default)]
    pub note: Option<Box<RawValue>>,
}

/// How a channel changed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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

/// A node that is due in the next step.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Due {
    /// The node.
    pub node: String,
    /// Its path in the step: the node's name, with a number where it was sent for more than once.
    #[serde(default)]
    pub path: String,
    /// What it is given instead of the state.
    #[serde(default)]
    pub input: Option<Body>,
}

/// A turn ended, or stopped where it can go on.
#[derive(Clone, Debug, Deserialize)]
pub struct End {
    /// Its count in the run, from 1.
    pub turn: u32,
    /// How.
    pub status: RunStatus,
    /// What came out.
    #[serde(default)]
    pub output: Option<Body>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<StoredError>,
}

/// An event as it is stored: without what its frame says already.
#[derive(Clone, Debug, Deserialize)]
pub struct StoredEvent {
    /// Its number.
    #[serde(rename = "n")]
    pub seq: u64,
    /// When.
    #[serde(rename = "t")]
    pub time_ms: u64,
    /// The run, if it is another one than the turn's own.
    #[serde(rename = "r", default)]
    pub run: Option<RunId>,
    /// Who started that run.
    #[serde(rename = "p", default)]
    pub parent: Option<RunId>,
    /// Where in the tree.
    #[serde(rename = "at", default)]
    pub path: String,
    /// What happened.
    #[serde(rename = "k")]
    pub(super) kind: StoredKind,
}

/// What happened, as it is stored; read when somebody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredKind(pub(super) Bytes);

impl<'de> Deserialize<'de> for StoredKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(packed::event_of_text(text.get())))
    }
}

impl StoredEvent {
    /// The stored form of an event of the turn `turn`.
    ///
    /// # Errors
    /// [`RunLogError::NotJson`] for an event that JSON has no form for.
    pub fn of(event: &Event, turn: RunId) -> Result<Self, RunLogError> {
        let kind = packed::pack_event(&event.kind)
            .map(StoredKind)
            .map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
        let run = (event.run != turn).then_some(event.run);
        let path = event.path.to_string();
        Ok(Self { seq: event.seq, time_ms: event.time_ms, run, parent: event.parent, path, kind })
    }

    /// The event, in the turn `turn`.
    pub(crate) fn event(&self, turn: RunId) -> Result<Event, String> {
        Ok(Event {
            run: self.run.unwrap_or(turn),
            seq: self.seq,
            index: 0,
            path: self.path.as_str().into(),
            parent: self.parent,
            time_ms: self.time_ms,
            kind: packed::unpack_event(&self.kind.0)?,
        })
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
