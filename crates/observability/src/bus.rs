//! The way from producers to subscribers.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomr_agents_core::Event;
use tokio::runtime::Handle;

use crate::ring::{Effect, Ring};
use crate::{Subscription, Tracer, TracerError, TracerHandle};

/// How many events a bus keeps for its slowest subscriber unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 16_384;

/// The way from producers to subscribers: bounded, ordered, and never waiting for anybody. Cheap to clone.
///
/// Every subscriber reads at its own pace from one ring; one that falls behind by more than the capacity loses the
/// oldest events and is told exactly how many. Memory grows only as far as the slowest subscriber lags, and nothing is
/// kept for nobody. The bus closes with [`EventBus::close`] or when its last handle is dropped.
#[derive(Clone)]
pub struct EventBus {
    publisher: Arc<Publisher>,
}

/// What all handles share; the last one closes the bus, so that no subscriber waits for ever.
struct Publisher {
    shared: Arc<Shared>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// What handles and subscriptions share.
pub(crate) struct Shared {
    ring: Mutex<Ring>,
    /// Written under the lock, read without it: publishing to nobody takes no lock.
    subscribers: AtomicUsize,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ring> {
        // Nothing panics under the lock; if it ever did, the ring's counters are still whole.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn leave(&self, place: usize) {
        let mut ring = self.lock();
        let effect = ring.leave(place);
        self.subscribers.fetch_sub(1, Ordering::Release);
        drop(ring);
        effect.run();
    }

    fn close(&self) {
        let effect = self.lock().close();
        effect.run();
    }
}

impl EventBus {
    /// A bus with [`DEFAULT_CAPACITY`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// A bus that keeps up to `capacity` events (at least one) for a slow subscriber.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let shared = Shared { ring: Mutex::new(Ring::new(capacity)), subscribers: AtomicUsize::new(0) };
        Self { publisher: Arc::new(Publisher { shared: Arc::new(shared) }) }
    }

    /// Hands an event to every subscriber. Never waits and runs no subscriber's code; without subscribers, and on a
    /// closed bus, nothing happens.
    pub fn publish(&self, event: Arc<Event>) {
        self.push(event).run();
    }

    /// [`EventBus::publish`] for a caller that holds a lock of its own: what has to happen outside it comes back.
    pub(crate) fn push(&self, event: Arc<Event>) -> Effect {
        if self.subscribers() == 0 {
            return Effect::default();
        }
        self.shared().lock().push(event)
    }

    /// Sees everything that is published from now on, until it is dropped.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let mut ring = self.shared().lock();
        let place = ring.join();
        self.shared().subscribers.fetch_add(1, Ordering::Release);
        drop(ring);
        Subscription::new(Arc::clone(self.shared()), place)
    }

    /// How many subscribers there are, tracers included.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.shared().subscribers.load(Ordering::Acquire)
    }

    /// How many events are kept for a slow subscriber.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared().lock().capacity()
    }

    /// Ends the stream: subscribers receive what was published so far, then the end. Later events are ignored.
    pub fn close(&self) {
        self.shared().close();
    }

    /// Whether the bus was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared().lock().closed()
    }

    /// Lets `tracer` see everything that is published from now on, driven by a task on the current tokio runtime.
    ///
    /// # Errors
    /// [`TracerError::NoRuntime`] outside a runtime; there, [`EventBus::attach_tracer_on`] takes one.
    pub fn attach_tracer(&self, tracer: Arc<dyn Tracer>) -> Result<TracerHandle, TracerError> {
        let runtime = Handle::try_current().map_err(|_| TracerError::NoRuntime)?;
        Ok(self.attach_tracer_on(tracer, &runtime))
    }

    /// Lets `tracer` see everything that is published from now on, driven by a task on `runtime`.
    pub fn attach_tracer_on(&self, tracer: Arc<dyn Tracer>, runtime: &Handle) -> TracerHandle {
        TracerHandle::attach(Arc::clone(self.shared()), self.subscribe(), tracer, runtime)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.publisher.shared
    }
}

impl Default for EventBus {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = self.shared().lock();
        f.debug_struct("EventBus")
            .field("subscribers", &self.subscribers())
            .field("capacity", &ring.capacity())
            .field("closed", &ring.closed())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TryRecvError;
    use crate::samples::{event, numbers};

    #[test]
    fn a_subscriber_sees_what_comes_after_it_and_dropping_it_unsubscribes() {
        let bus = EventBus::with_capacity(4);
        bus.publish(event(1));
        let mut subscription = bus.subscribe();
        bus.publish(event(2));
        bus.publish(event(3));
        assert_eq!(numbers(&subscription.try_recv_batch(10).unwrap().events), [2, 3]);
        assert_eq!(subscription.try_recv_batch(10).unwrap_err(), TryRecvError::Empty);
        assert_eq!((bus.subscribers(), bus.capacity()), (1, 4));
        drop(subscription);
        assert_eq!(bus.subscribers(), 0);
    }

    #[test]
    fn the_last_handle_closes_the_bus_and_what_was_published_is_still_received() {
        let bus = EventBus::new();
        let mut subscription = bus.subscribe();
        let other = bus.clone();
        drop(bus);
        other.publish(event(1));
        drop(other);
        assert_eq!(numbers(&subscription.try_recv_batch(10).unwrap().events), [1]);
        assert_eq!(subscription.try_recv_batch(10).unwrap_err(), TryRecvError::Closed);
    }

    #[test]
    fn a_closed_bus_ignores_events() {
        let bus = EventBus::new();
        let mut subscription = bus.subscribe();
        bus.close();
        bus.publish(event(1));
        assert!(bus.is_closed());
        assert_eq!(subscription.try_recv_batch(10).unwrap_err(), TryRecvError::Closed);
    }
}
