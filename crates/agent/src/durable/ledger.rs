//! Used decisions, in the store of runs.

use std::fmt;
use std::io;
use std::sync::Arc;

use atomr_agents_state::{Batch, Expect, Key, Store, StoreError};

use crate::ApprovalLedger;

/// The space of used decisions.
const SPACE: &str = "approval";

/// Remembers used decisions in a store, for all processes that use it: for suspended runs that are passed on as
/// [`crate::PendingRun`]. A run that is kept needs no ledger, as its log says what was decided.
pub struct StoreLedger {
    store: Arc<dyn Store>,
    runtime: tokio::runtime::Handle,
}

impl StoreLedger {
    /// In this store; the store is asked on the runtime in which this is called.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, runtime: tokio::runtime::Handle::current() }
    }

    /// In this store, which is asked on this runtime.
    #[must_use]
    pub fn on(store: Arc<dyn Store>, runtime: tokio::runtime::Handle) -> Self {
        Self { store, runtime }
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        // The seam of ledgers waits on a thread that may wait.
        self.runtime.block_on(self.store.commit(batch))
    }
}

fn key(digest: &str) -> io::Result<Key> {
    Key::new(SPACE, digest).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

impl ApprovalLedger for StoreLedger {
    fn claim(&self, digest: &str) -> io::Result<bool> {
        match self.commit(Batch::new().put(&key(digest)?, "", Expect::Absent)) {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn give_back(&self, digest: &str) -> io::Result<()> {
        self.commit(Batch::new().delete(&key(digest)?, Expect::Any)).map_err(io::Error::other)
    }
}

impl fmt::Debug for StoreLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreLedger({})", self.store.kind())
    }
}
