//! Two processes that fight for one run: one of them writes at a time, and the run has one history. They are stopped and woken
//! beyond their lease, and have it taken away by force. `ATOMR_CRASH_FIGHTS` says how many fights.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests fail as tests do, and say what they did

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use atomr_agents_state::{Key, StoreError};
use atomr_agents_state_proof::Work;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Home, Life, Trace, setting};

/// Longer than a process needs until it asks for the run.
const LONG: Duration = Duration::from_secs(2);
const SHORT: Duration = Duration::from_millis(150);

/// No step was done by two lives: a step is told of again where a run is gone on with after it, and by nobody else.
fn apart(first: &[u64], second: &[u64]) {
    let [first, second] = [first, second].map(|acks| acks.iter().copied().collect::<BTreeSet<_>>());
    let both: Vec<_> = first.intersection(&second).collect();
    assert!(both.len() <= 1, "both did {both:?}");
}

/// One is stopped in the middle of its work until the other has taken the run over, and then woken.
async fn taken_over(home: Home) {
    let mut run = Trace::of(&home, home.task("taken-over", Work::Graph { steps: 200, once_every: 0 }));
    run.task.lease = LONG;
    let mut first = Life::begin(&run.task);
    while first.told.acks.len() < 5 {
        first.hear().await.unwrap();
    }
    first.stop().await;
    // Not in the middle of a commit to a file: whoever is stopped there keeps everybody out of it.
    while !home.is_free().await {
        first.wake();
        tokio::task::yield_now().await;
        first.stop().await;
    }
    run.task.contends = true;
    let mut second = Life::begin(&run.task);
    // It is kept out until the lease has run out.
    while second.told.acks.len() < 5 {
        second.hear().await.unwrap();
    }
    assert!(second.told.held > 0);
    first.wake();
    let (first, second) = (first.end().await, second.end().await);
    assert_eq!((first.fenced, first.done), (1, false), "the first was told that it lost the run: {first:?}");
    assert!(second.done, "{second:?}");
    apart(&first.acks, &second.acks);
    run.done = true;
    run.check().await;
    home.close().await;
}

/// Somebody takes the lease of a process that is at work, in its name: from then on it writes nothing, and says so.
async fn robbed(home: Home) {
    let mut run = Trace::of(&home, home.task("robbed", Work::Graph { steps: 300, once_every: 0 }));
    run.task.contends = true;
    let mut life = Life::begin(&run.task);
    let key = Key::new("run", "robbed").unwrap();
    let mut acks = 0;
    for robberies in 1..=3 {
        acks += 5;
        while life.told.acks.len() < acks {
            life.hear().await.unwrap();
        }
        let owner = match home.store().await.acquire(&key, "a robber", LONG).await {
            Err(StoreError::Held { owner, .. }) => owner,
            other => panic!("nobody had it: {other:?}"),
        };
        let lease = home.store().await.acquire(&key, &owner, Duration::from_secs(60)).await.unwrap();
        let end = home.store().await.end(&key).await.unwrap();
        while life.told.fenced < robberies {
            life.hear().await.expect("it goes on until it is told");
        }
        let held = life.told.held;
        while life.told.held == held {
            life.hear().await.expect("it asks for the run again");
        }
        assert_eq!(home.store().await.end(&key).await.unwrap(), end, "it wrote without the lease");
        home.store().await.release(&lease).await.unwrap();
        acks = life.told.acks.len();
    }
    let told = life.end().await;
    assert!(told.done && told.fenced == 3, "{told:?}");
    run.done = true;
    run.check().await;
    home.close().await;
}

/// Both want the run until it has ended; at random moments one of them is stopped, often for longer than its lease.
async fn fought_for(home: &Home, seed: u64) -> u64 {
    let mut run = Trace::of(home, home.task(&format!("fight-{seed}"), Work::Graph { steps: 100, once_every: 0 }));
    (run.task.lease, run.task.contends) = (SHORT, true);
    let mut moments = StdRng::seed_from_u64(seed);
    let mut lives = [Life::begin(&run.task), Life::begin(&run.task)];
    let mut ended = [false; 2];
    while ended != [true; 2] {
        let one = moments.random_range(0..2);
        if !ended[one] {
            lives[one].stop().await;
            let while_stopped = tokio::time::sleep(SHORT.mul_f64(moments.random_range(0.5..3.0)));
            let other = 1 - one;
            let heard = async {
                while !ended[other] && lives[other].hear().await.is_some() {}
                ended[other] = true;
                std::future::pending::<()>().await;
            };
            tokio::select! { () = heard => {}, () = while_stopped => {} }
            lives[one].wake();
        }
        // Both go on for a while.
        let awhile = SHORT.mul_f64(moments.random_range(0.0..0.5));
        for at in 0..2 {
            let hears = async { while lives[at].hear().await.is_some() {} };
            if !ended[at] && tokio::time::timeout(awhile, hears).await.is_ok() {
                ended[at] = true;
            }
        }
    }
    let [first, second] = lives;
    let (first, second) = (first.end().await, second.end().await);
    assert!(first.done && second.done, "both see the end: {first:?} {second:?}");
    run.done = true;
    run.check().await;
    first.fenced + second.fenced
}

async fn fought(place: &str, home: Home) {
    let (fights, mut fenced) = (setting("ATOMR_CRASH_FIGHTS", 2), 0);
    for seed in 0..fights {
        fenced += fought_for(&home, seed).await;
    }
    println!("{place}: {fights} fights, fenced {fenced} times");
    home.close().await;
}

#[tokio::test]
async fn a_process_that_was_stopped_finds_its_run_taken_over_and_writes_no_more() {
    taken_over(Home::sqlite()).await;
}

#[tokio::test]
async fn a_process_that_was_stopped_finds_its_run_on_postgres_taken_over_and_writes_no_more() {
    let Some(home) = Home::postgres() else { return };
    taken_over(home).await;
}

#[tokio::test]
async fn a_process_whose_lease_is_taken_by_force_writes_no_more() {
    robbed(Home::sqlite()).await;
}

#[tokio::test]
async fn a_process_whose_lease_on_postgres_is_taken_by_force_writes_no_more() {
    let Some(home) = Home::postgres() else { return };
    robbed(home).await;
}

#[tokio::test]
async fn two_processes_that_fight_for_one_run_write_one_history() {
    fought("sqlite", Home::sqlite()).await;
}

#[tokio::test]
async fn two_processes_that_fight_for_one_run_on_postgres_write_one_history() {
    let Some(home) = Home::postgres() else { return };
    fought("postgres", home).await;
}
