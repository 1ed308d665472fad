//! How a run is kept: a record, and a log in which each entry is one commit.
//!
//! A [`Frame`] is what was written at once: what began, what was about to be done ([`Intent`]), what came of it ([`Outcome`]), the
//! state after a step ([`Checkpoint`]), the events that were told, how it ended. The [`Journal`] writes frames, the
//! [`RunReader`] reads them; checkpoints, effects and events are three views of one log.

mod body;
mod checkpoint;
mod checkpointer;
mod copy;
mod error;
mod fork;
mod frame;
mod heartbeat;
mod inbox;
mod item;
mod journal;
mod key;
mod list;
mod open;
mod options;
mod owner;
mod packed;
mod pen;
mod prune;
mod reader;
mod record;
mod remove;
mod resolve;
mod scope;
mod tail;
mod verify;

pub use body::{Body, NewBody};
pub use checkpoint::{StoredChannel, StoredState};
pub use checkpointer::{CheckpointKey, CheckpointMeta, Checkpointer, Saved};
pub use copy::copy_run;
pub use error::RunLogError;
pub use fork::{ForkAt, ForkOptions, fork, whole};
pub use frame::Frame;
pub use inbox::{inbox_log, inbox_record};
pub use item::{Begin, Checkpoint, Due, End, Intent, Item, Outcome, StoredDelta, StoredError, StoredEvent, note};
pub use journal::{Journal, Recorded};
pub use key::{BadEffectKey, EffectClass, EffectKey};
pub use list::{RunFilter, RunPage, RunPlace, list_runs};
pub use options::{JournalOptions, When};
pub use prune::{PruneReport, compact, prune};
pub use reader::{Placed, RunReader};
pub(crate) use record::SPACE;
pub use record::{NewRun, Parent, Pruned, RunRecord, RunStatus};
pub use remove::remove;
pub use resolve::{Found, resolve, resolve_with};
pub use scope::JournalScope;
pub use tail::EventTail;
pub use verify::{Damage, Verified, open_effects, verify_run};
