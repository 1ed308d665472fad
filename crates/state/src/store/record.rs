//! Records of a space.

use bytes::Bytes;

use crate::BlobId;

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How often it was written, from 1. A record that was deleted and written anew begins at 1 again.
    pub version: u64,
    /// What it says. The store does not look inside.
    pub value: Bytes,
    /// The blobs that it needs.
    pub refs: Vec<BlobId>,
    /// From when on [`crate::Store::claim`] finds it, in milliseconds since the Unix epoch; `None` for never.
    pub due_ms: Option<u64>,
}

/// Which records to list.
///
/// ```
/// use atomr_agents_state::Scan;
///
/// let scan = Scan::of("run").prefix("2026").limit(10);
/// assert_eq!((scan.space.as_str(), scan.limit), ("run", 10));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The space.
    pub space: String,
    /// Only names that begin with this.
    pub prefix: String,
    /// Only names after this one.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// From the last name to the first; `after` then means before.
    pub reverse: bool,
}

impl Scan {
    /// The first thousand records of a space.
    #[must_use]
    pub fn of(space: &str) -> Self {
        Self { space: space.to_owned(), prefix: String::new(), after: None, limit: 1_000, reverse: false }
    }

    /// Only names that begin with `prefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Only names after `name`.
    #[must_use]
    pub fn after(mut self, name: &str) -> Self {
        self.after = Some(name.to_owned());
        self
    }

    /// At most `limit`.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The last name first.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.reverse = true;
        self
    }
}
