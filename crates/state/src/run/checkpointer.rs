//! The checkpoints of runs, by step.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use atomr_agents_core::Value;

use super::fork::{ForkAt, ForkOptions, fork, whole};
use super::prune::{PruneReport, compact, prune};
use crate::{
    Checkpoint, Item, Journal, JournalOptions, MemoryStore, NewRun, RunLogError, RunReader, RunRecord, RunStatus,
    Store, StoredDelta, StoredState,
};

/// Which checkpoint: of which graph, of which run, after which step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckpointKey {
    /// The graph's name.
    pub workflow: String,
    /// The run's name.
    pub run: String,
    /// The step.
    pub step: u64,
}

/// A checkpoint in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointMeta {
    /// Which.
    pub key: CheckpointKey,
    /// When it was made, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Why: `input`, `step`, `update`, `fork`.
    pub source: String,
    /// The nodes that are due next.
    pub next: Vec<String>,
}

/// A checkpoint with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// What it is.
    pub meta: CheckpointMeta,
    /// The channels.
    pub values: BTreeMap<String, Value>,
}

/// The checkpoints of the runs in a store. Engines write them through their [`Journal`]; this reads them, and writes for
/// those who have no engine.
///
/// ```
/// use atomr_agents_state::{CheckpointKey, Checkpointer};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let checkpointer = Checkpointer::in_memory();
/// let key = |step| CheckpointKey { workflow: "w".into(), run: "r".into(), step };
/// checkpointer.save(&key(0), [("n".to_owned(), json!(1))].into()).await?;
/// checkpointer.save(&key(1), [("n".to_owned(), json!(2))].into()).await?;
/// assert_eq!(checkpointer.latest("w", "r").await?.unwrap().values["n"], 2);
/// let other = checkpointer.fork(&key(0), "other", [("n".to_owned(), json!(10))].into()).await?;
/// assert_eq!(checkpointer.latest("w", &other.run).await?.unwrap().values["n"], 10);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Checkpointer {
    store: Arc<dyn Store>,
    options: JournalOptions,
}

impl Checkpointer {
    /// The checkpoints in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, options: JournalOptions::default() }
    }

    /// Checkpoints that end with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(Arc::new(MemoryStore::new()))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Saves the values after a step that is later than every one saved before. The run is made if there is none.
    ///
    /// # Errors
    /// [`RunLogError::NoSuchStep`] for a step that is not later; [`crate::StoreError::Held`] while an engine writes the run;
    /// and when the store fails.
    pub async fn save(&self, key: &CheckpointKey, values: BTreeMap<String, Value>) -> Result<(), RunLogError> {
        let last = match self.reader(&key.workflow, &key.run).await {
            Ok(reader) => StoredState::after(&reader.frames_from_base().await?)?.map(|state| state.step),
            Err(RunLogError::NoSuchRun { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(last) = last.filter(|last| *last >= key.step) {
            let (run, wanted) = (key.run.clone(), key.step);
            let have = format!("steps only grow, and the last one is {last}");
            return Err(RunLogError::NoSuchStep { run, what: "free step", wanted, have });
        }
        let journal = self.writer(key).await?;
        let mut channels = BTreeMap::new();
        for (name, value) in values {
            let mut blobs = Vec::new();
            channels.insert(name, whole(&value, &mut blobs)?);
            journal.stage_blobs(blobs);
        }
        let (step, source) = (key.step, "step".to_owned());
        journal.stage(Item::Checkpoint(Checkpoint { step, base: true, source, channels, ..Checkpoint::default() }));
        journal.end(RunStatus::Paused, None, None).await?;
        journal.release().await
    }

    async fn writer(&self, key: &CheckpointKey) -> Result<Journal, RunLogError> {
        match Journal::resume(Arc::clone(&self.store), &key.run, self.options.clone()).await {
            Err(RunLogError::NoSuchRun { .. }) => {
                let (name, target) = (key.run.clone(), key.workflow.clone());
                let new = NewRun { name, kind: "workflow".to_owned(), target, ..NewRun::default() };
                Journal::begin(Arc::clone(&self.store), new, self.options.clone(), &Value::Null).await
            }
            other => other,
        }
    }

    /// The checkpoint of a step; `None` if there is none.
    ///
    /// # Errors
    /// [`RunLogError::Corrupt`]; and when the store fails.
    pub async fn load(&self, key: &CheckpointKey) -> Result<Option<Saved>, RunLogError> {
        let Some(reader) = self.find(&key.workflow, &key.run).await? else { return Ok(None) };
        let mut found = None;
        StoredState::walk(&reader.frames().await?, |state| {
            if state.step == key.step {
                found = Some(state.clone());
            }
        })?;
        read(found, &reader).await
    }

    /// The last checkpoint of a run; `None` if there is none.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn latest(&self, workflow: &str, run: &str) -> Result<Option<Saved>, RunLogError> {
        let Some(reader) = self.find(workflow, run).await? else { return Ok(None) };
        read(StoredState::after(&reader.frames_from_base().await?)?, &reader).await
    }

    async fn find(&self, workflow: &str, run: &str) -> Result<Option<RunReader>, RunLogError> {
        match self.reader(workflow, run).await {
            Err(RunLogError::NoSuchRun { .. }) => Ok(None),
            other => Ok(Some(other?)),
        }
    }

    /// Every checkpoint of a run that is left, the oldest first, without its values.
    ///
    /// # Errors
    /// [`RunLogError::NoSuchRun`]; and as [`Self::load`].
    pub async fn list(&self, workflow: &str, run: &str) -> Result<Vec<CheckpointMeta>, RunLogError> {
        let reader = self.reader(workflow, run).await?;
        let mut all = Vec::new();
        StoredState::walk(&reader.frames().await?, |state| all.push(meta(reader.record(), state)))?;
        Ok(all)
    }

    /// Up to `limit` checkpoints with their values, the newest first.
    ///
    /// # Errors
    /// [`RunLogError::NoSuchRun`]; and as [`Self::load`].
    pub async fn history(&self, workflow: &str, run: &str, limit: usize) -> Result<Vec<Saved>, RunLogError> {
        let reader = self.reader(workflow, run).await?;
        let mut last = VecDeque::new();
        StoredState::walk(&reader.frames().await?, |state| {
            last.push_front(state.clone());
            last.truncate(limit);
        })?;
        let mut saved = Vec::new();
        for state in last {
            saved.extend(read(Some(state), &reader).await?);
        }
        Ok(saved)
    }

    /// Another run that begins with this checkpoint, with `edits` as the values of some channels. What is shared is not stored
    /// again.
    ///
    /// # Errors
    /// [`RunLogError::NoSuchStep`], [`RunLogError::Exists`]; and as [`Self::load`].
    pub async fn fork(
        &self,
        key: &CheckpointKey,
        name: &str,
        edits: BTreeMap<String, Value>,
    ) -> Result<CheckpointKey, RunLogError> {
        self.reader(&key.workflow, &key.run).await?;
        let mut blobs = Vec::new();
        let edits: Result<BTreeMap<String, StoredDelta>, RunLogError> =
            edits.iter().map(|(name, value)| Ok((name.clone(), whole(value, &mut blobs)?))).collect();
        let options = ForkOptions { name: name.to_owned(), edits: edits?, blobs, ..ForkOptions::default() };
        let run = fork(&self.store, &key.run, ForkAt::Step(key.step), &options).await?;
        Ok(CheckpointKey { run, ..key.clone() })
    }

    /// Forgets all but the last `keep` checkpoints of a run that nobody writes, as far as no fork needs them.
    ///
    /// # Errors
    /// As [`prune`].
    pub async fn prune(&self, workflow: &str, run: &str, keep: usize) -> Result<PruneReport, RunLogError> {
        self.reader(workflow, run).await?;
        if keep <= 1 {
            compact(&self.store, run).await?;
        }
        prune(&self.store, run, keep).await
    }

    async fn reader(&self, workflow: &str, run: &str) -> Result<RunReader, RunLogError> {
        let reader = RunReader::open(Arc::clone(&self.store), run).await?;
        if reader.record().target == workflow {
            return Ok(reader);
        }
        Err(RunLogError::NoSuchRun { run: format!("{workflow}/{run}") })
    }
}

async fn read(state: Option<StoredState>, reader: &RunReader) -> Result<Option<Saved>, RunLogError> {
    let Some(state) = state else { return Ok(None) };
    let values = state.values(reader).await?;
    Ok(Some(Saved { meta: meta(reader.record(), &state), values }))
}

fn meta(record: &RunRecord, state: &StoredState) -> CheckpointMeta {
    CheckpointMeta {
        key: CheckpointKey { workflow: record.target.clone(), run: record.name.clone(), step: state.step },
        time_ms: state.time_ms,
        source: state.source.clone(),
        next: state.next.iter().map(|due| due.node.clone()).collect(),
    }
}
