//! What is written at once.

use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BlobId, Fence, Key, NewEntry};

/// What a commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The machine losing its power: the store has been told by its medium that the bytes are there.
    #[default]
    Full,
    /// The process being killed; what a power failure takes is bounded by the store's documentation.
    Relaxed,
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "full" => Ok(Self::Full),
            "relaxed" => Ok(Self::Relaxed),
            other => Err(format!("durability is \"full\" or \"relaxed\", not {other:?}")),
        }
    }
}

/// Changes that happen whole or not at all, in their order.
///
/// ```
/// use atomr_agents_state::{Batch, Expect, Key, MemoryStore, Store};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let key = Key::new("run", "r1")?;
/// store.commit(Batch::new().put(&key, "begun", Expect::Absent)).await?;
/// let error = store.commit(Batch::new().put(&key, "again", Expect::Absent)).await.unwrap_err();
/// assert!(error.to_string().contains("run/r1"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Lets the batch through only while this holds.
    pub fence: Option<Fence>,
    /// What it changes.
    pub changes: Vec<Change>,
    /// What it survives once it is done.
    pub durability: Durability,
    /// Nothing else of who writes under this fence goes on before it is done: a store may write it where the caller stands, as
    /// there is nothing to share a flush with.
    pub alone: bool,
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes a record.
    Put {
        /// Where.
        key: Key,
        /// What.
        value: Bytes,
        /// The blobs that it needs.
        refs: Vec<BlobId>,
        /// From when on [`crate::Store::claim`] finds it.
        due_ms: Option<u64>,
        /// What must be there before.
        expect: Expect,
    },
    /// Removes a record. One that is not there is no error unless it is expected.
    Delete {
        /// Where.
        key: Key,
        /// What must be there before.
        expect: Expect,
    },
    /// Adds entries at the end of a log.
    Append {
        /// The log.
        stream: Key,
        /// The position that the first of them must get; `None` for whatever comes.
        at: Option<u64>,
        /// The entries.
        entries: Vec<NewEntry>,
    },
    /// Removes the entries of a log before a position. The positions of the others stay what they are.
    Cut {
        /// The log.
        stream: Key,
        /// The first position that stays.
        before: u64,
    },
    /// Removes a whole log; the next entry is at 0 again.
    Drop {
        /// The log.
        stream: Key,
    },
    /// Stores bytes under their hash. Storing them again is no error and counts as a use of them ([`crate::Store::sweep`]).
    Blob {
        /// Their id.
        id: BlobId,
        /// The bytes.
        bytes: Bytes,
    },
}

/// What must be there before a record is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Anything or nothing.
    #[default]
    Any,
    /// Nothing.
    Absent,
    /// This version.
    Version(u64),
}

impl Batch {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only while this fence holds.
    #[must_use]
    pub fn fenced(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }

    /// What it survives.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Whether nothing else of its writer goes on before it is done.
    #[must_use]
    pub fn alone(mut self, alone: bool) -> Self {
        self.alone = alone;
        self
    }

    /// One more change.
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Writes a record that needs no blobs.
    #[must_use]
    pub fn put(self, key: &Key, value: impl Into<Bytes>, expect: Expect) -> Self {
        let (key, value) = (key.clone(), value.into());
        self.with(Change::Put { key, value, refs: Vec::new(), due_ms: None, expect })
    }

    /// Removes a record.
    #[must_use]
    pub fn delete(self, key: &Key, expect: Expect) -> Self {
        self.with(Change::Delete { key: key.clone(), expect })
    }

    /// Adds one entry to a log.
    #[must_use]
    pub fn append(self, stream: &Key, at: Option<u64>, entry: impl Into<NewEntry>) -> Self {
        self.with(Change::Append { stream: stream.clone(), at, entries: vec![entry.into()] })
    }

    /// Stores bytes under their hash.
    #[must_use]
    pub fn blob(self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        self.with(Change::Blob { id: BlobId::of(&bytes), bytes })
    }
}
