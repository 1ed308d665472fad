//! Forgetting a run altogether.

use std::sync::Arc;
use std::time::Duration;

use super::fork::{bases, child_key, children};
use super::inbox::{self, inbox_log};
use super::owner::acquire;
use super::prune::base_key;
use super::record::run_key;
use crate::{Batch, Change, Expect, JournalOptions, RunLogError, RunRecord, Store};

/// For how long a removal keeps other writers out.
const LEASE: Duration = Duration::from_secs(60);

/// Removes a run: its record, its log, its marks, and its inbox with what is known of inputs that had waited. A run that others
/// were forked from is refused.
///
/// # Errors
/// [`RunLogError::Needed`] while forks of it are there; [`crate::StoreError::Held`] while somebody writes it;
/// [`RunLogError::NoSuchRun`] where there is neither a run of that name nor an input that waits for one; and when the store
/// fails.
pub async fn remove(store: &Arc<dyn Store>, run: &str) -> Result<(), RunLogError> {
    let key = run_key(run)?;
    let options = JournalOptions::default();
    let found = store.get(&key).await?;
    let record = found.as_ref().map(|stored| RunRecord::decode(run, &stored.value)).transpose()?;
    if found.is_none() && inbox::is_empty(&**store, run).await? {
        return Err(RunLogError::NoSuchRun { run: run.to_owned() });
    }
    let lease = acquire(&**store, &key, &options.owner, LEASE).await?;
    let removed = async {
        let forks: Vec<String> = children(&**store, run).await?.into_iter().map(|(child, _)| child).collect();
        if !forks.is_empty() {
            return Err(RunLogError::Needed { run: run.to_owned(), forks });
        }
        // Before the run itself: where this is cut off, it is found again.
        inbox::forget(&**store, run, &lease).await?;
        let mut batch = Batch::new()
            .fenced(lease.fence())
            .with(Change::Drop { stream: key.clone() })
            .with(Change::Drop { stream: inbox_log(run)? });
        if let Some(stored) = found {
            batch = batch.delete(&key, Expect::Version(stored.version));
        }
        if let Some(parent) = record.and_then(|record| record.parent) {
            batch = batch.delete(&child_key(&parent.run, run)?, Expect::Any);
        }
        for base in bases(&**store, run).await? {
            batch = batch.delete(&base_key(run, base)?, Expect::Any);
        }
        Ok(store.commit(batch).await?)
    };
    let removed = removed.await;
    let released = store.release(&lease).await;
    removed?;
    Ok(released?)
}
