//! Keeps a lease while its run is written.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atomr_agents_core::CancellationToken;
use tokio::task::JoinSet;

use crate::{Lease, Store, StoreError};

/// How long the store may take to answer when a lease is let go.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);

/// Renews a lease at a third of its time, and lets it go when it is dropped.
pub(crate) struct Heartbeat {
    store: Arc<dyn Store>,
    lease: Lease,
    ttl: Duration,
    done: CancellationToken,
    lost: CancellationToken,
    /// What the store said when somebody else had the lease.
    taken: Arc<OnceLock<StoreError>>,
    task: JoinSet<()>,
}

impl Heartbeat {
    /// Begins; must be called inside a runtime.
    pub(crate) fn start(store: Arc<dyn Store>, lease: Lease, ttl: Duration) -> Self {
        let (done, lost) = (CancellationToken::new(), CancellationToken::new());
        let (mut task, taken) = (JoinSet::new(), Arc::new(OnceLock::new()));
        let beat = beat(Arc::clone(&store), lease.clone(), ttl, done.clone());
        let (losing, told) = (lost.clone(), Arc::clone(&taken));
        task.spawn(async move {
            if let Err(error) = beat.await {
                let _ = told.set(error);
                losing.cancel();
            }
        });
        Self { store, lease, ttl, done, lost, taken, task }
    }

    /// Cancelled when somebody else has the lease.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// What the store said when a beat found that somebody else has the lease.
    pub(crate) fn taken(&self) -> Option<&StoreError> {
        self.taken.get()
    }

    /// Renews the lease now.
    pub(crate) async fn renew(&self) -> Result<(), StoreError> {
        self.store.renew(&self.lease, self.ttl).await.map(drop)
    }

    /// Lets the lease go.
    pub(crate) async fn release(&self) -> Result<(), StoreError> {
        self.done.cancel();
        self.store.release(&self.lease).await
    }
}

/// Renews the lease until it is to be let go; an error when somebody else has it.
async fn beat(store: Arc<dyn Store>, lease: Lease, ttl: Duration, done: CancellationToken) -> Result<(), StoreError> {
    let every = (ttl / 3).max(Duration::from_millis(1));
    while done.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        // A store that fails just now may answer the next beat; if it does not, the lease runs out and the fence of the
        // next commit decides.
        if let Ok(Err(error @ StoreError::Fenced { .. })) = tokio::time::timeout(ttl, store.renew(&lease, ttl)).await {
            return Err(error);
        }
    }
    let _ = tokio::time::timeout(RELEASE_WITHIN, store.release(&lease)).await;
    Ok(())
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        // The task sees it, lets the lease go and ends: it has nothing else to wait for, and no more than its deadline.
        self.done.cancel();
        self.task.detach_all();
    }
}
