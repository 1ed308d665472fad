//! A million events past one fast subscriber, then past a fast and a stalled one: what a producer pays.
//!
//! `cargo run --release -p atomr-agents-observability --example stalled_subscriber`

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use atomr_agents_core::{Event, EventKind, RunId};
use atomr_agents_observability::EventBus;

const COUNT: usize = 1_000_000;

struct Figures {
    p999: Duration,
    elapsed: Duration,
    fast: (u64, u64),
}

fn measure(stall: bool) -> Option<Figures> {
    let bus = EventBus::new();
    let stalled = stall.then(|| bus.subscribe());
    let mut subscription = bus.subscribe();
    let reader = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
        runtime.block_on(async {
            let (mut received, mut missed) = (0, 0);
            while let Some(batch) = subscription.recv_batch(1_024).await {
                received += batch.events.len() as u64;
                missed += batch.missed;
            }
            Some((received, missed))
        })
    });
    let (run, path) = (RunId::new(), Arc::<str>::from(""));
    let mut times = Vec::with_capacity(COUNT);
    let begin = Instant::now();
    for seq in 0..COUNT as u64 {
        let kind = EventKind::TextDelta { text: "token".into() };
        let event = Arc::new(Event { run, seq, index: 0, path: Arc::clone(&path), parent: None, time_ms: 0, kind });
        let before = Instant::now();
        bus.publish(event);
        times.push(before.elapsed());
    }
    let elapsed = begin.elapsed();
    bus.close();
    drop(stalled);
    let fast = reader.join().ok()??;
    times.sort_unstable();
    Some(Figures { p999: times[COUNT * 999 / 1_000], elapsed, fast })
}

fn main() {
    for stall in [false, true] {
        let Some(Figures { p999, elapsed, fast: (received, missed) }) = measure(stall) else { continue };
        let rate = COUNT as f64 / elapsed.as_secs_f64() / 1e6;
        let with = if stall { "with" } else { "without" };
        println!(
            "{with} a stalled subscriber: {rate:.2} million events/s, p99.9 {p999:?}; the fast one received {received} \
             and missed {missed}"
        );
    }
}
