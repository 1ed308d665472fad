//! How a run is written.

use std::time::Duration;

use crate::Durability;

/// When what was staged is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Before [`crate::Journal::commit`] returns.
    #[default]
    Sync,
    /// While the run goes on: at most one commit is under way, and the next waits for it. A crash takes what it had not
    /// written yet.
    Async,
    /// When the turn ends, or an effect begins that must not happen twice. A crash takes everything else.
    Exit,
}

/// How a run is written.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// What a commit survives.
    pub durability: Durability,
    /// When it is made.
    pub when: When,
    /// For how long a writer that is not heard of keeps others out. It is renewed at a third of that.
    pub lease: Duration,
    /// Who writes, for those who wait: any text. A fresh one by default, so that two writers in one process keep each
    /// other out, too; it says in which process, so that nobody of the same machine waits for one that is gone.
    pub owner: String,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            when: When::Sync,
            lease: Duration::from_secs(30),
            owner: super::owner::fresh(),
        }
    }
}
