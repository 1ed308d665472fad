//! A reader's place in a bus.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::coop;

use crate::bus::Shared;
use crate::{Batch, TryRecvError};

/// How many events are taken under one lock: a publisher waits no longer than it takes to copy so many pointers.
const CHUNK: usize = 64;

/// A reader's place in a bus. Dropping it unsubscribes.
///
/// `received + missed` is always exactly what was published since it subscribed.
pub struct Subscription {
    shared: Arc<Shared>,
    place: usize,
}

impl Subscription {
    pub(crate) fn new(shared: Arc<Shared>, place: usize) -> Self {
        Self { shared, place }
    }

    /// Position of the next event it will read.
    pub(crate) fn position(&self) -> u64 {
        self.shared.lock().cursor(self.place)
    }

    /// Waits for events and takes up to `max` of them at once; `None` when the bus was closed and everything was
    /// received. Dropping the future loses nothing.
    pub async fn recv_batch(&mut self, max: usize) -> Option<Batch> {
        poll_fn(|cx| self.poll_recv_batch(cx, max)).await
    }

    /// [`Subscription::recv_batch`] for those who write futures by hand.
    pub fn poll_recv_batch(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Option<Batch>> {
        // A consumer that always finds something must still let other tasks have their turn.
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            match self.try_recv_batch(max) {
                Ok(batch) => {
                    budget.made_progress();
                    return Poll::Ready(Some(batch));
                }
                Err(TryRecvError::Closed) => {
                    budget.made_progress();
                    return Poll::Ready(None);
                }
                Err(TryRecvError::Empty) => {
                    let mut waker = Some(cx.waker().clone());
                    let parked = self.shared.lock().park(self.place, &mut waker);
                    if parked {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Takes up to `max` events (at least one) that are there already.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] when there are none, [`TryRecvError::Closed`] when there never will be.
    pub fn try_recv_batch(&mut self, max: usize) -> Result<Batch, TryRecvError> {
        let max = max.max(1);
        let mut batch = Batch::default();
        loop {
            let mut stale = None;
            let chunk = CHUNK.min(max - batch.events.len());
            let taken = self.shared.lock().take(self.place, chunk, &mut batch, &mut stale);
            match taken {
                Ok(count) if count == chunk && batch.events.len() < max => {}
                Err(error) if batch.events.is_empty() => return Err(error),
                _ => return Ok(batch),
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.leave(self.place);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("place", &self.place).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::EventBus;
    use crate::samples::{event, numbers};

    #[test]
    fn a_batch_spans_chunks_and_has_at_most_max() {
        let bus = EventBus::with_capacity(1_000);
        let mut subscription = bus.subscribe();
        for seq in 0..1_500 {
            bus.publish(event(seq));
        }
        let first = subscription.try_recv_batch(300).unwrap();
        assert_eq!((numbers(&first.events), first.missed), ((500..800).collect(), 500));
        assert_eq!(subscription.try_recv_batch(0).unwrap().events.len(), 1, "zero is taken as one");
        assert_eq!(subscription.try_recv_batch(usize::MAX).unwrap().events.len(), 699);
    }

    #[tokio::test]
    async fn waits_for_events_and_for_the_end() {
        let bus = EventBus::new();
        let mut subscription = bus.subscribe();
        let receive = async {
            let mut all = Vec::new();
            while let Some(batch) = subscription.recv_batch(10).await {
                all.extend(numbers(&batch.events));
            }
            all
        };
        let publish = async {
            for seq in 0..5 {
                bus.publish(event(seq));
                tokio::task::yield_now().await;
            }
            bus.close();
        };
        assert_eq!(tokio::join!(receive, publish).0, [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_busy_consumer_lets_others_have_their_turn() {
        let bus = EventBus::new();
        let mut subscription = bus.subscribe();
        let consumer = async {
            loop {
                bus.publish(event(0)); // always something to receive
                subscription.recv_batch(1).await;
            }
        };
        tokio::select! {
            biased;
            () = consumer => {}
            () = tokio::task::yield_now() => {}
        }
    }
}
