//! The medium fails: at each of the calls by which a run reaches its files, once or from then on, full, broken, or with half of what
//! was written. The caller is told what kind of failure it is; what was acknowledged is there, and the next life goes on.
//!
//! `ATOMR_CRASH_FAULTS` says at how many calls, spread over all of them.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail as tests do, and say what they did"
)]

mod support;

use std::collections::BTreeMap;

use atomr_agents_state_proof::Work;
use support::{Home, Op, Recorder, Trace, setting};

const WORK: Work = Work::Graph { steps: 6, once_every: 3 };
const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const HALF: i32 = 0;

/// How many calls a whole life makes.
async fn calls(home: &Home, recorder: &Recorder) -> u64 {
    let mut run = Trace::of(home, home.task("whole", WORK));
    run.live_in(&recorder.variables(), None).await;
    run.check().await;
    let reaches = |op: &&Op| matches!(op, Op::Written { .. } | Op::Cut { .. } | Op::Flushed(_));
    recorder.take().iter().filter(reaches).count() as u64
}

/// Runs whose first life meets the failure, each at another call.
async fn fails(with: i32, for_good: bool, kinds: &[&str]) {
    let outside = tempfile::tempdir().unwrap();
    let first = Home::sqlite();
    let Some(recorder) = Recorder::new(&first.folder(), outside.path()) else { return };
    let calls = calls(&first, &recorder).await;
    first.close().await;
    let tried = setting("ATOMR_CRASH_FAULTS", 12).min(calls);
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for number in 0..tried {
        let call = 1 + number * calls / tried;
        // A file of its own: its making is part of what may fail.
        let home = Home::sqlite();
        let recorder = Recorder::new(&home.folder(), outside.path()).unwrap();
        let mut variables = recorder.variables();
        let last = if for_good { u64::MAX >> 1 } else { call };
        let fault = [
            ("ATOMR_FAIL", call.to_string()),
            ("ATOMR_FAIL_LAST", last.to_string()),
            ("ATOMR_FAIL_WITH", with.to_string()),
        ];
        variables.extend(fault);
        let mut run = Trace::of(&home, home.task("r", WORK));
        let told = run.live_in(&variables, None).await;
        let end = match &told.failed {
            Some((kind, why)) => {
                assert!(kinds.contains(&kind.as_str()), "call {call}: {kind}: {why}");
                kind.as_str()
            }
            None => {
                assert!(told.done || told.unknown.is_some(), "call {call}: {told:?}");
                "none"
            }
        };
        *ends.entry(end.to_owned()).or_default() += 1;
        while !run.done {
            assert!(run.lives <= 4, "call {call}: the run does not get on when the medium is well again");
            run.live(None).await;
        }
        run.check().await;
        home.close().await;
    }
    println!("error {with}, {}: at {tried} of {calls} calls: {ends:?}", if for_good { "for good" } else { "once" });
    assert!(with == HALF || ends.keys().any(|kind| kind != "none"), "no failure reached the caller");
}

#[tokio::test]
async fn a_medium_that_is_full_once_is_told_and_nothing_is_lost() {
    fails(ENOSPC, false, &["StorageFull", "Storage"]).await;
}

#[tokio::test]
async fn a_medium_that_stays_full_is_told_and_the_run_goes_on_when_there_is_room() {
    fails(ENOSPC, true, &["StorageFull", "Storage"]).await;
}

#[tokio::test]
async fn a_medium_that_breaks_once_is_told_and_nothing_is_lost() {
    fails(EIO, false, &["Storage"]).await;
}

#[tokio::test]
async fn a_medium_that_stays_broken_is_told_and_the_run_goes_on_when_it_is_well() {
    fails(EIO, true, &["Storage"]).await;
}

#[tokio::test]
async fn a_write_that_is_done_by_half_loses_nothing() {
    fails(HALF, false, &["StorageFull", "Storage"]).await;
}
