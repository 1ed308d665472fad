//! Conversations: many turns under one name, one at a time.
//!
//! A session is one run log with many turns (`state` has its lease and log) and an inbox of what waits for its turn. Whoever
//! has an input takes a seat among those of its process, then the lease; does what came before, an unfinished turn included;
//! runs the turn; and lets both go. Nothing of an idle session is held.

mod before;
mod entry;
mod error;
mod handle;
mod held;
mod inbox;
mod limit;
mod options;
mod outcome;
mod seat;
mod sessions;
mod table;
mod unfinished;

pub(crate) use entry::Request;
pub(crate) use held::{Held, Seated};

pub use error::SessionError;
pub use handle::{Sending, Session};
pub use options::{Compaction, HistoryLimit, OnUnfinished, Policy, SessionOptions};
pub use sessions::Sessions;
