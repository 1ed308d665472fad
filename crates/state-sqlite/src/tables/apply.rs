//! A whole batch.

use atomr_agents_state::{Batch, Change};

use super::{Tx, blobs, leases, logs, records};
use crate::fault::Fault;

/// Does every change in its order. After an error the caller rolls back.
pub(crate) fn apply(tx: &Tx<'_>, batch: &Batch) -> Result<(), Fault> {
    if let Some(fence) = &batch.fence {
        leases::holds(tx, fence)?;
    }
    for change in &batch.changes {
        match change {
            Change::Put { key, value, refs, due_ms, expect } => {
                records::put(tx.conn, key, &records::New { value, refs, due_ms: *due_ms }, *expect)?;
            }
            Change::Delete { key, expect } => records::delete(tx.conn, key, *expect)?,
            Change::Append { stream, at, entries } => logs::append(tx, stream, *at, entries)?,
            Change::Cut { stream, before } => logs::cut(tx, stream, *before)?,
            Change::Drop { stream } => logs::remove(tx, stream)?,
            Change::Blob { id, bytes } => blobs::put(tx, id, bytes)?,
        }
    }
    Ok(())
}
