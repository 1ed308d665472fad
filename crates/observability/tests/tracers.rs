//! Tracers: delivery, errors, panics, lag, and what becomes of the task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atomr_agents_core::{CallCtx, Event, EventKind, EventSink, Kind, RunId};
use atomr_agents_observability::{BoxFuture, EventBus, RecordingTracer, RunEvents, Tracer, TracerError};
use tokio::sync::Semaphore;

fn event(seq: u64) -> Arc<Event> {
    let kind = EventKind::ModelRetried { attempt: 2, wait_ms: 0, reason: String::new() };
    Arc::new(Event { run: RunId::new(), seq, index: 0, path: Arc::from(""), parent: None, time_ms: 0, kind })
}

fn numbers(tracer: &RecordingTracer) -> Vec<u64> {
    tracer.events().iter().map(|event| event.seq).collect()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(done.is_ok(), "{what}: never");
}

/// Calls a closure for each event.
struct Each<F>(F);

impl<F: Fn(u64) -> Result<(), TracerError> + Send + Sync + 'static> Tracer for Each<F> {
    fn name(&self) -> &str {
        "each"
    }

    fn on_event(&self, event: Arc<Event>) -> BoxFuture<'_, Result<(), TracerError>> {
        Box::pin(async move { (self.0)(event.seq) })
    }
}

#[tokio::test]
async fn flush_delivers_what_was_published_before_it() {
    let bus = EventBus::new();
    let tracer = Arc::new(RecordingTracer::new());
    let handle = bus.attach_tracer(tracer.clone()).unwrap();
    for seq in 1..=1_000 {
        bus.publish(event(seq));
    }
    handle.flush().await.unwrap();
    assert_eq!((numbers(&tracer), tracer.flushes()), ((1..=1_000).collect(), 1));
    bus.publish(event(1_001));
    handle.detach().await.unwrap();
    assert_eq!((tracer.events().len(), tracer.flushes(), bus.subscribers()), (1_001, 2, 0));
}

#[tokio::test]
async fn when_the_bus_closes_the_rest_is_delivered_and_flushed() {
    let bus = EventBus::new();
    let tracer = Arc::new(RecordingTracer::new());
    let handle = bus.attach_tracer(tracer.clone()).unwrap();
    bus.publish(event(1));
    drop(bus);
    until("released", || !handle.is_attached()).await;
    assert_eq!((numbers(&tracer), tracer.flushes()), (vec![1], 1));
    handle.flush().await.unwrap();
}

#[tokio::test]
async fn dropping_the_handle_detaches() {
    let bus = EventBus::new();
    let handle = bus.attach_tracer(Arc::new(RecordingTracer::new())).unwrap();
    assert_eq!(bus.subscribers(), 1);
    drop(handle);
    until("unsubscribed", || bus.subscribers() == 0).await;
}

#[tokio::test]
async fn an_error_is_counted_and_the_next_event_comes() {
    let bus = EventBus::new();
    let seen = Arc::new(AtomicU64::new(0));
    let tracer = {
        let seen = Arc::clone(&seen);
        Each(move |seq| {
            seen.fetch_add(1, Ordering::Relaxed);
            if seq % 2 == 0 {
                let source = std::io::Error::other("disk full");
                return Err(TracerError::failed("each", Kind::Guest, source));
            }
            Ok(())
        })
    };
    let handle = bus.attach_tracer(Arc::new(tracer)).unwrap();
    for seq in 1..=4 {
        bus.publish(event(seq));
    }
    handle.flush().await.unwrap();
    assert_eq!((seen.load(Ordering::Relaxed), handle.errors()), (4, 2));
    let last = handle.last_error().unwrap();
    assert_eq!((last.kind(), last.to_string().as_str()), (Kind::Guest, "tracer each failed: disk full"));
    assert!(handle.is_attached());
}

#[tokio::test]
async fn a_panicking_tracer_is_removed_and_the_others_go_on() {
    let bus = EventBus::new();
    let bad = bus.attach_tracer(Arc::new(Each(|seq| if seq == 2 { panic!("at {seq}") } else { Ok(()) }))).unwrap();
    let tracer = Arc::new(RecordingTracer::new());
    let good = bus.attach_tracer(tracer.clone()).unwrap();
    for seq in 1..=3 {
        bus.publish(event(seq));
    }
    until("removed", || bus.subscribers() == 1).await;
    let error = bad.flush().await.unwrap_err();
    assert_eq!(error.to_string(), "tracer each panicked and was removed: at 2");
    assert!(!bad.is_attached() && bad.errors() == 1);
    good.flush().await.unwrap();
    assert_eq!(numbers(&tracer), [1, 2, 3]);
}

/// Takes one event per permit.
struct Slow {
    permits: Semaphore,
    seen: RecordingTracer,
}

impl Tracer for Slow {
    fn on_event(&self, event: Arc<Event>) -> BoxFuture<'_, Result<(), TracerError>> {
        Box::pin(async move {
            if let Ok(permit) = self.permits.acquire().await {
                permit.forget();
            }
            self.seen.on_event(event).await
        })
    }
}

#[tokio::test]
async fn a_slow_tracer_is_told_what_it_missed() {
    let bus = EventBus::with_capacity(10);
    let slow = Arc::new(Slow { permits: Semaphore::new(0), seen: RecordingTracer::new() });
    let handle = bus.attach_tracer(slow.clone()).unwrap();
    bus.publish(event(1));
    tokio::task::yield_now().await; // the tracer has taken the first one and hangs in it
    for seq in 2..=100 {
        bus.publish(event(seq));
    }
    slow.permits.add_permits(1_000);
    handle.flush().await.unwrap();
    let (mut received, mut missed) = (0, 0);
    for event in slow.seen.events() {
        match event.kind {
            EventKind::Lagged { missed: count } => missed += count,
            _ => received += 1,
        }
    }
    assert_eq!(received + missed, 100);
    assert!(missed >= 89, "the bus holds 10, one was taken: {missed}");
}

/// Emits into the run it traces.
struct Echo {
    events: Arc<RunEvents>,
    left: AtomicU64,
}

impl Tracer for Echo {
    fn on_event(&self, _event: Arc<Event>) -> BoxFuture<'_, Result<(), TracerError>> {
        Box::pin(async move {
            if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                self.events.emit(&CallCtx::new(), EventKind::TextDelta { text: "echo".into() });
                drop(self.events.subscribe());
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_tracer_may_use_the_bus_it_is_attached_to() {
    let bus = EventBus::new();
    let events = Arc::new(RunEvents::new([bus.clone()]));
    let handle = bus.attach_tracer(Arc::new(Echo { events: Arc::clone(&events), left: AtomicU64::new(50) })).unwrap();
    events.emit(&CallCtx::new(), EventKind::RunStarted { agent: "a".into(), model: "m".into() });
    until("51 events", || events.count() == 51).await;
    tokio::time::timeout(Duration::from_secs(10), handle.detach()).await.unwrap().unwrap();
}

#[test]
fn without_a_runtime_attaching_is_refused_and_a_dead_runtime_is_noticed() {
    let bus = EventBus::new();
    let refused = bus.attach_tracer(Arc::new(RecordingTracer::new())).unwrap_err();
    assert_eq!(refused.kind(), Kind::Runtime);
    assert_eq!(bus.subscribers(), 0);

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handle = bus.attach_tracer_on(Arc::new(RecordingTracer::new()), runtime.handle());
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let gone = other.block_on(handle.flush()).unwrap_err();
    assert!(matches!(gone, TracerError::Gone { .. }), "{gone:?}");
    assert_eq!(bus.subscribers(), 0);
}
