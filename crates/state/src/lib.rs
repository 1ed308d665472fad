//! What outlives a process.
//!
//! [`Store`] is the one seam of everything that is kept: records, logs, blobs and leases. [`MemoryStore`] is its
//! implementation in memory and the rule for every other; [`conformance`] is what each of them has to pass.
//!
//! A run is a record and a log in a store. [`Journal`] writes it: what was about to be done, what came of it, the state after
//! each step, the events. [`RunReader`] and [`Checkpointer`] read it; [`fork`] begins another run where one was, [`prune`]
//! forgets what nobody needs.
//!
//! This crate knows no database, no model, no tool and no graph.

mod channel;
pub mod conformance;
mod encrypted;
mod error;
mod memory;
mod run;
mod store;

pub use channel::{
    AppendList, AppendMessages, Base, BuiltIn, Change as ChannelChange, ChannelForm, ChannelValue, Check, Delta,
    Difference, Items, JsonType, LastWriteWins, MaxByTimestamp, MergeMap, ReduceError, Reducer, RunState, SchemaForm,
    SharedList, SharedMap, SinceBase, StateError, StateSchema, StateSchemaBuilder, StateView, Write, reducer,
    weight_of,
};
pub use encrypted::{EncryptedStore, EncryptionKey};
pub use error::StoreError;
pub use memory::MemoryStore;
pub use run::{
    BadEffectKey, Begin, Body, Checkpoint, CheckpointKey, CheckpointMeta, Checkpointer, Damage, Due, EffectClass,
    EffectKey, End, EventTail, ForkAt, ForkOptions, Found, Frame, Intent, Item, Journal, JournalOptions, JournalScope,
    NewBody, NewRun, Outcome, Parent, Placed, PruneReport, Pruned, Recorded, RunFilter, RunLogError, RunPage, RunPlace,
    RunReader, RunRecord, RunStatus, Saved, StoredChannel, StoredDelta, StoredError, StoredEvent, StoredState,
    Verified, When, compact, copy_run, fork, inbox_log, inbox_record, list_runs, note, open_effects, prune, remove,
    resolve, resolve_with, verify_run, whole,
};
pub use store::{
    Around, BadBlobId, Batch, BlobId, Change, Durability, Entry, Expect, Fence, Key, Lease, NewEntry, Record, Scan,
    Store, Swept,
};
