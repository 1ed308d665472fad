//! The events of one run.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomr_agents_core::{CallCtx, Event, EventKind, EventSink};

use crate::Subscription;
use crate::batch::now_ms;
use crate::bus::{DEFAULT_CAPACITY, EventBus};
use crate::ring::Effect;

/// The events of one run: numbers them and publishes them to the run's own bus and to any shared ones.
///
/// The run's sub-agents and steps emit through the same sink; their events carry the run, parent and path of the context
/// they were emitted with, and numbers of the one stream. Whatever is no delta gets the next `seq`; deltas share the
/// `seq` of the event before them and count `index` from 1. Numbering and publishing are one step, so every bus has
/// the events in the order of their numbers, whichever threads they came from. Numbers advance also when nobody
/// listens, so they mean the same for one who listens from the start as for one who joins late.
pub struct RunEvents {
    own: EventBus,
    shared: Vec<EventBus>,
    recorder: Option<Recorder>,
    numbers: Mutex<Numbers>,
}

/// Sees each event that is no delta, in the order of their numbers, before it is published. It is called while the numbers
/// are held: it takes the event and returns, and emits nothing.
pub type Recorder = Box<dyn Fn(&Event) + Send + Sync>;

#[derive(Default)]
struct Numbers {
    seq: u64,
    index: u32,
    count: u64,
    time_ms: u64,
    closed: bool,
    /// The first number of each hold, in order, and the events that wait for the earliest to end.
    holds: VecDeque<u64>,
    held: VecDeque<Arc<Event>>,
}

impl Numbers {
    fn advance(&mut self, delta: bool) {
        self.count += 1;
        if delta {
            self.index = self.index.saturating_add(1);
        } else {
            self.seq += 1;
            self.index = 0;
        }
    }

    /// Time within a run never goes back, even if the machine's clock does.
    fn tick(&mut self) -> u64 {
        self.time_ms = self.time_ms.max(now_ms());
        self.time_ms
    }
}

impl RunEvents {
    /// The events of a new run, also published to these buses.
    #[must_use]
    pub fn new(shared: impl IntoIterator<Item = EventBus>) -> Self {
        Self::with_capacity(DEFAULT_CAPACITY, shared)
    }

    /// The same, keeping up to `capacity` events for a slow subscriber of the run's own bus.
    #[must_use]
    pub fn with_capacity(capacity: usize, shared: impl IntoIterator<Item = EventBus>) -> Self {
        let (own, shared) = (EventBus::with_capacity(capacity), shared.into_iter().collect());
        Self { own, shared, recorder: None, numbers: Mutex::default() }
    }

    /// The same, with the first event numbered `first` (at least 1), and each shown to `recorder`: for a run that is kept.
    #[must_use]
    pub fn recorded(mut self, first: u64, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self.numbers = Mutex::new(Numbers { seq: first.saturating_sub(1), ..Numbers::default() });
        self
    }

    /// The same from the number `first` on, where that is found out only once the run has begun. Nothing was emitted yet.
    pub fn go_on_from(&self, first: u64) {
        let mut numbers = self.lock();
        numbers.seq = numbers.seq.max(first.saturating_sub(1));
    }

    /// Keeps the events from the next one on from everybody until the hold is dropped; the recorder sees them at once. For
    /// what shall be told only once it is written down. Of several holds each keeps back what came after it.
    #[must_use = "dropping it ends it"]
    pub fn hold(self: &Arc<Self>) -> Hold {
        let mut numbers = self.lock();
        let first = numbers.seq + 1;
        numbers.holds.push_back(first);
        Hold { events: Arc::clone(self), first }
    }

    fn push(&self, event: Arc<Event>) -> Vec<Effect> {
        let shared = self.shared.iter().map(|bus| bus.push(Arc::clone(&event)));
        let mut all: Vec<Effect> = shared.collect();
        all.push(self.own.push(event));
        all
    }

    fn end_hold(&self, first: u64) {
        let mut effects = Vec::new();
        {
            let mut numbers = self.lock();
            if let Some(at) = numbers.holds.iter().position(|held| *held == first) {
                numbers.holds.remove(at);
            }
            let until = numbers.holds.front().copied().unwrap_or(u64::MAX);
            while let Some(event) = numbers.held.pop_front_if(|event| event.seq < until) {
                effects.extend(self.push(event));
            }
        }
        effects.into_iter().for_each(Effect::run);
    }

    /// Sees the events of this run from now on, and the end of it.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.own.subscribe()
    }

    /// Ends the stream of this run: its subscribers drain it, what is emitted later (by a tool thread that was
    /// abandoned, say) is ignored. Shared buses stay open. Dropping the sink does the same.
    pub fn close(&self) {
        self.lock().closed = true;
        self.own.close();
    }

    /// How many events were emitted, deltas included.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lock().count
    }

    /// The number of the last event that was no delta; 0 before the first.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.lock().seq
    }

    fn heard(&self) -> bool {
        self.own.subscribers() > 0 || self.shared.iter().any(|bus| bus.subscribers() > 0)
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers and publishes in one step; hands back what must happen after the lock is released.
    fn publish(&self, ctx: &CallCtx, kind: EventKind) -> (Effect, Vec<Effect>) {
        let mut numbers = self.lock();
        if numbers.closed {
            return Default::default();
        }
        let delta = kind.is_delta();
        numbers.advance(delta);
        let recorder = self.recorder.as_ref().filter(|_| !delta);
        if recorder.is_none() && !self.heard() {
            return Default::default();
        }
        let event = Arc::new(Event {
            run: ctx.run,
            seq: numbers.seq,
            index: numbers.index,
            path: ctx.shared_path(),
            parent: ctx.parent,
            time_ms: numbers.tick(),
            kind,
        });
        if let Some(record) = recorder {
            record(&event);
        }
        if !numbers.holds.is_empty() {
            numbers.held.push_back(event);
            if numbers.held.len() < DEFAULT_CAPACITY {
                return Default::default();
            }
            // Whoever holds so long is not waited for: a queue has a bound, and nothing is lost here.
            numbers.holds.clear();
            let held = std::mem::take(&mut numbers.held);
            let all = held.into_iter().flat_map(|event| self.push(event)).collect();
            return (Effect::default(), all);
        }
        let shared = self.shared.iter().map(|bus| bus.push(Arc::clone(&event))).collect();
        (self.own.push(event), shared)
    }
}

/// Keeps events back until it is dropped; see [`RunEvents::hold`].
#[derive(Debug)]
pub struct Hold {
    events: Arc<RunEvents>,
    first: u64,
}

impl Hold {
    /// Ends it, and what it kept back is told to nobody.
    pub fn discard(self) {
        self.events.lock().held.retain(|event| event.seq < self.first);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.events.end_hold(self.first);
    }
}

impl EventSink for RunEvents {
    fn emit(&self, ctx: &CallCtx, kind: EventKind) {
        let (own, shared) = self.publish(ctx, kind);
        own.run();
        shared.into_iter().for_each(Effect::run);
    }

    fn listening(&self) -> bool {
        self.recorder.is_some() || self.heard()
    }
}

impl fmt::Debug for RunEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunEvents")
            .field("count", &self.count())
            .field("shared", &self.shared.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TryRecvError;

    fn start() -> EventKind {
        EventKind::RunStarted { agent: "a".into(), model: "m".into() }
    }

    fn text() -> EventKind {
        EventKind::TextDelta { text: "t".into() }
    }

    fn numbers(subscription: &mut Subscription) -> Vec<(u64, u32)> {
        let batch = subscription.try_recv_batch(1_000).unwrap();
        batch.events.iter().map(|event| (event.seq, event.index)).collect()
    }

    #[test]
    fn deltas_share_the_number_of_the_event_they_follow() {
        let events = Arc::new(RunEvents::new([]));
        let mut subscription = events.subscribe();
        let ctx = CallCtx::new().with_sink(events.clone());
        for kind in [start(), text(), text(), start(), text()] {
            ctx.emit(kind);
        }
        assert_eq!(numbers(&mut subscription), [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]);
        assert_eq!((events.count(), events.last_seq()), (5, 2));
    }

    #[test]
    fn numbers_advance_when_nobody_listens_and_the_end_is_the_end() {
        let shared = EventBus::new();
        let events = Arc::new(RunEvents::new([shared.clone()]));
        let ctx = CallCtx::new().with_sink(events.clone());
        assert!(!ctx.listening());
        ctx.emit(start());
        ctx.emit(text());
        let mut late = shared.subscribe();
        let mut own = events.subscribe();
        assert!(ctx.listening());
        ctx.emit(text());
        ctx.emit(start());
        events.close();
        ctx.emit(start());
        assert_eq!(numbers(&mut late), [(1, 2), (2, 0)]);
        assert_eq!(late.try_recv_batch(1).unwrap_err(), TryRecvError::Empty);
        assert_eq!(numbers(&mut own), [(1, 2), (2, 0)]);
        assert_eq!(own.try_recv_batch(1).unwrap_err(), TryRecvError::Closed);
        assert_eq!(events.count(), 4);
    }

    #[test]
    fn a_recorder_sees_every_event_but_deltas_also_when_nobody_listens_and_numbers_go_on() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let events = RunEvents::new([]).recorded(7, Box::new(move |event| record.lock().unwrap().push(event.seq)));
        let ctx = CallCtx::new().with_sink(Arc::new(events));
        assert!(ctx.listening());
        for kind in [start(), text(), start()] {
            ctx.emit(kind);
        }
        assert_eq!(*seen.lock().unwrap(), [7, 8]);
    }

    #[test]
    fn what_is_held_is_told_in_order_when_its_own_hold_and_all_earlier_ones_have_ended() {
        let events = Arc::new(RunEvents::new([]));
        events.go_on_from(10);
        let mut subscription = events.subscribe();
        let ctx = CallCtx::new().with_sink(events.clone());
        ctx.emit(start());
        let first = events.hold();
        ctx.emit(start());
        ctx.emit(text());
        let second = events.hold();
        ctx.emit(start());
        assert_eq!(numbers(&mut subscription), [(10, 0)]);
        drop(first);
        assert_eq!(numbers(&mut subscription), [(11, 0), (11, 1)]);
        let third = events.hold();
        ctx.emit(start());
        drop(third);
        assert_eq!(subscription.try_recv_batch(1).unwrap_err(), TryRecvError::Empty);
        drop(second);
        assert_eq!(numbers(&mut subscription), [(12, 0), (13, 0)]);
    }

    #[test]
    fn an_event_says_where_it_came_from() {
        let events = Arc::new(RunEvents::new([]));
        let mut subscription = events.subscribe();
        let ctx = CallCtx::new().with_sink(events);
        let mut child = ctx.child("planner").child("researcher");
        child.parent = Some(ctx.run);
        child.run = atomr_agents_core::RunId::new();
        ctx.emit(start());
        child.emit(start());
        let batch = subscription.try_recv_batch(10).unwrap();
        let [first, second] = &batch.events[..] else { panic!("{batch:?}") };
        assert_eq!((first.run, first.parent, &*first.path), (ctx.run, None, ""));
        assert_eq!((second.run, second.parent, &*second.path), (child.run, Some(ctx.run), "planner/researcher"));
        assert!(first.time_ms > 0 && second.time_ms >= first.time_ms);
    }

    #[test]
    fn a_dropped_sink_ends_the_stream() {
        let events = RunEvents::new([]);
        let mut subscription = events.subscribe();
        drop(events);
        assert_eq!(subscription.try_recv_batch(1).unwrap_err(), TryRecvError::Closed);
    }
}
