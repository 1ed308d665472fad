//! Ten thousand turns at once against a model in this process, whose answer of a hundred pieces takes three seconds:
//! `cargo run --release -p atomr-agents --example many_turns [-- TURNS]`. It prints the time and the memory of it.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atomr_agents::prelude::*;
use atomr_agents_testkit::ScriptedModel;
use tokio::task::JoinSet;

/// A field of this process's status in KiB.
fn memory(field: &str) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(value.ok_or("no such field")?.trim().trim_end_matches("kB").trim().parse()?)
}

#[tokio::main]
#[allow(clippy::print_stdout)] // its output is what an example is for
async fn main() -> Result<(), Box<dyn Error>> {
    let turns: usize = std::env::args().nth(1).map_or(Ok(10_000), |turns| turns.parse())?;
    let words = vec!["word"; 100].join(" ");
    // Each piece takes its share, and so do the start, the usage and the end.
    let model = ScriptedModel::new().text(&words).repeat().delay(Duration::from_secs(3) / 103);
    let agent = AgentBuilder::new(Arc::new(model), "scripted").build()?;
    agent.run("hello", CallCtx::new()).await?;

    let (before, began) = (memory("VmRSS")?, Instant::now());
    let mut running = JoinSet::new();
    for _ in 0..turns {
        let agent = agent.clone();
        running.spawn(async move { agent.run("hello", CallCtx::new()).await.map(|result| result.output.len()) });
    }
    let mut errors = 0;
    while let Some(turn) = running.join_next().await {
        errors += usize::from(!matches!(turn, Ok(Ok(length)) if length == words.len()));
    }
    let (wall, grown) = (began.elapsed().as_secs_f64(), memory("VmHWM")? - before);
    println!(
        "{turns} turns in {wall:.1} s, {errors} errors, {:.1} KiB for each ({:.0} MiB)",
        grown / turns as f64,
        grown / 1024.0
    );
    Ok(())
}
