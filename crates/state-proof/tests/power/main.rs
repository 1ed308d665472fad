//! The power fails: what a run in SQLite has acknowledged is there.
//!
//! A process runs a graph while everything that it does to its files is recorded (`record.c`). Out of the record folders are
//! made as they may be when the machine loses its power at any moment: what was flushed is there, of the rest any part, cut at
//! sectors. Each is opened, verified and compared with the whole run. `ATOMR_CRASH_IMAGES` says how many.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail as tests do, and say what they did"
)]

mod disk;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_state::{Durability, Item, Placed, RunLogError, RunReader, Store, verify_run};
use atomr_agents_state_proof::{Place, Task, Work};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use disk::Disk;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Life, Op, Recorder, setting};

const RUN: &str = "r";
const STEPS: u64 = 60;
/// Few, so that the log is copied into the database all the time.
const CHECKPOINT: u32 = 24;

/// What was recorded of a run, and the run.
struct Recorded {
    ops: Vec<Op>,
    frames: Vec<Placed>,
    task: Task,
    outside: tempfile::TempDir,
}

async fn recorded(durability: Durability) -> Option<Recorded> {
    let (outside, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let recorder = Recorder::new(folder.path(), outside.path())?;
    let path = folder.path().canonicalize().unwrap().join("runs.db");
    let task = Task {
        place: Place::Sqlite { path, checkpoint_pages: CHECKPOINT },
        run: RUN.to_owned(),
        ledger: outside.path().join("ledger"),
        work: Work::Graph { steps: STEPS, once_every: 7 },
        strike: None,
        durability,
        lease: Duration::from_millis(300),
        contends: false,
    };
    let ops = recorder.live(&task);

    // Nothing was missed: what was recorded makes the files that are there.
    let mut whole = Disk::default();
    ops.iter().for_each(|op| whole.apply(op));
    let mut files = disk::Image::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        files.insert(name.clone(), std::fs::read(folder.path().join(name)).unwrap());
    }
    files.retain(|name, _| !name.ends_with("-shm"));
    assert!(whole.seen() == files, "the record is not what happened");
    assert!(files.contains_key("runs.db") && files.contains_key("runs.db-high"));

    let store: Arc<dyn Store> = Arc::new(opened(folder.path()));
    let frames = RunReader::open(store, RUN).await.unwrap().frames().await.unwrap();
    Some(Recorded { ops, frames, task, outside })
}

fn opened(folder: &Path) -> SqliteStore {
    let options = SqliteOptions { checkpoint_pages: CHECKPOINT, ..SqliteOptions::default() };
    SqliteStore::open(folder.join("runs.db"), options).unwrap()
}

/// What must be there when the power fails after some of what was recorded.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    /// The last step that was acknowledged; none before the run had begun.
    acked: Option<u64>,
    /// The last one that had been when the log was flushed last.
    flushed: Option<u64>,
}

impl Due {
    fn after(&mut self, op: &Op) {
        match op {
            Op::Said(said) => {
                let ack = |line: &str| line.strip_prefix("ack ")?.parse().ok();
                self.acked = said.lines().filter_map(ack).next_back().or(self.acked);
            }
            Op::Flushed(name) if name.ends_with("-wal") => self.flushed = self.acked,
            _ => {}
        }
    }
}

/// Opens an image and looks at what is left of the run: how many of its acknowledged steps are lost.
async fn look(recorded: &Recorded, folder: &Path, due: Due) -> u64 {
    let store = opened(folder);
    assert_eq!(store.verify().await.unwrap(), [], "{due:?}");
    let store: Arc<dyn Store> = Arc::new(store);
    let last = match RunReader::open(Arc::clone(&store), RUN).await {
        Ok(reader) => {
            let frames = reader.frames().await.unwrap();
            let bytes = |placed: &Placed| format!("{:?}", placed.frame);
            assert!(frames.len() <= recorded.frames.len());
            for (there, was) in frames.iter().zip(&recorded.frames) {
                assert_eq!(bytes(there), bytes(was), "a beginning of the history, and no other");
            }
            assert!(verify_run(&store, RUN).await.unwrap().is_whole());
            let items = frames.iter().flat_map(|placed| &placed.frame.items);
            items
                .filter_map(|item| if let Item::Checkpoint(point) = item { Some(point.step) } else { None })
                .next_back()
        }
        Err(RunLogError::NoSuchRun { .. }) => None,
        Err(error) => panic!("{due:?}: {error}"),
    };
    assert!(last >= due.flushed, "step {:?} had been flushed, {last:?} is left", due.flushed);
    let steps = |step: Option<u64>| step.map_or(0, |step| step + 1);
    steps(due.acked).saturating_sub(steps(last))
}

/// Whoever starts the machine anew goes on with the run: to its end, or to an effect of which nobody knows.
async fn gone_on_with(recorded: &Recorded, folder: &Path) {
    let path = folder.join("runs.db");
    let task = Task { place: Place::Sqlite { path, checkpoint_pages: CHECKPOINT }, ..recorded.task.clone() };
    // Nobody of this start of the machine knows the process that had the run: its lease has to run out.
    let told = Life::begin(&Task { contends: true, ..task }).end().await;
    assert!(told.done || told.unknown.is_some(), "{told:?}");
}

async fn failed(durability: Durability) {
    let Some(recorded) = recorded(durability).await else { return };
    let (images, seed) = (setting("ATOMR_CRASH_IMAGES", 150), setting("ATOMR_CRASH_SEED", 1));
    let mut chance = StdRng::seed_from_u64(seed);
    let mut moments: Vec<usize> = (0..images).map(|_| chance.random_range(0..=recorded.ops.len())).collect();
    moments.sort_unstable();
    let (mut disk, mut due, mut done) = (Disk::default(), Due::default(), 0);
    let (mut lost, mut most, mut begun) = (0, 0, 0);
    for (number, moment) in moments.into_iter().enumerate() {
        for op in &recorded.ops[done..moment] {
            disk.apply(op);
            due.after(op);
        }
        done = moment;
        let folder = tempfile::tempdir_in(recorded.outside.path()).unwrap();
        disk::lay(&disk.cut_off(&mut chance), folder.path());
        let steps = look(&recorded, folder.path(), due).await;
        (lost, most, begun) = (lost + u64::from(steps > 0), most.max(steps), begun + u64::from(due.acked.is_some()));
        assert!(durability == Durability::Relaxed || steps == 0, "image {number}: {steps} acknowledged steps are lost");
        if (number as u64).is_multiple_of((images / 5).max(1)) {
            gone_on_with(&recorded, folder.path()).await;
        }
    }
    println!(
        "{durability:?}, seed {seed}: {images} images of {} changes, {begun} of them with acknowledged steps; all open and are whole; {lost} \
         have lost acknowledged steps, at most {most} of them",
        recorded.ops.len()
    );
    assert!(begun > images / 2);
    // What a relaxed commit may lose it does: else the images would prove nothing.
    assert_eq!(durability == Durability::Relaxed, lost > 0);
}

#[tokio::test]
async fn no_step_that_was_acknowledged_is_lost_with_the_power() {
    failed(Durability::Full).await;
}

#[tokio::test]
async fn a_relaxed_run_loses_at_most_what_came_after_the_last_flush_and_never_a_hole() {
    failed(Durability::Relaxed).await;
}

/// The images find what they are to find: an acknowledgement that came before its flush.
#[tokio::test]
async fn a_store_that_acknowledges_too_early_is_found_out() {
    let Some(mut recorded) = recorded(Durability::Full).await else { return };
    recorded.ops.retain(|op| !matches!(op, Op::Flushed(name) if name.ends_with("-wal")));
    let mut chance = StdRng::seed_from_u64(1);
    let (mut disk, mut due) = (Disk::default(), Due::default());
    for op in &recorded.ops {
        disk.apply(op);
        due.after(op);
        if due.acked == Some(STEPS / 2) {
            break;
        }
    }
    let mut found = 0;
    for _ in 0..20 {
        let folder = tempfile::tempdir_in(recorded.outside.path()).unwrap();
        disk::lay(&disk.cut_off(&mut chance), folder.path());
        let options = SqliteOptions::default();
        match SqliteStore::open(folder.path().join("runs.db"), options) {
            Ok(store) => {
                let store: Arc<dyn Store> = Arc::new(store);
                let frames = match RunReader::open(store, RUN).await {
                    Ok(reader) => reader.frames().await.map_or(0, |frames| frames.len()),
                    Err(_) => 0,
                };
                let steps = recorded.frames[..frames].iter().flat_map(|placed| &placed.frame.items);
                let last = steps.filter(|item| matches!(item, Item::Checkpoint(_))).count() as u64;
                found += u64::from(last <= STEPS / 2);
            }
            // The mark beside the database says that commits are missing.
            Err(error) => {
                assert_eq!(error.kind(), Kind::Corrupt, "{error}");
                found += 1;
            }
        }
    }
    assert!(found > 0);
}
