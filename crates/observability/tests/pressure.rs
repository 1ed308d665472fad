//! The bus under pressure: exact accounting, order, bounded memory, use from within consumers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use atomr_agents_core::{CallCtx, Event, EventKind, EventSink, RunId};
use atomr_agents_observability::{EventBus, RunEvents, Subscription};

fn event(run: RunId, seq: u64) -> Arc<Event> {
    let kind = EventKind::TextDelta { text: "t".into() };
    Arc::new(Event { run, seq, index: 0, path: Arc::from(""), parent: None, time_ms: 0, kind })
}

/// Reads to the end; gives back (received, missed) after checking that nothing is out of place.
async fn drain(mut subscription: Subscription, max: usize) -> (u64, u64) {
    let (mut received, mut missed, mut next) = (0, 0, 0);
    while let Some(batch) = subscription.recv_batch(max).await {
        next += batch.missed;
        missed += batch.missed;
        for event in batch.events {
            assert_eq!(event.seq, next, "an event out of place");
            (next, received) = (next + 1, received + 1);
        }
    }
    (received, missed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_events_with_a_stalled_and_a_fast_subscriber() {
    const COUNT: u64 = 1_000_000;
    let bus = EventBus::new();
    let (stalled, fast) = (bus.subscribe(), bus.subscribe());
    let publisher = {
        let bus = bus.clone();
        thread::spawn(move || {
            let run = RunId::new();
            for seq in 0..COUNT {
                bus.publish(event(run, seq));
            }
            bus.close();
        })
    };
    let (received, missed) = drain(fast, 1_024).await;
    assert_eq!(received + missed, COUNT);
    publisher.join().unwrap();
    let capacity = bus.capacity() as u64;
    assert_eq!(drain(stalled, usize::MAX).await, (capacity, COUNT - capacity));
    assert_eq!(bus.subscribers(), 0);
}

/// Counts the events that are alive, by their shared path.
#[test]
fn memory_is_bounded_by_the_capacity_and_returns_to_nothing() {
    let bus = EventBus::with_capacity(100);
    let path: Arc<str> = Arc::from("counted");
    let publish = |seq| {
        let kind = EventKind::TextDelta { text: String::new() };
        let (run, path) = (RunId::new(), Arc::clone(&path));
        bus.publish(Arc::new(Event { run, seq, index: 0, path, parent: None, time_ms: 0, kind }));
    };
    let alive = || Arc::strong_count(&path) - 1;
    (0..1_000).for_each(publish);
    assert_eq!(alive(), 0, "nobody listens");
    let stalled = bus.subscribe();
    let mut fast = bus.subscribe();
    for seq in 0..10_000 {
        publish(seq);
        drop(fast.try_recv_batch(10));
        assert!(alive() <= 100);
    }
    assert_eq!(alive(), 100);
    drop(stalled);
    assert_eq!(alive(), 0, "the fast one has read everything");
    publish(1);
    drop(fast);
    assert_eq!(alive(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_threads_and_every_bus_has_the_order_of_the_numbers() {
    const THREADS: usize = 8;
    const EACH: usize = 5_000;
    let shared = EventBus::with_capacity(THREADS * EACH);
    let events = Arc::new(RunEvents::with_capacity(THREADS * EACH, [shared.clone()]));
    let (mut own, mut other) = (events.subscribe(), shared.subscribe());
    let root = CallCtx::new().with_sink(events.clone());
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let ctx = root.child(&thread.to_string());
            thread::spawn(move || {
                for at in 0..EACH {
                    if at % 5 == 0 {
                        ctx.emit(EventKind::ModelRetried { attempt: 1, wait_ms: at as u64, reason: String::new() });
                    } else {
                        ctx.emit(EventKind::TextDelta { text: at.to_string() });
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    events.close();
    shared.close();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    while let Some(batch) = own.recv_batch(1_000).await {
        left.extend(batch.events);
    }
    while let Some(batch) = other.recv_batch(7_777).await {
        right.extend(batch.events);
    }
    assert_eq!((left.len(), events.count()), (THREADS * EACH, (THREADS * EACH) as u64));
    assert!(left.iter().zip(&right).all(|(left, right)| Arc::ptr_eq(left, right)) && left.len() == right.len());

    let (mut seq, mut index) = (0, 0);
    let mut order: HashMap<Arc<str>, Vec<u64>> = HashMap::new();
    for event in &left {
        let at = match &event.kind {
            EventKind::TextDelta { text } => {
                index += 1;
                text.parse().unwrap()
            }
            EventKind::ModelRetried { wait_ms, .. } => {
                (seq, index) = (seq + 1, 0);
                *wait_ms
            }
            other => panic!("{other:?}"),
        };
        assert_eq!((event.seq, event.index), (seq, index));
        order.entry(Arc::clone(&event.path)).or_default().push(at);
    }
    assert_eq!(order.len(), THREADS);
    assert!(order.values().all(|own| own.is_sorted()), "each thread's events keep their order");
}

#[tokio::test]
async fn a_consumer_may_publish_subscribe_and_unsubscribe() {
    let bus = EventBus::new();
    let run = RunId::new();
    let mut subscription = bus.subscribe();
    bus.publish(event(run, 0));
    for seq in 1..100 {
        let batch = subscription.recv_batch(1).await.unwrap();
        assert_eq!(batch.events[0].seq, seq - 1);
        let mut second = bus.subscribe();
        bus.publish(event(run, seq));
        assert_eq!(second.try_recv_batch(9).unwrap().events[0].seq, seq);
    }
    assert_eq!(bus.subscribers(), 1);
}

/// A waker is foreign code: it may use the bus, so it must not run under the bus's lock or the run's.
#[test]
fn a_waker_may_use_the_bus_and_the_run() {
    use std::task::{Context, Wake, Waker};

    struct Meddler {
        bus: EventBus,
        events: Arc<RunEvents>,
        woken: AtomicUsize,
    }
    impl Wake for Meddler {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Ordering::Relaxed);
            drop(self.bus.subscribe());
            self.bus.publish(event(RunId::new(), 7));
            self.events.emit(&CallCtx::new(), EventKind::TextDelta { text: "woken".into() });
        }
    }

    let bus = EventBus::new();
    let events = Arc::new(RunEvents::new([bus.clone()]));
    let mut own = events.subscribe();
    let mut shared = bus.subscribe();
    let meddler = Arc::new(Meddler { bus, events: Arc::clone(&events), woken: AtomicUsize::new(0) });
    let waker = Waker::from(Arc::clone(&meddler));
    assert!(own.poll_recv_batch(&mut Context::from_waker(&waker), 1).is_pending());
    assert!(shared.poll_recv_batch(&mut Context::from_waker(&waker), 1).is_pending());
    events.emit(&CallCtx::new(), EventKind::RunStarted { agent: "a".into(), model: "m".into() });
    assert_eq!(meddler.woken.load(Ordering::Relaxed), 2);
    assert_eq!(events.count(), 3);
}
