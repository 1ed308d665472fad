//! Looking at runs.

use std::collections::VecDeque;
use std::sync::Arc;

use atomr_agents_core::Value;
use atomr_agents_state::{RunLogError, RunReader, RunStatus, StateView, Store, StoredState};

use super::call::Suspension;
use super::engine::Engine;
use super::open::last_suspension;
use super::stored::bodies_of;
use crate::{Interrupt, WorkflowError};

/// Where a run stood after one of its checkpoints.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The run's name.
    pub run: String,
    /// The super-step, counted over all turns.
    pub step: u64,
    /// The state.
    pub state: StateView,
    /// The paths of the steps that are due next.
    pub next: Vec<String>,
    /// Why the checkpoint was made: `input`, `step`, `update`, `goto`, `fork`.
    pub source: String,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// How the run is doing now.
    pub status: RunStatus,
    /// What it waits for; only where it stands now, not where it stood.
    pub interrupts: Vec<Interrupt>,
}

/// Where a run stands.
pub(super) async fn latest(engine: &Engine, store: &Arc<dyn Store>, run: &str) -> Result<Snapshot, WorkflowError> {
    let reader = RunReader::open(Arc::clone(store), run).await?;
    let frames = reader.frames_from_base().await?;
    let stored = StoredState::after(&frames)?.ok_or_else(|| no_step(run, 0, "it has none yet"))?;
    let mut snapshot = snapshot(engine, &reader, &stored).await?;
    if let Some((note, answered)) = last_suspension(&frames) {
        let note: Suspension = reader.values(&[&note]).await?.pop().unwrap_or_default();
        let waits = |interrupt: &Interrupt| !answered.contains(&interrupt.id);
        snapshot.interrupts = note.interrupts.into_iter().filter(waits).collect();
    }
    Ok(snapshot)
}

/// The newest states of a run, the newest first.
pub(super) async fn history(
    engine: &Engine,
    store: &Arc<dyn Store>,
    run: &str,
    limit: usize,
) -> Result<Vec<Snapshot>, WorkflowError> {
    let reader = RunReader::open(Arc::clone(store), run).await?;
    let mut last = VecDeque::new();
    StoredState::walk(&reader.frames().await?, |state| {
        last.push_front(state.clone());
        last.truncate(limit);
    })?;
    let mut all = Vec::with_capacity(last.len());
    for stored in last {
        all.push(snapshot(engine, &reader, &stored).await?);
    }
    Ok(all)
}

/// The state of a run after a step.
pub(super) async fn at(
    engine: &Engine,
    store: &Arc<dyn Store>,
    run: &str,
    step: u64,
) -> Result<Snapshot, WorkflowError> {
    let (reader, stored) = stored_at(store, run, step).await?;
    snapshot(engine, &reader, &stored).await
}

/// What is stored of a run after a step.
pub(super) async fn stored_at(
    store: &Arc<dyn Store>,
    run: &str,
    step: u64,
) -> Result<(RunReader, StoredState), WorkflowError> {
    let reader = RunReader::open(Arc::clone(store), run).await?;
    let (mut found, mut first, mut last) = (None, None, 0);
    StoredState::walk(&reader.frames().await?, |state| {
        first.get_or_insert(state.step);
        last = state.step;
        if state.step == step {
            found = Some(state.clone());
        }
    })?;
    match (found, first) {
        (Some(stored), _) => Ok((reader, stored)),
        (None, Some(first)) => Err(no_step(run, step, &format!("it has {first} to {last}"))),
        (None, None) => Err(no_step(run, step, "it has none yet")),
    }
}

pub(super) fn no_step(run: &str, wanted: u64, have: &str) -> WorkflowError {
    RunLogError::NoSuchStep { run: run.to_owned(), what: "step", wanted, have: have.to_owned() }.into()
}

async fn snapshot(engine: &Engine, reader: &RunReader, stored: &StoredState) -> Result<Snapshot, WorkflowError> {
    let record = reader.record();
    let values = reader.values::<Value>(&bodies_of(stored)).await?;
    let stand = engine.stand_of(&record.name, stored, values, false)?;
    let path = |due: &atomr_agents_state::Due| if due.path.is_empty() { due.node.clone() } else { due.path.clone() };
    Ok(Snapshot {
        run: record.name.clone(),
        step: stored.step,
        state: stand.view(),
        next: stored.next.iter().map(path).collect(),
        source: stored.source.clone(),
        time_ms: stored.time_ms,
        status: record.status,
        interrupts: Vec::new(),
    })
}
