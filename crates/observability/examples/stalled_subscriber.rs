//! A million events past one fast subscriber, then past a fast and a stalled one: what a producer pays, and whether what
//! is promised about it held. Ends with an error if it did not.
//!
//! `cargo run --release -p atomr-agents-observability --example stalled_subscriber`

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use atomr_agents_core::{Event, EventKind, RunId};
use atomr_agents_observability::{EventBus, Subscription};

const COUNT: usize = 1_000_000;
/// Rounds of both sides alternate, so that a busy machine slows both; the best of each is compared.
const ROUNDS: usize = 5;

struct Figures {
    p999: Duration,
    elapsed: Duration,
    /// Received and missed.
    fast: (u64, u64),
    stalled: Option<(u64, u64)>,
}

/// Reads to the end.
fn drain(mut subscription: Subscription) -> Option<(u64, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
    runtime.block_on(async {
        let (mut received, mut missed) = (0, 0);
        while let Some(batch) = subscription.recv_batch(1_024).await {
            received += batch.events.len() as u64;
            missed += batch.missed;
        }
        Some((received, missed))
    })
}

fn measure(stall: bool) -> Option<Figures> {
    let bus = EventBus::new();
    let stalled = stall.then(|| bus.subscribe());
    let subscription = bus.subscribe();
    let reader = thread::spawn(move || drain(subscription));
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
    let stalled = stalled.map(drain).unwrap_or_default();
    let fast = reader.join().ok()??;
    times.sort_unstable();
    Some(Figures { p999: times[COUNT * 999 / 1_000], elapsed, fast, stalled })
}

fn best(rounds: &[Figures]) -> Option<(Duration, f64)> {
    let p999 = rounds.iter().map(|round| round.p999).min()?;
    let elapsed = rounds.iter().map(|round| round.elapsed).min()?;
    Some((p999, COUNT as f64 / elapsed.as_secs_f64() / 1e6))
}

fn main() -> ExitCode {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.extend(measure(false));
        with.extend(measure(true));
    }
    let (Some((alone, alone_rate)), Some((p999, rate))) = (best(&without), best(&with)) else {
        return ExitCode::FAILURE;
    };
    println!("without a stalled subscriber: {alone_rate:.2} million events/s, p99.9 {alone:?}");
    println!("with one:                     {rate:.2} million events/s, p99.9 {p999:?}");
    let accounts = with.iter().flat_map(|round| [Some(round.fast), round.stalled]).flatten();
    let exact = accounts.clone().count() == 2 * ROUNDS
        && accounts.clone().all(|(received, missed)| received + missed == COUNT as u64);
    let checks = [
        ("p99.9 of a publish at most 10 us", p999 <= Duration::from_micros(10)),
        ("at least 90 % of the throughput without it", rate >= 0.9 * alone_rate),
        ("received + missed = published, for both subscribers", exact),
    ];
    for (what, met) in checks {
        println!("  {}  {what}", if met { "met   " } else { "MISSED" });
    }
    if checks.iter().all(|(_, met)| *met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
