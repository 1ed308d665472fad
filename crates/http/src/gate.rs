//! How many requests to one host are under way at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atomr_agents_core::CallCtx;
use tokio::runtime::Id;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{HttpError, Phase};

/// The longest wait for a place when the call has no deadline of its own.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What makes two gates different: the runtime, the host and how many may pass.
type Key = (Id, Arc<str>, usize);

static GATES: Mutex<Vec<(Key, Arc<Gate>)>> = Mutex::new(Vec::new());

/// The places for requests to one host, and how many wait for one.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// The gate that all clients of this host share.
pub(crate) fn gate(runtime: Id, host: &Arc<str>, places: usize) -> Arc<Gate> {
    let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
    // A gate that only this list holds has no client any more, and no request under way.
    gates.retain(|(_, gate)| Arc::strong_count(gate) > 1 || Arc::strong_count(&gate.places) > 1);
    let key = (runtime, Arc::clone(host), places);
    if let Some((_, gate)) = gates.iter().find(|(have, _)| *have == key) {
        return Arc::clone(gate);
    }
    let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
    let gate = Arc::new(Gate { places, waiting: AtomicUsize::new(0) });
    gates.push((key, Arc::clone(&gate)));
    gate
}

impl Gate {
    /// Waits for a place, unless `max_waiting` wait already.
    pub(crate) async fn enter(
        &self,
        max_waiting: usize,
        host: &str,
        ctx: &CallCtx,
    ) -> Result<OwnedSemaphorePermit, HttpError> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let waits = Waits(self);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= max_waiting {
            return Err(HttpError::Overloaded { host: host.to_owned(), limit: max_waiting });
        }
        let (phase, after) = match ctx.remaining() {
            Some(left) if left < LONGEST_WAIT => (Phase::Deadline, left),
            _ => (Phase::Connect, LONGEST_WAIT),
        };
        let entered = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => Err(HttpError::Cancelled),
            place = tokio::time::timeout(after, Arc::clone(&self.places).acquire_owned()) => match place {
                Ok(Ok(place)) => Ok(place),
                // Nobody closes a gate; if it were closed, nothing could be waited for.
                Ok(Err(_)) => Err(HttpError::Cancelled),
                Err(_) => Err(HttpError::Timeout { phase, after }),
            },
        };
        drop(waits);
        entered
    }
}

/// One that is counted among those that wait.
struct Waits<'a>(&'a Gate);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Handle;

    #[tokio::test(start_paused = true)]
    async fn places_are_shared_by_host_waited_for_in_time_and_given_back() {
        let here = Handle::current().id();
        let host: Arc<str> = Arc::from("gate.test:1");
        let (one, same, other) = (gate(here, &host, 1), gate(here, &host, 1), gate(here, &Arc::from("b:1"), 1));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        let place = one.enter(9, "a", &CallCtx::new()).await.unwrap();
        let hurried = CallCtx::new().with_timeout(Duration::from_secs(1));
        let late = one.enter(9, "a", &hurried).await.unwrap_err();
        assert!(matches!(late, HttpError::Timeout { phase: Phase::Deadline, .. }), "{late:?}");
        let gone = CallCtx::new();
        gone.cancel.cancel();
        assert!(matches!(one.enter(9, "a", &gone).await, Err(HttpError::Cancelled)));
        drop(place);
        drop(one.enter(9, "a", &CallCtx::new()).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_is_told_at_once_and_one_that_leaves_makes_room() {
        let gate = gate(Handle::current().id(), &Arc::from("full.test:1"), 1);
        let ctx = CallCtx::new();
        let place = gate.enter(2, "h", &ctx).await.unwrap();
        let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(gate.enter(2, "h", &ctx))).collect();
        for wait in &mut waiting {
            assert!(tokio::time::timeout(Duration::ZERO, wait).await.is_err());
        }
        for _ in 0..1_000 {
            let refused = gate.enter(2, "h", &ctx).await.unwrap_err();
            assert!(matches!(&refused, HttpError::Overloaded { host, limit: 2 } if host == "h"), "{refused}");
        }
        drop(waiting.pop());
        let mut next = Box::pin(gate.enter(2, "h", &ctx));
        assert!(tokio::time::timeout(Duration::ZERO, &mut next).await.is_err());
        drop(place);
        drop(waiting.remove(0).await.unwrap());
        drop(next.await.unwrap());
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
    }
}
