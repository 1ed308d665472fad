//! Entries of a log.

use bytes::Bytes;

use crate::BlobId;

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its position in the stream, from 0.
    pub at: u64,
    /// What it says. The store does not look inside.
    pub body: Bytes,
    /// The blobs that it needs, in the order in which it was added with them: who reads the body may name them by their places.
    pub refs: Vec<BlobId>,
}

/// An entry to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEntry {
    /// What it says.
    pub body: Bytes,
    /// The blobs that it needs. They are in the store already or in the same batch. A store keeps their order.
    pub refs: Vec<BlobId>,
}

impl From<Bytes> for NewEntry {
    fn from(body: Bytes) -> Self {
        Self { body, refs: Vec::new() }
    }
}
