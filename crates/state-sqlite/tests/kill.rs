//! Processes that are killed, and processes that share a file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod support;

use std::collections::HashMap;

use atomr_agents_core::Kind;
use atomr_agents_state::{Batch, BlobId, Change, Durability, Expect, NewEntry, Store};
use bytes::Bytes;

use crate::support::{LONG, Process, key, open, say, told};

/// Writes one entry after the other, each with a blob and a record, and says each number when it is committed.
#[tokio::test]
#[ignore = "a process of the tests below"]
async fn child_writes() {
    let Some(what) = told() else { return };
    let store = open(&what[0]);
    let durability = if what[1] == "full" { Durability::Full } else { Durability::Relaxed };
    let run = key("run", "1");
    let lease = store.acquire(&run, &what[2], LONG).await.unwrap();
    for at in store.end(&run).await.unwrap().. {
        let body = Bytes::from(format!("body {at} {}", "x".repeat(usize::try_from(at % 700).unwrap())));
        let entry = NewEntry { body: Bytes::from(format!("entry {at}")), refs: vec![BlobId::of(&body)] };
        let append = Change::Append { stream: run.clone(), at: Some(at), entries: vec![entry] };
        let batch = Batch::new().fenced(lease.fence()).durability(durability).blob(body).with(append);
        store.commit(batch.put(&run, at.to_string(), Expect::Any)).await.unwrap();
        say(at);
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_has_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let (run, mut acknowledged) = (key("run", "1"), None);
    for round in 0..20u64 {
        let durability = if round % 2 == 0 { "full" } else { "relaxed" };
        let mut child = Process::start("child_writes", &[path.to_str().unwrap(), durability, &round.to_string()]);
        // Somewhere in its work, another place each time.
        for _ in 0..=(round * 7 % 23) {
            acknowledged = child.hear().or(acknowledged);
        }
        acknowledged = child.kill().pop().or(acknowledged);
        let last: u64 = acknowledged.as_deref().unwrap().parse().unwrap();

        let store = open(&path);
        let entries = store.read(&run, 0, usize::MAX).await.unwrap();
        let count = entries.len() as u64;
        assert!(count == last + 1 || count == last + 2, "round {round}: {last} was acknowledged, {count} are there");
        for (at, entry) in entries.iter().enumerate() {
            assert_eq!(entry.body, format!("entry {at}"));
            assert!(store.blobs(&entry.refs).await.unwrap()[0].is_some());
        }
        let record = store.get(&run).await.unwrap().unwrap();
        assert_eq!((record.version, record.value), (count, Bytes::from((count - 1).to_string())));
        assert_eq!(store.verify().await.unwrap(), []);
    }
}

/// Adds to a counter by compare-and-swap, and to a log, as often as it was told.
#[tokio::test]
#[ignore = "a process of the tests below"]
async fn child_counts() {
    let Some(what) = told() else { return };
    let store = open(&what[0]);
    let (counter, log) = (key("r", "count"), key("log", "w"));
    for turn in 0..what[2].parse::<u32>().unwrap() {
        loop {
            let record = store.get(&counter).await.unwrap();
            let expect = record.map_or(Expect::Absent, |record| Expect::Version(record.version));
            let batch =
                Batch::new().put(&counter, "n", expect).append(&log, None, Bytes::from(format!("{}.{turn}", what[1])));
            let durability = if turn % 8 == 0 { Durability::Full } else { Durability::Relaxed };
            match store.commit(batch.durability(durability)).await {
                Ok(()) => break,
                Err(error) => assert_eq!(error.kind(), Kind::Conflict, "{error}"),
            }
        }
    }
    say("done");
}

#[tokio::test]
async fn processes_on_one_file_lose_nothing_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    // None of them has made the file: all of them try at once.
    let mut children: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|name| Process::start("child_counts", &[path.to_str().unwrap(), name, "40"]))
        .collect();
    for child in &mut children {
        assert_eq!(child.hear().as_deref(), Some("done"));
    }
    let store = open(&path);
    let entries = store.read(&key("log", "w"), 0, 1_000).await.unwrap();
    assert_eq!(store.get(&key("r", "count")).await.unwrap().unwrap().version, 120);
    let mut turns: HashMap<String, u32> = HashMap::new();
    for entry in entries {
        let text = String::from_utf8(entry.body.to_vec()).unwrap();
        let (name, turn) = text.split_once('.').unwrap();
        let next = turns.entry(name.to_owned()).or_default();
        assert_eq!(turn, next.to_string(), "each process's own come in their order");
        *next += 1;
    }
    assert_eq!(turns.values().copied().collect::<Vec<_>>(), [40, 40, 40]);
    assert_eq!(store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_lease_that_another_process_took_fences() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut child = Process::start("child_writes", &[path.to_str().unwrap(), "relaxed", "child"]);
    child.hear().unwrap();
    let (store, run) = (open(&path), key("run", "1"));
    assert_eq!(store.acquire(&run, "parent", LONG).await.unwrap_err().kind(), Kind::Locked);
    // The same owner, begun anew: what the child writes from here on is refused, and it ends.
    let lease = store.acquire(&run, "child", LONG).await.unwrap();
    while child.hear().is_some() {}
    let end = store.end(&run).await.unwrap();
    store.commit(Batch::new().fenced(lease.fence()).append(&run, Some(end), Bytes::from("mine"))).await.unwrap();
    assert!(!child.child.wait().unwrap().success());
}
