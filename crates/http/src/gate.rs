//! How many requests to one host are under way at once.

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

static GATES: Mutex<Vec<(Key, Arc<Semaphore>)>> = Mutex::new(Vec::new());

/// The gate that all clients of this host share.
pub(crate) fn gate(runtime: Id, host: &Arc<str>, places: usize) -> Arc<Semaphore> {
    let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
    // A gate that only this list holds has no client any more.
    gates.retain(|(_, gate)| Arc::strong_count(gate) > 1);
    let key = (runtime, Arc::clone(host), places);
    if let Some((_, gate)) = gates.iter().find(|(have, _)| *have == key) {
        return Arc::clone(gate);
    }
    let gate = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
    gates.push((key, Arc::clone(&gate)));
    gate
}

/// Waits for a place.
pub(crate) async fn enter(gate: Arc<Semaphore>, ctx: &CallCtx) -> Result<OwnedSemaphorePermit, HttpError> {
    if let Ok(place) = Arc::clone(&gate).try_acquire_owned() {
        return Ok(place);
    }
    let (phase, after) = match ctx.remaining() {
        Some(left) if left < LONGEST_WAIT => (Phase::Deadline, left),
        _ => (Phase::Connect, LONGEST_WAIT),
    };
    tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => Err(HttpError::Cancelled),
        place = tokio::time::timeout(after, gate.acquire_owned()) => match place {
            Ok(Ok(place)) => Ok(place),
            // Nobody closes a gate; if it were closed, nothing could be waited for.
            Ok(Err(_)) => Err(HttpError::Cancelled),
            Err(_) => Err(HttpError::Timeout { phase, after }),
        },
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
        let place = enter(Arc::clone(&one), &CallCtx::new()).await.unwrap();
        let hurried = CallCtx::new().with_timeout(Duration::from_secs(1));
        let late = enter(Arc::clone(&one), &hurried).await.unwrap_err();
        assert!(matches!(late, HttpError::Timeout { phase: Phase::Deadline, .. }), "{late:?}");
        let gone = CallCtx::new();
        gone.cancel.cancel();
        assert!(matches!(enter(Arc::clone(&one), &gone).await, Err(HttpError::Cancelled)));
        drop(place);
        drop(enter(one, &CallCtx::new()).await.unwrap());
    }
}
