//! Copies, size, and what is cleaned up.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod support;

use std::fs;
use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_state::{Batch, BlobId, Change, Durability, NewEntry, Store};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use bytes::Bytes;

use crate::support::{LONG, key, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_the_database_at_one_moment_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("x.db"));
    let (left, right) = (key("log", "left"), key("log", "right"));
    let both = |number: u32| {
        let body = Bytes::from(number.to_string());
        Batch::new().durability(Durability::Relaxed).append(&left, None, body.clone()).append(&right, None, body)
    };
    for number in 0..200 {
        store.commit(both(number)).await.unwrap();
    }
    let copy = folder.path().join("copy.db");
    let writing = async {
        for number in 200..400 {
            store.commit(both(number)).await.unwrap();
        }
    };
    let (copied, ()) = tokio::join!(store.backup(&copy), writing);
    copied.unwrap();
    let error = store.backup(&copy).await.unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("is there already"), "{error}");
    let copied = open(&copy);
    let end = copied.end(&left).await.unwrap();
    assert!((200..=400).contains(&end));
    assert_eq!(copied.read(&left, 0, 999).await.unwrap(), copied.read(&right, 0, 999).await.unwrap());
    assert_eq!(copied.verify().await.unwrap(), []);
    copied.commit(both(0)).await.unwrap();
    let error = store.backup(folder.path().join("no/where.db")).await.unwrap_err();
    assert!(error.to_string().contains("no/where.db"), "{error}");
}

#[tokio::test]
async fn a_thousand_turns_of_4_kb_cost_less_than_a_third_more_than_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path);
    let (run, mut raw) = (key("run", "01890a5d-ac96-774b-bcce-b302099a8057"), 0);
    for turn in 0..1_000u64 {
        let message = Bytes::from(format!("{turn:08} ").repeat(456));
        raw += message.len();
        let entry = NewEntry { body: Bytes::from(vec![7; 200]), refs: vec![BlobId::of(&message)] };
        let append = Change::Append { stream: run.clone(), at: Some(turn), entries: vec![entry] };
        store.commit(Batch::new().durability(Durability::Relaxed).blob(message).with(append)).await.unwrap();
    }
    drop(store);
    let size = fs::metadata(&path).unwrap().len();
    assert!(size as f64 <= 1.3 * raw as f64, "{size} bytes for {raw}");
}

#[tokio::test]
async fn a_log_that_is_written_all_the_time_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let options = SqliteOptions { checkpoint_pages: 50, ..SqliteOptions::default() };
    let store = SqliteStore::open(&path, options).unwrap();
    for _ in 0..2_000 {
        let batch =
            Batch::new().durability(Durability::Relaxed).append(&key("log", "1"), None, Bytes::from(vec![1; 300]));
        store.commit(batch).await.unwrap();
    }
    let size = fs::metadata(folder.path().join("x.db-wal")).unwrap().len();
    assert!(size < 2_000 * 3 * 2_072 / 4, "{size} bytes of 12 MB that were written");
}

#[tokio::test]
async fn a_blob_that_is_written_again_is_kept_for_its_grace_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path);
    store.commit(Batch::new().blob("old").blob("again")).await.unwrap();
    let outside = rusqlite::Connection::open(&path).unwrap();
    outside.execute("UPDATE blobs SET used = used - 700000", []).unwrap();
    store.commit(Batch::new().blob("again")).await.unwrap();
    let swept = store.sweep(LONG).await.unwrap();
    assert_eq!((swept.blobs, swept.bytes), (1, 3));
    let left = store.blobs(&[BlobId::of(b"old"), BlobId::of(b"again")]).await.unwrap();
    assert_eq!(left, [None, Some(Bytes::from("again"))]);
    let noted = || outside.query_row("SELECT used FROM blobs", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = noted();
    store.commit(Batch::new().blob("again")).await.unwrap();
    assert_eq!(noted(), before, "a use that is hardly newer is not worth a page");
}

#[tokio::test]
async fn leases_that_were_let_go_are_forgotten_and_tokens_grow_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path);
    let first = store.acquire(&key("run", "1"), "a", LONG).await.unwrap();
    let held = store.acquire(&key("run", "2"), "a", LONG).await.unwrap();
    store.release(&first).await.unwrap();
    store.sweep(Duration::ZERO).await.unwrap();
    let outside = rusqlite::Connection::open(&path).unwrap();
    let count: i64 = outside.query_row("SELECT count(*) FROM leases", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    let again = store.acquire(&key("run", "1"), "b", LONG).await.unwrap();
    assert!(again.token > first.token + 1);
    store.commit(Batch::new().fenced(held.fence())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_a_test_has_stopped_does_not_end_a_wait() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("x.db"));
    for _ in 0..20 {
        store.commit(Batch::new().append(&key("log", "1"), None, Bytes::from("x"))).await.unwrap();
    }
    assert_eq!(store.end(&key("log", "1")).await.unwrap(), 20);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        SqliteOptions { readers: 0, ..SqliteOptions::default() },
        SqliteOptions { queue: 0, ..SqliteOptions::default() },
        SqliteOptions { checkpoint_pages: 0, ..SqliteOptions::default() },
    ] {
        let error = SqliteStore::open(folder.path().join("x.db"), options).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
    }
    assert!(!folder.path().join("x.db").exists());
}
