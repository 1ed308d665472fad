//! Processes that die at each commit of their journal: just before it, and just after it, when nobody has heard of it.
//!
//! A life does a few commits and dies; the next goes on. So one run meets every boundary, with everything that a restart
//! does in between. `ATOMR_CRASH_STEPS` says how many steps the graph has; the agent calls as many tools.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unnecessary_unwrap)] // helpers of tests fail as tests do, and say what they did

mod support;

use atomr_agents_state_proof::{Strike, Work};
use support::{Home, Trace, homes, setting};

async fn died(name: &str, home: &Home, work: Work, strike: fn(u64) -> Strike) {
    let mut run = Trace::of(home, home.task(&format!("{name}-{strike:?}"), work));
    // A life that was too short to bring the run on is followed by one that is longer.
    let mut commits = 1;
    while !run.done {
        run.task.strike = Some(strike(commits));
        let before = run.frames().await.len();
        run.live(None).await;
        commits = if run.frames().await.len() > before { 1 } else { commits + 1 };
        assert!(commits < 20, "the run does not get on");
    }
    run.check().await;
    println!("{name}: {} deaths, {} effects attempted again, {} unknown", run.kills, run.repeated, run.unknowns);
    assert!(run.unknowns > 0);
}

async fn everywhere(name: &str, work: Work) {
    for (place, home) in homes().await {
        died(&format!("{name}-{place}"), &home, work, Strike::Before).await;
        died(&format!("{name}-{place}"), &home, work, Strike::After).await;
        home.close().await;
    }
}

#[tokio::test]
#[ignore = "takes minutes, and has not passed yet: make soak runs it"]
async fn a_graph_dies_at_each_commit() {
    everywhere("graph", Work::Graph { steps: setting("ATOMR_CRASH_STEPS", 20), once_every: 5 }).await;
}

#[tokio::test]
#[ignore = "takes minutes, and has not passed yet: make soak runs it"]
async fn an_agent_with_parallel_tools_dies_at_each_commit() {
    let rounds = usize::try_from(setting("ATOMR_CRASH_STEPS", 20) / 4).unwrap();
    everywhere("agent", Work::Agent { rounds }).await;
}
