//! What is known of a run without reading its log.

use std::collections::BTreeMap;
use std::fmt;

use atomr_agents_core::RunId;
use serde::{Deserialize, Serialize};

use crate::{Key, RunLogError, StoreError};

/// The newest format of records that is known. 2: the frames may be of their format 2, which a version that knows 1 only would
/// take for damage.
pub(crate) const RECORD_FORMAT: u32 = 2;

/// The space of runs: records, logs and leases.
pub(crate) const SPACE: &str = "run";

/// How a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It was begun and has not ended; whether anybody works on it, its lease says.
    Running,
    /// It waits for an answer.
    Suspended,
    /// It stopped where it can be resumed: it was drained, or its store had no room.
    Paused,
    /// It ended well.
    Finished,
    /// It ended in an error. It can be resumed.
    Failed,
    /// It was cancelled. It can be resumed.
    Cancelled,
    /// A call that must not happen twice may have happened.
    OutcomeUnknown,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Suspended,
        Self::Paused,
        Self::Finished,
        Self::Failed,
        Self::Cancelled,
        Self::OutcomeUnknown,
    ];

    /// The name users see, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a fork comes from: it shares the log of `run` before position `at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The run's name.
    pub run: String,
    /// The first position that it does not share.
    pub at: u64,
}

/// What was pruned: everything before position `at`, and the chain up to there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The first position that is left.
    pub at: u64,
    /// The chain of the frame before it, in hex.
    pub chain: String,
}

/// What is known of a run, or of a thread of several, without reading its log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The format of the record and the frames.
    pub format: u32,
    /// Its name: what the user called it, or the text of its id.
    pub name: String,
    /// Its id in events; that of the first turn where there were several.
    pub id: RunId,
    /// What runs: `agent`, `workflow`, `harness`.
    pub kind: String,
    /// The name of the agent, the graph or the harness.
    pub target: String,
    /// A hash of what makes it fit to be resumed by one that looks the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// How it is doing.
    pub status: RunStatus,
    /// How many turns were begun.
    pub turns: u32,
    /// When it was begun, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// When its status changed last.
    pub updated_ms: u64,
    /// Where it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// What of its log is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Pruned>,
    /// The user's own words about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl RunRecord {
    pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Self, RunLogError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let corrupt = |error: serde_json::Error| {
            RunLogError::Store(StoreError::Corrupt {
                subject: format!("the record of run {name}"),
                message: error.to_string(),
            })
        };
        let Format { format } = serde_json::from_slice(bytes).map_err(corrupt)?;
        if format > RECORD_FORMAT {
            let subject = format!("run {name}");
            return Err(StoreError::UnsupportedFormat { subject, found: format, supported: RECORD_FORMAT }.into());
        }
        serde_json::from_slice(bytes).map_err(corrupt)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, RunLogError> {
        serde_json::to_vec(self).map_err(|error| RunLogError::NotJson { message: error.to_string() })
    }
}

/// The key of a run's record, log and lease.
///
/// # Errors
/// When the name cannot be one ([`Key::new`]).
pub(crate) fn run_key(name: &str) -> Result<Key, StoreError> {
    Key::new(SPACE, name)
}

/// What a run is when it begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRun {
    /// Its name; empty for the text of a fresh id.
    pub name: String,
    /// What runs: `agent`, `workflow`, `harness`.
    pub kind: String,
    /// The name of the agent, the graph or the harness.
    pub target: String,
    /// See [`RunRecord::version`].
    pub version: String,
    /// The user's own words about it.
    pub labels: BTreeMap<String, String>,
}
