//! A store whose process dies at a boundary of its journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use atomr_agents_state::{Around, Batch, Store, StoreError};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

/// When a process kills itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strike {
    /// Before its n-th commit, counted from 1.
    Before(u64),
    /// After its n-th commit, before anybody hears of it.
    After(u64),
}

/// A store that kills its process (SIGKILL) at one commit.
#[derive(Debug)]
pub struct Deadly {
    inner: Arc<dyn Store>,
    strike: Strike,
    commits: AtomicU64,
}

impl Deadly {
    /// Wraps a store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, strike: Strike) -> Self {
        Self { inner, strike, commits: AtomicU64::new(0) }
    }

    async fn at(&self, boundary: Strike) {
        if self.strike == boundary {
            let _ = kill_process(getpid(), Signal::KILL);
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Around for Deadly {
    fn within(&self) -> &dyn Store {
        &*self.inner
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let commit = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        self.at(Strike::Before(commit)).await;
        let done = self.inner.commit(batch).await;
        self.at(Strike::After(commit)).await;
        done
    }
}
