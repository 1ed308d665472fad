//! Processes that are killed at random moments: nothing that was acknowledged is lost, nothing that must not happen twice does.
//!
//! `ATOMR_CRASH_KILLS` says how many kills, `ATOMR_CRASH_STEPS` how many steps a graph has and how many tools an agent calls,
//! `ATOMR_CRASH_SEED` where the kills come.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests fail as tests do, and say what they did

mod support;

use std::time::Duration;

use atomr_agents_state_proof::{PARALLEL, Work};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Home, Moment, Trace, setting};

/// Lives that end before this come to some steps, and not to all.
const WINDOW: Duration = Duration::from_millis(60);

fn steps() -> u64 {
    setting("ATOMR_CRASH_STEPS", 40)
}

fn graph() -> Work {
    Work::Graph { steps: steps(), once_every: 5 }
}

fn agent() -> Work {
    Work::Agent { rounds: usize::try_from(steps()).unwrap() / PARALLEL }
}

/// Runs, one after the other, until so many kills were made; each is looked at when it has ended.
async fn killed(name: &str, home: Home, work: Work) {
    let (kills, seed) = (setting("ATOMR_CRASH_KILLS", 100), setting("ATOMR_CRASH_SEED", 1));
    let mut moments = StdRng::seed_from_u64(seed);
    let (mut killed, mut lives, mut unknowns, mut repeated, mut runs) = (0, 0, 0, 0, 0);
    let mut resumes = Vec::new();
    while killed < kills {
        runs += 1;
        let mut run = Trace::of(&home, home.task(&format!("run-{runs}"), work));
        while !run.done {
            let time = WINDOW.mul_f64(moments.random_range(0.0..1.0));
            // Some on their way up, most while they work.
            let moment = if moments.random_ratio(1, 4) { Moment::OfItsLife(time) } else { Moment::OfItsWork(time) };
            run.live((killed + run.kills < kills).then_some(moment)).await;
            assert!(run.lives < 1_000, "{name}: the run does not get on: {} kills", run.kills);
        }
        run.check().await;
        (killed, lives) = (killed + run.kills, lives + run.lives);
        (unknowns, repeated) = (unknowns + run.unknowns, repeated + run.repeated);
        resumes.append(&mut run.resumes);
    }
    resumes.sort_unstable();
    let at = |part: usize| resumes.get(resumes.len() * part / 100).copied().unwrap_or_default();
    println!(
        "{name}, seed {seed}: {killed} kills, {lives} lives, {runs} runs, {} steps; 0 acknowledged lost or done again, {repeated} in \
         doubt attempted again, {unknowns} unknown; from the loaded process to its first new effect: p50 {:?}, p99 {:?}",
        runs * steps(),
        at(50),
        at(99)
    );
    assert!(repeated + unknowns > 0, "no kill hit an effect: other moments are needed");
    home.close().await;
}

#[tokio::test]
async fn a_graph_on_sqlite_is_killed_at_random() {
    killed("graph, sqlite", Home::sqlite(), graph()).await;
}

#[tokio::test]
async fn a_graph_on_postgres_is_killed_at_random() {
    let Some(home) = Home::postgres() else { return };
    killed("graph, postgres", home, graph()).await;
}

#[tokio::test]
async fn an_agent_on_sqlite_is_killed_at_random() {
    killed("agent, sqlite", Home::sqlite(), agent()).await;
}

#[tokio::test]
async fn an_agent_on_postgres_is_killed_at_random() {
    let Some(home) = Home::postgres() else { return };
    killed("agent, postgres", home, agent()).await;
}
