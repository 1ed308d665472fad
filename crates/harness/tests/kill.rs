//! A process that is killed with SIGKILL while it runs a harness, again and again, on a SQLite file.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_harness::{
    BoxedHarness, FnLoop, Harness, HarnessOptions, HarnessSpec, IdempotencyKey, IterationCap, LoopStep, Settlement,
    StepEffect,
};
use atomr_agents_state::JournalOptions;
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use serde_json::json;

const FOLDER: &str = "ATOMR_HARNESS_KILL_FOLDER";
const EFFECT: &str = "ATOMR_HARNESS_KILL_EFFECT";
const ITERATIONS: u64 = 40;

/// Appends a number to a list, and does something outside that the ledger sees.
fn harness(folder: &Path, effect: StepEffect) -> BoxedHarness {
    let ledger = folder.join("ledger");
    let step = FnLoop::new(move |state, ctx| {
        let ledger = ledger.clone();
        async move {
            let (at, key) = (state.iteration + 1, ctx.get::<IdempotencyKey>().unwrap().to_string());
            let line = format!("step {at} {key}\n");
            std::fs::File::options()
                .create(true)
                .append(true)
                .open(ledger)
                .unwrap()
                .write_all(line.as_bytes())
                .unwrap();
            std::io::stdout().write_all(line.as_bytes()).unwrap();
            let mut memory = state.working_memory.as_array().unwrap().clone();
            memory.push(json!(at));
            Ok(if at == ITERATIONS { LoopStep::done(json!(memory)) } else { LoopStep::proceed(json!(memory)) })
        }
    });
    let store = SqliteStore::open(folder.join("runs.db"), SqliteOptions::default()).unwrap();
    let journal = JournalOptions { lease: Duration::from_millis(100), ..JournalOptions::default() };
    let options = HarnessOptions { store: Some(Arc::new(store)), journal, ..HarnessOptions::default() };
    let spec = HarnessSpec::new("kill", "1");
    let made = Harness::new(spec, step.with_effect(effect), IterationCap(100)).unwrap();
    made.with_options(options).into()
}

/// One life: begins the run or goes on with it, to its end.
async fn live(folder: &Path, effect: StepEffect) {
    let harness = harness(folder, effect);
    let mut settlement = Settlement::Unknown;
    loop {
        let begun = harness.run_as("r", json!([]), CallCtx::new()).await;
        let result = match begun {
            Err(failure) if failure.kind() == Kind::Conflict => {
                harness.resume_with("r", std::mem::take(&mut settlement), CallCtx::new()).await
            }
            other => other,
        };
        match result {
            Ok(outcome) => {
                assert_eq!(outcome.output, json!((1..=ITERATIONS).collect::<Vec<_>>()));
                return;
            }
            // The lease of the life before runs out.
            Err(failure) if failure.kind() == Kind::Locked => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(failure) if failure.kind() == Kind::OutcomeUnknown => {
                let at = failure.state.iteration + 1;
                let ledger = std::fs::read_to_string(folder.join("ledger")).unwrap_or_default();
                let mut memory = failure.state.working_memory.as_array().unwrap().clone();
                memory.push(json!(at));
                settlement = if !ledger.contains(&format!("step {at} ")) {
                    Settlement::RunAgain
                } else if at == ITERATIONS {
                    Settlement::Was(LoopStep::done(json!(memory)))
                } else {
                    Settlement::Was(LoopStep::proceed(json!(memory)))
                };
                std::io::stdout().write_all(format!("in doubt {at}\n").as_bytes()).unwrap();
            }
            Err(failure) if failure.to_string().contains("nothing to resume") => return,
            Err(failure) => panic!("{failure}"),
        }
    }
}

/// Not a test of its own: what the others start and kill.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let effect: StepEffect = std::env::var(EFFECT).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(live(Path::new(&folder), effect));
}

fn start(folder: &Path, effect: StepEffect) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(EFFECT, effect.as_str())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills life after life until one reaches the end. Gives how many were killed, and how often an outcome was in doubt.
fn kill_and_go_on(folder: &Path, effect: StepEffect, mut seed: u64) -> (u64, u64) {
    let (mut kills, mut doubts) = (0, 0);
    loop {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lines = 1 + (seed >> 33) % 5;
        let spins = (seed >> 40) % 200_000;
        let mut child = start(folder, effect);
        let mut read = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let Ok(line) = line else { break };
            doubts += u64::from(line.contains("in doubt"));
            read += u64::from(line.contains("step "));
            if read == lines {
                // Anywhere between the effect and the end of its commit.
                (0..spins).for_each(|at| {
                    std::hint::black_box(at);
                });
                child.kill().unwrap();
                kills += 1;
                break;
            }
        }
        let status = child.wait().unwrap();
        if status.success() {
            return (kills, doubts);
        }
        assert!(kills < 1_000 && read > 0, "a life ended by itself without having done anything");
    }
}

/// How often each iteration was run, and under how many keys.
fn attempts(folder: &Path) -> HashMap<u64, (u64, Vec<String>)> {
    let mut all: HashMap<u64, (u64, Vec<String>)> = HashMap::new();
    for line in std::fs::read_to_string(folder.join("ledger")).unwrap().lines() {
        let mut words = line.split(' ').skip(1);
        let entry = all.entry(words.next().unwrap().parse().unwrap()).or_default();
        entry.0 += 1;
        let key = words.next().unwrap().to_owned();
        if !entry.1.contains(&key) {
            entry.1.push(key);
        }
    }
    all
}

#[test]
fn an_iteration_that_ended_is_never_run_again_and_a_repeated_one_has_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let (kills, _) = kill_and_go_on(folder.path(), StepEffect::Idempotent, 7);
    let attempts = attempts(folder.path());
    let all: u64 = attempts.values().map(|(count, _)| count).sum();
    assert_eq!(attempts.len() as u64, ITERATIONS);
    assert!(kills >= 5 && all <= ITERATIONS + kills, "{all} attempts with {kills} kills");
    assert!(attempts.values().all(|(_, keys)| keys.len() == 1), "{attempts:?}");
}

#[test]
fn a_once_iteration_is_never_run_twice_and_every_doubt_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (kills, doubts) = kill_and_go_on(folder.path(), StepEffect::Once, 11);
    let attempts = attempts(folder.path());
    assert_eq!(attempts.len() as u64, ITERATIONS);
    assert!(attempts.values().all(|(count, _)| *count == 1), "{attempts:?}");
    assert!(kills >= 5 && doubts <= kills, "{kills} kills, {doubts} doubts");
}
