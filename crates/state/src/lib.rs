//! What outlives a process.
//!
//! [`Store`] is the one seam of everything that is kept: records, logs, blobs and leases. [`MemoryStore`] is its
//! implementation in memory and the rule for every other; [`conformance`] is what each of them has to pass.
//!
//! This crate knows no database, no model, no tool and no graph.

mod channel;
pub mod conformance;
mod error;
mod memory;
mod store;

pub use channel::{
    AppendList, AppendMessages, Base, BuiltIn, Change as ChannelChange, ChannelForm, ChannelValue, Check, Delta,
    Difference, Items, JsonType, LastWriteWins, MaxByTimestamp, MergeMap, ReduceError, Reducer, RunState, SchemaForm,
    SharedList, SharedMap, SinceBase, StateError, StateSchema, StateSchemaBuilder, StateView, Write, reducer,
    weight_of,
};
pub use error::StoreError;
pub use memory::MemoryStore;
pub use store::{
    BadBlobId, Batch, BlobId, Change, Durability, Entry, Expect, Fence, Key, Lease, NewEntry, Record, Scan, Store,
    Swept,
};
