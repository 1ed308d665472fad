//! Where the inputs are that wait for a run: a log of them, and a record of each that says what became of it. What is in them
//! is the matter of whoever takes inputs.

use crate::{Batch, Expect, Key, Lease, RunLogError, Scan, Store, StoreError};

const SPACE: &str = "inbox";

/// The log of the inputs that wait for a run, the oldest first.
///
/// # Errors
/// When the name cannot be one ([`Key::new`]).
pub fn inbox_log(run: &str) -> Result<Key, StoreError> {
    Key::new(SPACE, run)
}

/// The record of one input.
///
/// # Errors
/// When the names cannot be ones, or are too long together ([`Key::new`]).
pub fn inbox_record(run: &str, input: &str) -> Result<Key, StoreError> {
    Key::new(SPACE, &format!("{}{input}", prefix(run)))
}

/// The length in front keeps runs apart whose names begin alike.
fn prefix(run: &str) -> String {
    format!("{}:{run}:", run.len())
}

/// Whether no input ever waited for a run.
pub(super) async fn is_empty(store: &dyn Store, run: &str) -> Result<bool, RunLogError> {
    let records = store.scan(&Scan::of(SPACE).prefix(&prefix(run)).limit(1)).await?;
    Ok(records.is_empty())
}

/// Removes the records of all inputs of a run.
pub(super) async fn forget(store: &dyn Store, run: &str, lease: &Lease) -> Result<(), RunLogError> {
    loop {
        let records = store.scan(&Scan::of(SPACE).prefix(&prefix(run))).await?;
        if records.is_empty() {
            return Ok(());
        }
        let batch =
            records.iter().fold(Batch::new().fenced(lease.fence()), |batch, (key, _)| batch.delete(key, Expect::Any));
        store.commit(batch).await?;
    }
}
