//! Many turns at once in one process.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents::prelude::*;
use atomr_agents_testkit::ScriptedModel;
use tokio::task::JoinSet;

use crate::tasks;

/// A field of this process's status, in bytes.
fn memory(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<usize>().ok()).unwrap_or(0) << 10
}

/// The whole figure is in `docs/benchmarks.md`; this is its tenth part, on a clock that does not wait.
#[tokio::test(start_paused = true)]
async fn a_thousand_turns_at_once_take_the_time_of_one_and_little_memory_each() {
    const TURNS: usize = 1_000;
    let words = vec!["word"; 100].join(" ");
    let model = Arc::new(ScriptedModel::new().text(&words).repeat().delay(Duration::from_millis(30)));
    let agent = AgentBuilder::new(model, "m").build().unwrap();
    agent.run("hello", CallCtx::new()).await.unwrap();
    let (before, began, alive) = (memory("VmRSS"), tokio::time::Instant::now(), tasks());
    let mut turns = JoinSet::new();
    for _ in 0..TURNS {
        let agent = agent.clone();
        turns.spawn(async move { agent.run("hello", CallCtx::new()).await.map(|result| result.output.len()) });
    }
    while let Some(turn) = turns.join_next().await {
        assert_eq!(turn.unwrap().unwrap(), words.len());
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?} on the paused clock");
    let each = memory("VmHWM").saturating_sub(before) / TURNS;
    println!("{each} bytes for each of {TURNS} turns");
    // Without optimisation the futures are larger than those that are shipped.
    assert!(each <= 2 * (15 << 10), "{each} bytes for each turn");
    assert_eq!(tasks(), alive);
}
