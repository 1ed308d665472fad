//! Forgetting what nobody needs any more.

use std::sync::Arc;
use std::time::Duration;

use super::fork::{bases, child_key, children};
use super::frame::Chain;
use super::owner::acquire;
use super::reader::{BASES, RunReader, base_prefix};
use super::record::run_key;
use crate::{
    Batch, Change, Expect, Frame, Item, Journal, JournalOptions, Key, Lease, Placed, Pruned, RunLogError, RunRecord,
    Store, StoredState,
};

/// For how long a prune keeps other writers out.
const LEASE: Duration = Duration::from_secs(60);

/// What a prune did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// How many commits are gone.
    pub commits: u64,
    /// The forks for which more was kept than was asked for.
    pub kept_for: Vec<String>,
}

/// Forgets the history of a run but for its last `keep` checkpoints (at least one, where it has any). What is left can be
/// resumed, read and forked; what a fork needs is kept. Blobs that only the forgotten part needed go with the next
/// [`Store::sweep`].
///
/// # Errors
/// [`crate::StoreError::Held`] while somebody writes the run; [`RunLogError::NoSuchRun`]; and when the store fails.
pub async fn prune(store: &Arc<dyn Store>, run: &str, keep: usize) -> Result<PruneReport, RunLogError> {
    let key = run_key(run)?;
    require(store, run, &key).await?;
    let options = JournalOptions::default();
    let lease = acquire(&**store, &key, &options.owner, LEASE).await?;
    let result = cut(store, run, &key, keep.max(1), &lease).await;
    let released = store.release(&lease).await;
    let report = result?;
    released?;
    Ok(report)
}

async fn require(store: &Arc<dyn Store>, run: &str, key: &Key) -> Result<(), RunLogError> {
    match store.get(key).await? {
        Some(_) => Ok(()),
        None => Err(RunLogError::NoSuchRun { run: run.to_owned() }),
    }
}

async fn cut(
    store: &Arc<dyn Store>,
    run: &str,
    key: &Key,
    keep: usize,
    lease: &Lease,
) -> Result<PruneReport, RunLogError> {
    let reader = RunReader::open(Arc::clone(store), run).await?;
    let frames = reader.frames().await?;
    let own: Vec<&Placed> = frames.iter().filter(|placed| *placed.run == *run).collect();
    let checkpoints: Vec<u64> =
        own.iter().filter(|placed| has_checkpoint(&placed.frame)).map(|placed| placed.at).collect();
    let Some(&oldest) = checkpoints.len().checked_sub(keep).and_then(|skip| checkpoints.get(skip)) else {
        return Ok(PruneReport::default());
    };
    let mut report = PruneReport::default();
    let mut limit = oldest;
    for (child, at) in children(&**store, run).await? {
        // A fork reads from the whole state before the place where it left.
        let needs = at.saturating_sub(1);
        if needs < limit {
            limit = needs;
            report.kept_for.push(child);
        }
    }
    // The cut leaves a whole state at the front; where none stands there, the frame that is there gets one.
    let first = own.first().map_or(0, |placed| placed.at);
    let Some(at) = bases(&**store, run).await?.into_iter().filter(|at| *at <= limit && *at > first).max() else {
        return Ok(report);
    };
    let record = reader.record();
    let chain = link_before(store, key, run, at).await?;
    let record = RunRecord { pruned: Some(Pruned { at, chain: chain.to_string() }), parent: None, ..record.clone() };
    let mut batch = Batch::new()
        .fenced(lease.fence())
        .put(key, record.encode()?, Expect::Any)
        .with(Change::Cut { stream: key.clone(), before: at });
    for base in bases(&**store, run).await?.into_iter().filter(|base| *base < at) {
        batch = batch.delete(&base_key(run, base)?, Expect::Any);
    }
    if let Some(parent) = &reader.record().parent {
        batch = batch.delete(&child_key(&parent.run, run)?, Expect::Any);
    }
    store.commit(batch).await?;
    report.commits = at - first;
    Ok(report)
}

fn has_checkpoint(frame: &Frame) -> bool {
    frame.items.iter().any(|item| matches!(item, Item::Checkpoint(_)))
}

pub(super) fn base_key(run: &str, at: u64) -> Result<Key, RunLogError> {
    Ok(Key::new(BASES, &format!("{}{at:020}", base_prefix(run)))?)
}

async fn link_before(store: &Arc<dyn Store>, key: &Key, run: &str, at: u64) -> Result<Chain, RunLogError> {
    let before = store.read(key, at - 1, 1).await?;
    match before.first() {
        Some(entry) if entry.at == at - 1 => Ok(Frame::decode(run, entry, None)?.1),
        _ => Err(RunLogError::Corrupt { run: run.to_owned(), at: at - 1, message: "it is missing".to_owned() }),
    }
}

/// Writes the state of a run that is not being written as a whole state at its end, so that everything before can be
/// forgotten. Nothing happens for a run without checkpoints.
///
/// # Errors
/// As [`prune`].
pub async fn compact(store: &Arc<dyn Store>, run: &str) -> Result<(), RunLogError> {
    let journal = Journal::resume(Arc::clone(store), run, JournalOptions::default()).await?;
    if let Some(state) = StoredState::after(journal.frames())? {
        journal.stage(Item::Checkpoint(state.base()));
        journal.flush().await?;
    }
    journal.release().await
}
