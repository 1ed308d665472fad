//! What a store holds, table by table.

mod apply;
mod blobs;
mod head;
mod leases;
mod logs;
mod records;
mod sweep;

use std::cell::RefCell;

use atomr_agents_state::{Key, StoreError};
use rusqlite::Connection;

pub(crate) use apply::apply;
pub(crate) use blobs::get as get_blob;
pub(crate) use head::{Head, Known};
pub(crate) use leases::{acquire, claim, newest_token, release, renew};
pub(crate) use logs::{count as count_entries, end, read};
pub(crate) use records::{get as get_record, scan};
pub(crate) use sweep::sweep;

use crate::place::Place;

/// A transaction that writes.
#[derive(Debug)]
pub(crate) struct Tx<'c> {
    pub(crate) conn: &'c Connection,
    pub(crate) place: &'c Place,
    /// Which commit of the database it will be.
    pub(crate) commit: u64,
    /// When it began, on the store's clock.
    pub(crate) now_ms: u64,
    /// The head as this transaction will leave it.
    pub(crate) head: RefCell<Head>,
    pub(crate) known: &'c Known,
}

fn conflict(key: &Key, expected: impl Into<String>, found: impl Into<String>) -> StoreError {
    StoreError::Conflict { key: key.clone(), expected: expected.into(), found: found.into() }
}
