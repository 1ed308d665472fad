//! Media that are full, cannot be written, or have gone.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests are tests, too")]
#![cfg(unix)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use atomr_agents_core::Kind;
use atomr_agents_state::{Batch, Durability, Expect, Store, StoreError};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use bytes::Bytes;

use crate::support::{Process, key, open, say, told};

/// A file system in memory, which goes when the test ends.
struct Medium {
    folder: tempfile::TempDir,
}

impl Medium {
    /// None, and the reason on standard error, where this process may not make one.
    fn of(size: &str) -> Option<Self> {
        let medium = Self { folder: tempfile::tempdir().unwrap() };
        let made = medium.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "none"]);
        if !made {
            eprintln!("skipped: only root can make a small file system");
        }
        made.then_some(medium)
    }

    fn mount(&self, arguments: &[&str]) -> bool {
        let command = Command::new("mount").args(arguments).arg(self.folder.path()).output();
        command.is_ok_and(|output| output.status.success())
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("runs.db")
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).output();
    }
}

/// Writes until it fails. Gives how many were acknowledged, and the error.
async fn fill(store: &SqliteStore, durability: Durability) -> (u64, StoreError) {
    let log = key("run", "1");
    for at in store.end(&log).await.unwrap().. {
        let batch = Batch::new().durability(durability).append(&log, Some(at), Bytes::from(vec![b'x'; 1_500]));
        if let Err(error) = store.commit(batch).await {
            return (at, error);
        }
    }
    unreachable!()
}

async fn there(path: &Path, acknowledged: u64) {
    let store = open(path);
    let entries = store.read(&key("run", "1"), 0, usize::MAX).await.unwrap();
    assert_eq!(entries.len() as u64, acknowledged, "what was acknowledged, and no more");
    assert_eq!(store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_full_medium_is_told_and_nothing_is_lost_when_there_is_room_again() {
    for durability in [Durability::Full, Durability::Relaxed] {
        let Some(medium) = Medium::of("1m") else { return };
        let store = open(medium.path());
        let (acknowledged, error) = fill(&store, durability).await;
        assert_eq!(error.kind(), Kind::StorageFull, "{error}");
        assert!(error.to_string().contains("runs.db"), "{error}");
        assert!(acknowledged > 50);
        let (again, error) = fill(&store, durability).await;
        assert_eq!((again, error.kind()), (acknowledged, Kind::StorageFull), "{error}");
        assert_eq!(
            store.read(&key("run", "1"), 0, usize::MAX).await.unwrap().len() as u64,
            acknowledged,
            "it can be read"
        );

        assert!(medium.mount(&["-o", "remount,size=2m"]));
        let (more, error) = fill(&store, durability).await;
        assert_eq!(error.kind(), Kind::StorageFull, "{error}");
        assert!(more > acknowledged + 50, "it goes on: {more}");
        drop(store);
        assert!(medium.mount(&["-o", "remount,size=8m"]));
        there(&medium.path(), more).await;
    }
}

#[tokio::test]
async fn a_batch_that_does_not_fit_leaves_those_beside_it() {
    let Some(medium) = Medium::of("2m") else { return };
    let store = open(medium.path());
    let (large, small) = (key("run", "large"), key("run", "small"));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20u32 {
        let (store, large, small) = (store.clone(), large.clone(), small.clone());
        tasks.spawn(async move {
            let batch = if number == 7 {
                Batch::new().put(&large, vec![1; 4 << 20], Expect::Any)
            } else {
                Batch::new().append(&small, None, Bytes::from(number.to_string()))
            };
            (number, store.commit(batch).await)
        });
    }
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            (7, result) => assert_eq!(result.unwrap_err().kind(), Kind::StorageFull),
            (_, result) => result.unwrap(),
        }
    }
    assert_eq!(store.end(&small).await.unwrap(), 19);
}

/// Writes until it fails, under a limit of the length of files.
#[tokio::test]
#[ignore = "a process of the tests below"]
async fn child_fills() {
    let Some(what) = told() else { return };
    let store = open(&what[0]);
    let (acknowledged, error) = fill(&store, Durability::Full).await;
    say(acknowledged);
    say(error.kind());
    say(error);
}

#[tokio::test]
async fn a_limit_of_the_length_of_files_is_an_error_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut shell = Command::new("sh");
    // The signal of that limit is ignored, as Python does.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let mut child = Process::start_in(shell, "child_fills", &[path.to_str().unwrap()]);
    let acknowledged: u64 = child.hear().unwrap().parse().unwrap();
    assert!(acknowledged > 20);
    let kind = child.hear().unwrap();
    assert!(kind == "storage" || kind == "storage_full", "{kind}");
    assert!(child.hear().unwrap().contains("runs.db"));
    child.child.wait().unwrap();
    there(&path, acknowledged).await;
}

#[tokio::test]
async fn a_medium_that_cannot_be_written_can_be_read_or_says_so() {
    let Some(medium) = Medium::of("4m") else { return };
    let store = open(medium.path());
    let log = key("run", "1");
    store.commit(Batch::new().append(&log, None, Bytes::from("x"))).await.unwrap();
    drop(store);
    assert!(medium.mount(&["-o", "remount,ro"]));
    let result = SqliteStore::open(medium.path(), SqliteOptions::default());
    match result {
        Ok(store) => {
            assert_eq!(store.end(&log).await.unwrap(), 1);
            let error = store.commit(Batch::new().append(&log, None, Bytes::from("x"))).await.unwrap_err();
            assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        }
        Err(error) => assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}"),
    }
    let error = SqliteStore::open(medium.folder.path().join("new.db"), SqliteOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
}

#[tokio::test]
async fn a_process_that_keeps_the_file_for_itself_is_waited_for_and_then_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let options = SqliteOptions { patience: std::time::Duration::from_millis(200), ..SqliteOptions::default() };
    let store = SqliteStore::open(&path, options).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = || Batch::new().append(&key("run", "1"), None, Bytes::from("x"));
    for durability in [Durability::Full, Durability::Relaxed] {
        let error = store.commit(batch().durability(durability)).await.unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        assert!(error.to_string().contains("runs.db"), "{error}");
    }
    assert_eq!(store.end(&key("run", "1")).await.unwrap(), 0, "reading does not wait for who writes");
    other.execute_batch("COMMIT").unwrap();
    store.commit(batch()).await.unwrap();
}
