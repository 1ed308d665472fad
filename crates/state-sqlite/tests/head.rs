//! The one row that every commit writes: where the logs end that were written last, and what a connection may keep in mind.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod support;

use std::time::Duration;

use atomr_agents_state::{Batch, Change, Durability, Expect, Store, StoreError};
use bytes::Bytes;
use rusqlite::Connection;

use crate::support::{LONG, key, open};

fn append(log: u64, at: u64) -> Batch {
    let batch = Batch::new().durability(Durability::Relaxed);
    batch.append(&key("log", &log.to_string()), Some(at), Bytes::from(format!("{log} {at}")))
}

#[tokio::test]
async fn more_logs_than_the_head_has_room_for_keep_their_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (logs, rounds) = (50, 7);
    for round in 0..rounds {
        // Opened anew each time, and with a second connection that writes half of them.
        let (one, other) = (open(&path), open(&path));
        for log in 0..logs {
            let store = if log % 2 == 0 { &one } else { &other };
            store.commit(append(log * 31 % logs, round)).await.unwrap();
        }
        assert_eq!(one.verify().await.unwrap(), []);
    }
    let store = open(&path);
    for log in 0..logs {
        let name = key("log", &log.to_string());
        assert_eq!(store.end(&name).await.unwrap(), rounds);
        let entries = store.read(&name, 0, 99).await.unwrap();
        let found: Vec<_> = entries.iter().map(|entry| String::from_utf8(entry.body.to_vec()).unwrap()).collect();
        assert_eq!(found, (0..rounds).map(|at| format!("{log} {at}")).collect::<Vec<_>>());
        let error = store.commit(append(log, rounds - 1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_log_that_was_cut_or_dropped_is_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (one, other) = (open(&path), open(&path));
    for at in 0..5 {
        one.commit(append(1, at)).await.unwrap();
    }
    let name = key("log", "1");
    other.commit(Batch::new().with(Change::Cut { stream: name.clone(), before: 3 })).await.unwrap();
    one.commit(append(1, 5)).await.unwrap();
    assert_eq!(one.read(&name, 0, 9).await.unwrap().iter().map(|entry| entry.at).collect::<Vec<_>>(), [3, 4, 5]);
    other.commit(Batch::new().with(Change::Drop { stream: name.clone() })).await.unwrap();
    other.commit(append(2, 0)).await.unwrap();
    let error = one.commit(append(1, 6)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    one.commit(append(1, 0)).await.unwrap();
    assert_eq!((one.end(&name).await.unwrap(), one.end(&key("log", "2")).await.unwrap()), (1, 1));
    assert_eq!(one.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_batch_that_fails_leaves_nothing_in_mind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("x.db"));
    let taken = key("record", "taken");
    store.commit(Batch::new().put(&taken, "", Expect::Absent)).await.unwrap();
    for durability in [Durability::Relaxed, Durability::Full] {
        let error =
            store.commit(append(1, 0).put(&taken, "", Expect::Absent).durability(durability)).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    }
    // At once, so that they are done in one transaction: each fails or succeeds alone.
    let bad = || store.commit(append(1, 0).put(&taken, "", Expect::Absent).durability(Durability::Full));
    let good = |log| store.commit(append(log, 0).durability(Durability::Full));
    let (first, second, third, fourth, fifth) = tokio::join!(bad(), good(2), bad(), good(1), good(3));
    assert!(first.is_err() && third.is_err());
    second.and(fourth).and(fifth).unwrap();
    for log in 1..=3 {
        assert_eq!(store.end(&key("log", &log.to_string())).await.unwrap(), 1);
    }
    assert_eq!(store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_lease_that_another_connection_took_fences_a_writer_who_was_let_through_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (one, other) = (open(&path), open(&path));
    let name = key("run", "1");
    let lease = one.acquire(&name, "one", Duration::from_millis(1)).await.unwrap();
    let written = |at| append(1, at).fenced(lease.fence());
    one.commit(written(0)).await.unwrap();
    one.commit(written(1)).await.unwrap();
    std::thread::sleep(Duration::from_millis(5));
    let newer = other.acquire(&name, "other", LONG).await.unwrap();
    let error = one.commit(written(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced { newest, .. } if newest == newer.token), "{error}");
    other.commit(append(1, 2).fenced(newer.fence())).await.unwrap();
    other.commit(append(1, 3).fenced(newer.fence())).await.unwrap();
    other.release(&newer).await.unwrap();
    let error = other.commit(append(1, 4).fenced(newer.fence())).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
}

#[tokio::test]
async fn a_head_that_is_not_what_was_written_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path);
    store.commit(append(1, 0)).await.unwrap();
    store.commit(append(1, 1)).await.unwrap();
    let tamper = Connection::open(&path).unwrap();
    for sql in ["UPDATE head SET commits = commits + 1", "UPDATE head SET tails = x''", "DELETE FROM head"] {
        tamper.execute_batch(sql).unwrap();
        let error = store.commit(append(1, 2)).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{sql}: {error}");
        assert!(store.read(&key("log", "1"), 0, 9).await.is_err(), "{sql}");
    }
}
