//! Processes that are killed at random moments: nothing that was acknowledged is lost, nothing that must not happen twice does.
//!
//! `ATOMR_CRASH_KILLS` says how many kills; `ATOMR_CRASH_SEED` where they come.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unnecessary_unwrap)] // helpers of tests fail as tests do, and say what they did

mod support;

use std::time::Duration;

use atomr_agents_state_proof::Work;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Home, Moment, Trace, setting};

const GRAPH: Work = Work::Graph { steps: 200, once_every: 5 };
const AGENT: Work = Work::Agent { rounds: 25 };
/// About as long as a run takes.
const WINDOW: Duration = Duration::from_millis(250);

/// Runs, one after the other, until so many kills were made; each is looked at when it has ended.
async fn killed(name: &str, home: Home, work: Work) {
    let (kills, seed) = (setting("ATOMR_CRASH_KILLS", 100), setting("ATOMR_CRASH_SEED", 1));
    let mut moments = StdRng::seed_from_u64(seed);
    let (mut killed, mut unknowns, mut repeated, mut runs, mut resumes) = (0, 0, 0, 0, Vec::new());
    while killed < kills {
        runs += 1;
        let mut run = Trace::of(&home, home.task(&format!("run-{runs}"), work));
        while !run.done {
            let time = WINDOW.mul_f64(moments.random_range(0.0..1.0));
            // Some on their way up, most while they work.
            let moment = if moments.random_ratio(1, 4) { Moment::OfItsLife(time) } else { Moment::OfItsWork(time) };
            run.live((killed + run.kills < kills).then_some(moment)).await;
        }
        run.check().await;
        (killed, unknowns, repeated) = (killed + run.kills, unknowns + run.unknowns, repeated + run.repeated);
        resumes.append(&mut run.resumes);
    }
    resumes.sort_unstable();
    let at = |part: usize| resumes.get(resumes.len() * part / 100).copied().unwrap_or_default();
    println!(
        "{name}, seed {seed}: {killed} kills of {runs} runs; {repeated} effects attempted again, {unknowns} unknown; from the birth of \
         the process to its first new effect: median {:?}, p99 {:?}",
        at(50),
        at(99)
    );
    assert!(repeated + unknowns > 0, "no kill hit an effect: other moments are needed");
    home.close().await;
}

#[tokio::test]
#[ignore = "takes minutes, and has not passed yet: make soak runs it"]
async fn a_graph_on_sqlite_is_killed_at_random() {
    killed("graph, sqlite", Home::sqlite().await, GRAPH).await;
}

#[tokio::test]
#[ignore = "takes minutes, and has not passed yet: make soak runs it"]
async fn a_graph_on_postgres_is_killed_at_random() {
    let Some(home) = Home::postgres().await else { return };
    killed("graph, postgres", home, GRAPH).await;
}

#[tokio::test]
#[ignore = "takes minutes, and has not passed yet: make soak runs it"]
async fn an_agent_on_sqlite_is_killed_at_random() {
    killed("agent, sqlite", Home::sqlite().await, AGENT).await;
}

#[tokio::test]
#[ignore = "takes minutes, and has not passed yet: make soak runs it"]
async fn an_agent_on_postgres_is_killed_at_random() {
    let Some(home) = Home::postgres().await else { return };
    killed("agent, postgres", home, AGENT).await;
}
