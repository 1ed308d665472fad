//! Calls under way, so that equal requests make one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use atomr_agents_core::CancellationToken;

use crate::{CacheKey, CachedTurn};

/// How a call ended, for those who wait for it.
#[derive(Clone, Debug)]
pub(crate) enum Landing {
    /// With an answer for everybody.
    Answered(Arc<CachedTurn>),
    /// With an error, or with an answer that is not kept: each must ask for itself.
    Failed,
    /// Its caller went away: somebody else must begin anew.
    Abandoned,
}

/// A call under way.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    landed: CancellationToken,
    how: OnceLock<Landing>,
}

impl Flight {
    /// Waits for its end. Dropping this future leaves the call alone.
    pub(crate) async fn landing(&self) -> Landing {
        self.landed.cancelled().await;
        self.how.get().cloned().unwrap_or(Landing::Abandoned)
    }
}

/// The calls under way, by what they ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights(Arc<Mutex<HashMap<CacheKey, Arc<Flight>>>>);

/// What somebody who asks becomes.
pub(crate) enum Role {
    /// The one who makes the call.
    Leader(Leader),
    /// One who waits for it.
    Follower(Arc<Flight>),
}

impl Flights {
    /// Joins the call for `key` that is under way, or begins one.
    pub(crate) fn join(&self, key: CacheKey) -> Role {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&key) {
            return Role::Follower(Arc::clone(flight));
        }
        let flight = Arc::new(Flight::default());
        flights.insert(key, Arc::clone(&flight));
        Role::Leader(Leader { flights: self.clone(), key, flight })
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Nothing that holds this lock panics.
    fn lock(&self) -> MutexGuard<'_, HashMap<CacheKey, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make the call. Dropping it without a word says that nobody makes it any more.
#[derive(Debug)]
pub(crate) struct Leader {
    flights: Flights,
    key: CacheKey,
    flight: Arc<Flight>,
}

impl Leader {
    /// Tells those who wait how it ended.
    pub(crate) fn land(self, how: Landing) {
        let _ = self.flight.how.set(how); // nobody else sets it
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        // First out of the table: who comes now begins anew or finds the answer in the cache.
        self.flights.lock().remove(&self.key);
        self.flight.landed.cancel();
    }
}
