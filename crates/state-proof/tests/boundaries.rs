//! Processes that die at each commit of their journal: just before it, and just after it, when nobody has heard of it.
//!
//! Once in a run that each life brings on by one commit, so that it meets every boundary with everything that a restart does
//! in between; and once in runs of which each dies at another boundary of its first life and is gone on with by the next.
//! `ATOMR_CRASH_STEPS` says how many steps the graph of the first has, and how many tools its agent calls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests fail as tests do, and say what they did

mod support;

use atomr_agents_state_proof::{PARALLEL, Strike, Work};
use support::{Home, Trace, setting};

type At = fn(u64) -> Strike;

/// More commits of one life than bring any run on: what it says again when it goes on, and an effect that is in doubt.
const MOST: u64 = 8;

/// One run: each life makes one commit that says something new, and dies beside the next. Which of an agent's parallel tools
/// share a commit is chance; of a graph each commit is known.
async fn on_and_on(name: &str, home: &Home, work: Work, strike: At) {
    let mut run = Trace::of(home, home.task(&format!("{name}-on"), work));
    let graph = matches!(work, Work::Graph { .. });
    // Fewer commits than have ever brought a resumed graph on are not tried each time.
    let (mut commits, mut last, mut least, mut tries) = (1, 1, None, 0);
    while !run.done {
        run.task.strike = Some(strike(commits));
        let (before, resumed) = (run.news(), run.has_begun());
        let told = run.live(None).await;
        let new = run.news() - before;
        // What was found not to have happened is begun again, under a key of its own: that is new, and was met before.
        let most = if run.found_out_before() { 2 } else { 1 };
        assert!(
            !graph || new <= most || told.unknown.is_some() || run.done,
            "{name}: a boundary was passed over: {commits} {before}+{new} of {most}: {told:?}"
        );
        tries += 1;
        if told.unknown.is_some() {
            // It was found out, and the next life must get beyond the boundary at which the one before died.
            (commits, tries) = (last + 1, 0);
        } else if new > 0 {
            if graph && resumed && told.killed {
                least = Some(least.map_or(commits, |least: u64| least.min(commits)));
            }
            last = if graph { commits } else { 2 };
            (commits, tries) = (least.unwrap_or(1), 0);
        } else if resumed || tries > 1 {
            // Before a run begins, what all runs of a graph share is written once.
            (commits, tries) = (commits + 1, 0);
        }
        assert!(commits <= MOST, "{name}: after {before} commits no life brings the run on: {told:?}");
    }
    run.check().await;
    println!(
        "{name}: {} commits, {} deaths, {} effects attempted again, {} unknown",
        run.news(),
        run.kills,
        run.repeated,
        run.unknowns
    );
    assert!(run.unknowns > 0, "no life died while an effect was in doubt");
    if graph {
        // After an intent nothing has happened yet, and after an outcome it is recorded: only before one it is done again.
        assert_eq!(run.repeated > 0, matches!(strike(1), Strike::Before(_)));
    }
}

/// As many runs as one has commits: each dies at another of them, and the next life goes on to the end.
async fn once_each(name: &str, home: &Home, work: Work, strike: At) {
    let (mut died, mut unknowns) = (0, 0);
    for commit in 1.. {
        let mut run = Trace::of(home, home.task(&format!("{name}-{commit}"), work));
        run.task.strike = Some(strike(commit));
        run.live(None).await;
        run.task.strike = None;
        while !run.done {
            assert!(run.lives <= 3, "{name}: the run does not get on after commit {commit}");
            run.live(None).await;
        }
        run.check().await;
        unknowns += run.unknowns;
        if run.kills == 0 {
            break; // it has no such commit
        }
        died += 1;
    }
    println!("{name}: died at each of {died} commits, {unknowns} unknown");
    assert!(unknowns > 0, "no life died while an effect was in doubt");
}

async fn everywhere(name: &str, home: Home, long: Work, short: Work) {
    for (when, strike) in [("before", Strike::Before as At), ("after", Strike::After)] {
        on_and_on(&format!("{name}-{when}"), &home, long, strike).await;
        once_each(&format!("{name}-{when}"), &home, short, strike).await;
    }
    home.close().await;
}

async fn graph(place: &str, home: Home) {
    let steps = setting("ATOMR_CRASH_STEPS", 8);
    let short = Work::Graph { steps: steps.min(20) / 4, once_every: 2 };
    everywhere(&format!("graph-{place}"), home, Work::Graph { steps, once_every: 5 }, short).await;
}

async fn agent(place: &str, home: Home) {
    let rounds = usize::try_from(setting("ATOMR_CRASH_STEPS", 8)).unwrap() / PARALLEL;
    everywhere(&format!("agent-{place}"), home, Work::Agent { rounds }, Work::Agent { rounds: 2 }).await;
}

#[tokio::test]
async fn a_graph_on_sqlite_dies_at_each_commit() {
    graph("sqlite", Home::sqlite()).await;
}

#[tokio::test]
async fn a_graph_on_postgres_dies_at_each_commit() {
    let Some(home) = Home::postgres() else { return };
    graph("postgres", home).await;
}

#[tokio::test]
async fn an_agent_with_parallel_tools_on_sqlite_dies_at_each_commit() {
    agent("sqlite", Home::sqlite()).await;
}

#[tokio::test]
async fn an_agent_with_parallel_tools_on_postgres_dies_at_each_commit() {
    let Some(home) = Home::postgres() else { return };
    agent("postgres", home).await;
}
