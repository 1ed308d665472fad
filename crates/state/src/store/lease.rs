//! Who may write.

use crate::Key;

/// A lease that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is a lease of.
    pub key: Key,
    /// Who holds it.
    pub owner: String,
    /// Higher than every earlier token of this key.
    pub token: u64,
    /// Until when, in milliseconds since the Unix epoch on the store's clock.
    pub until_ms: u64,
}

impl Lease {
    /// What a [`crate::Batch`] carries to prove that its writer still holds the lease.
    #[must_use]
    pub fn fence(&self) -> Fence {
        Fence { key: self.key.clone(), token: self.token }
    }
}

/// Lets a batch through only while `token` is the newest one of the lease `key`. A lease that ran out and was taken by
/// nobody still lets its last holder through: nobody else has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease.
    pub key: Key,
    /// The token.
    pub token: u64,
}
