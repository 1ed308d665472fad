//! The bounded buffer behind a bus and its readers' places in it. It neither locks nor wakes: what must happen outside
//! the lock (waking, dropping events) is handed back as an [`Effect`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use atomr_agents_core::Event;

use crate::{Batch, TryRecvError};

/// What is left to do once the lock is released. Wakers and events are foreign code: neither runs under a lock.
#[derive(Default)]
#[must_use]
pub(crate) struct Effect {
    waker: Option<Waker>,
    wakers: Vec<Waker>,
    dropped: Option<Arc<Event>>,
    cleared: VecDeque<Arc<Event>>,
    stale: Option<Waker>,
}

impl Effect {
    pub(crate) fn run(self) {
        for waker in self.waker.into_iter().chain(self.wakers) {
            waker.wake();
        }
        drop((self.dropped, self.cleared, self.stale));
    }
}

struct Reader {
    /// Position of the next event to read.
    cursor: u64,
    /// Set while the reader waits.
    waker: Option<Waker>,
}

/// Events at the positions `head .. head + events.len()`, counted since the bus was made.
pub(crate) struct Ring {
    events: VecDeque<Arc<Event>>,
    head: u64,
    capacity: usize,
    readers: Vec<Option<Reader>>,
    live: usize,
    parked: usize,
    closed: bool,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { events: VecDeque::new(), head: 0, capacity, readers: Vec::new(), live: 0, parked: 0, closed: false }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// Position of the next event to be published.
    pub(crate) fn tail(&self) -> u64 {
        self.head + self.events.len() as u64
    }

    pub(crate) fn push(&mut self, event: Arc<Event>) -> Effect {
        if self.closed || self.live == 0 {
            return Effect { dropped: Some(event), ..Effect::default() };
        }
        let dropped = if self.events.len() == self.capacity { self.pop() } else { None };
        self.events.push_back(event);
        let (waker, wakers) = self.unpark();
        Effect { waker, wakers, dropped, ..Effect::default() }
    }

    pub(crate) fn close(&mut self) -> Effect {
        self.closed = true;
        let (waker, wakers) = self.unpark();
        Effect { waker, wakers, ..Effect::default() }
    }

    /// A new reader, by the index of its place.
    pub(crate) fn join(&mut self) -> usize {
        self.live += 1;
        let reader = Some(Reader { cursor: self.tail(), waker: None });
        match self.readers.iter().position(Option::is_none) {
            Some(free) => {
                self.readers[free] = reader;
                free
            }
            None => {
                self.readers.push(reader);
                self.readers.len() - 1
            }
        }
    }

    pub(crate) fn leave(&mut self, index: usize) -> Effect {
        let Some(reader) = self.readers.get_mut(index).and_then(Option::take) else { return Effect::default() };
        self.live -= 1;
        self.parked -= usize::from(reader.waker.is_some());
        while self.readers.last().is_some_and(Option::is_none) {
            self.readers.pop();
        }
        // What only this reader held back is kept for nobody.
        let keep = self.slowest().map_or(0, |slowest| (self.tail() - slowest.max(self.head)) as usize);
        let gone = self.events.len() - keep;
        self.head += gone as u64;
        let rest = self.events.split_off(gone);
        let cleared = std::mem::replace(&mut self.events, rest);
        Effect { stale: reader.waker, cleared, ..Effect::default() }
    }

    /// Moves up to `max` events into `batch`; stops before a gap if `batch` already has events, so that what was missed
    /// always lies in front of them. A waker that is no longer needed is put into `stale`, to be dropped outside.
    pub(crate) fn take(
        &mut self,
        index: usize,
        max: usize,
        batch: &mut Batch,
        stale: &mut Option<Waker>,
    ) -> Result<usize, TryRecvError> {
        let (head, tail, closed) = (self.head, self.tail(), self.closed);
        let Some(reader) = self.readers.get_mut(index).and_then(Option::as_mut) else {
            return Err(TryRecvError::Closed);
        };
        let from = reader.cursor.max(head);
        let missed = from - reader.cursor;
        if missed > 0 && !batch.events.is_empty() {
            return Ok(0);
        }
        if from == tail {
            return Err(if closed { TryRecvError::Closed } else { TryRecvError::Empty });
        }
        if let Some(waker) = reader.waker.take() {
            *stale = Some(waker);
            self.parked -= 1;
        }
        let start = (from - head) as usize;
        let count = (self.events.len() - start).min(max);
        let was = reader.cursor;
        reader.cursor = from + count as u64;
        batch.missed += missed;
        if self.live == 1 {
            // Nobody else will read them, nor what lies before them (nothing does: the only reader is at the head).
            self.head += (start + count) as u64;
            batch.events.extend(self.events.drain(..start + count).skip(start));
        } else {
            batch.events.extend(self.events.range(start..start + count).cloned());
            if was <= head {
                self.trim();
            }
        }
        Ok(count)
    }

    /// Where the reader is.
    pub(crate) fn cursor(&self, index: usize) -> u64 {
        self.readers.get(index).and_then(Option::as_ref).map_or(self.tail(), |reader| reader.cursor)
    }

    /// Parks the reader, unless there is something for it.
    pub(crate) fn park(&mut self, index: usize, waker: &mut Option<Waker>) -> bool {
        let tail = self.tail();
        let Some(reader) = self.readers.get_mut(index).and_then(Option::as_mut) else { return false };
        if reader.cursor < tail || self.closed {
            return false;
        }
        std::mem::swap(&mut reader.waker, waker); // the old one is dropped by the caller, outside the lock
        self.parked += usize::from(waker.is_none());
        true
    }

    fn pop(&mut self) -> Option<Arc<Event>> {
        let event = self.events.pop_front()?;
        self.head += 1;
        Some(event)
    }

    /// Forgets what every reader has read. The events themselves live on in the batch just read, so dropping the
    /// ring's share of them runs no foreign code.
    fn trim(&mut self) {
        if let Some(slowest) = self.slowest() {
            while self.head < slowest && self.pop().is_some() {}
        }
    }

    fn slowest(&self) -> Option<u64> {
        self.readers.iter().flatten().map(|reader| reader.cursor).min()
    }

    fn unpark(&mut self) -> (Option<Waker>, Vec<Waker>) {
        if self.parked == 0 {
            return (None, Vec::new());
        }
        self.parked = 0;
        let mut wakers = self.readers.iter_mut().flatten().filter_map(|reader| reader.waker.take());
        let first = wakers.next();
        (first, wakers.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{event, numbers};
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(ring: &mut Ring, reader: usize, max: usize) -> Result<Batch, TryRecvError> {
        let mut batch = Batch::default();
        ring.take(reader, max, &mut batch, &mut None).map(|_| batch)
    }

    #[test]
    fn a_parked_reader_is_woken_once_until_it_parks_again() {
        let mut ring = Ring::new(8);
        let reader = ring.join();
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let woken = || count.0.load(Ordering::Relaxed);
        ring.push(event(1)).run();
        assert_eq!(woken(), 0);
        assert!(!ring.park(reader, &mut Some(Arc::clone(&count).into())), "there is something to read");
        take(&mut ring, reader, 8).unwrap();
        assert!(ring.park(reader, &mut Some(Arc::clone(&count).into())));
        assert!(ring.park(reader, &mut Some(Arc::clone(&count).into())), "parking twice replaces the waker");
        for seq in 2..5 {
            ring.push(event(seq)).run();
        }
        assert_eq!((woken(), ring.parked), (1, 0));
        take(&mut ring, reader, 8).unwrap();
        assert!(ring.park(reader, &mut Some(Arc::clone(&count).into())));
        ring.close().run();
        assert_eq!(woken(), 2);
        assert!(!ring.park(reader, &mut Some(Arc::clone(&count).into())), "nothing will come any more");
    }

    #[test]
    fn a_reader_that_leaves_is_not_woken() {
        let mut ring = Ring::new(8);
        let (parked, other) = (ring.join(), ring.join());
        let count = Arc::new(Count(AtomicUsize::new(0)));
        assert!(ring.park(parked, &mut Some(Arc::clone(&count).into())));
        ring.leave(parked).run();
        ring.push(event(1)).run();
        assert_eq!((count.0.load(Ordering::Relaxed), ring.parked), (0, 0));
        assert_eq!(numbers(&take(&mut ring, other, 8).unwrap().events), [1]);
    }

    #[test]
    fn what_everybody_read_is_forgotten() {
        let mut ring = Ring::new(100);
        let (fast, slow) = (ring.join(), ring.join());
        for seq in 0..10 {
            ring.push(event(seq)).run();
        }
        take(&mut ring, fast, 10).unwrap();
        assert_eq!(ring.events.len(), 10);
        take(&mut ring, slow, 4).unwrap();
        assert_eq!(ring.events.len(), 6);
        ring.leave(slow).run();
        assert_eq!(ring.events.len(), 0);
        ring.leave(fast).run();
        ring.push(event(10)).run();
        assert_eq!((ring.events.len(), ring.readers.len()), (0, 0), "nobody listens, nothing is kept");
    }

    #[test]
    fn a_gap_never_hides_behind_events() {
        let mut ring = Ring::new(2);
        let reader = ring.join();
        let mut batch = Batch::default();
        ring.push(event(0)).run();
        ring.take(reader, 8, &mut batch, &mut None).unwrap();
        for seq in 1..5 {
            ring.push(event(seq)).run();
        }
        assert_eq!(ring.take(reader, 8, &mut batch, &mut None), Ok(0));
        assert_eq!((numbers(&batch.events), batch.missed), (vec![0], 0));
        let next = take(&mut ring, reader, 8).unwrap();
        assert_eq!((numbers(&next.events), next.missed), (vec![3, 4], 2));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        Join,
        Leave(usize),
        Take(usize, usize),
        Close,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (1..40usize).prop_map(Step::Push),
            2 => Just(Step::Join),
            1 => (0..4usize).prop_map(Step::Leave),
            6 => (0..4usize, 1..30usize).prop_map(|(who, max)| Step::Take(who, max)),
            1 => Just(Step::Close),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        /// Against the plain idea of it: every reader sees a suffix of what it has not read yet, in order, and
        /// `received + missed == published since it joined`.
        #[test]
        fn accounts_exactly(capacity in 1..32usize, steps in steps()) {
            let mut ring = Ring::new(capacity);
            let mut readers: Vec<(usize, u64)> = Vec::new(); // place, next expected number
            let (mut next, mut closed) = (0u64, false);
            for step in steps {
                match step {
                    Step::Push(count) => for _ in 0..count {
                        ring.push(event(next)).run();
                        next += u64::from(!closed && !readers.is_empty());
                    },
                    Step::Join => readers.push((ring.join(), next)),
                    Step::Leave(who) if who < readers.len() => ring.leave(readers.swap_remove(who).0).run(),
                    Step::Take(who, max) if who < readers.len() => {
                        let (place, expected) = readers[who];
                        match take(&mut ring, place, max) {
                            Ok(batch) => {
                                prop_assert!(!batch.events.is_empty() && batch.events.len() <= max);
                                let first = expected + batch.missed;
                                let read = numbers(&batch.events);
                                let end = first + read.len() as u64;
                                prop_assert_eq!(read, (first..end).collect::<Vec<_>>());
                                if batch.missed > 0 {
                                    prop_assert_eq!(first, next - capacity as u64, "only the oldest are dropped");
                                }
                                readers[who].1 = end;
                            }
                            Err(error) => {
                                prop_assert_eq!(expected, next);
                                prop_assert_eq!(error == TryRecvError::Closed, closed);
                            }
                        }
                    }
                    Step::Close => { ring.close().run(); closed = true; }
                    _ => {}
                }
                prop_assert!(ring.events.len() <= capacity);
                prop_assert_eq!(ring.live, readers.len());
            }
        }
    }
}
