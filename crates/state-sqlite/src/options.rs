//! Settings of a store.

use std::time::Duration;

use atomr_agents_state::StoreError;

/// How a [`crate::SqliteStore`] behaves.
///
/// ```
/// use atomr_agents_state_sqlite::SqliteOptions;
/// use std::time::Duration;
///
/// let options = SqliteOptions { patience: Duration::from_secs(5), ..SqliteOptions::default() };
/// assert_eq!(options.readers, 4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How long a call waits for another process, or for its turn. 30 s unless told.
    pub patience: Duration,
    /// How many connections read at once, 1 to 64. 4 unless told; they are opened when they are needed.
    pub readers: usize,
    /// How many calls may wait to write, at least 1. Further ones wait for room. 1,024 unless told.
    pub queue: usize,
    /// After how many pages of 2 KiB the write-ahead log is copied into the database, at least 1. 2,000 unless told.
    /// While somebody writes all the time, it may become four times as long.
    pub checkpoint_pages: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { patience: Duration::from_secs(30), readers: 4, queue: 1_024, checkpoint_pages: 2_000 }
    }
}

impl SqliteOptions {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let bad = |setting, message: &str| Err(StoreError::Config { setting, message: message.to_owned() });
        if !(1..=64).contains(&self.readers) {
            return bad("readers", "a store has 1 to 64 connections that read");
        }
        if self.queue == 0 || self.queue > tokio::sync::Semaphore::MAX_PERMITS {
            return bad("queue", "at least one call must be able to wait");
        }
        if self.checkpoint_pages == 0 {
            return bad("checkpoint_pages", "a checkpoint follows after at least one page");
        }
        Ok(())
    }
}
