//! Random batches, beside the store in memory.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod support;

use std::time::Duration;

use atomr_agents_state::{Batch, BlobId, Change, Durability, Expect, MemoryStore, NewEntry, Scan, Store};
use bytes::Bytes;
use proptest::prelude::*;

use crate::support::{key, open};

#[derive(Clone, Debug)]
enum Step {
    Commit(Batch),
    Sweep,
    Open,
}

fn body() -> impl Strategy<Value = Bytes> {
    // Around the lengths at which SQLite begins another page.
    let length = prop_oneof![0..40usize, 480..500usize, 2_000..2_060usize, 4_000..9_000usize];
    (length, any::<u8>()).prop_map(|(length, byte)| Bytes::from(vec![byte % 4; length]))
}

fn refs() -> impl Strategy<Value = Vec<BlobId>> {
    prop::collection::vec(body().prop_map(|body| BlobId::of(&body)), 0..3)
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![4 => Just(Expect::Any), 1 => Just(Expect::Absent), 1 => (0..4u64).prop_map(Expect::Version)]
}

fn change() -> impl Strategy<Value = Change> {
    let name = || prop_oneof!["[a-c%_é]{1,2}"];
    let entries = prop::collection::vec((body(), refs()).prop_map(|(body, refs)| NewEntry { body, refs }), 0..4);
    let put = (name(), body(), refs(), prop::option::of(0..9u64), expect()).prop_map(
        |(name, value, refs, due_ms, expect)| Change::Put { key: key("s", &name), value, refs, due_ms, expect },
    );
    let append = (name(), prop::option::weighted(0.2, 0..6u64), entries)
        .prop_map(|(name, at, entries)| Change::Append { stream: key("s", &name), at, entries });
    prop_oneof![
        4 => put,
        1 => (name(), expect()).prop_map(|(name, expect)| Change::Delete { key: key("s", &name), expect }),
        4 => append,
        1 => (name(), 0..9u64).prop_map(|(name, before)| Change::Cut { stream: key("s", &name), before }),
        1 => name().prop_map(|name| Change::Drop { stream: key("s", &name) }),
        2 => body().prop_map(|bytes| Change::Blob { id: BlobId::of(&bytes), bytes }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let batch = (prop::collection::vec(change(), 0..5), any::<bool>()).prop_map(|(changes, full)| {
        let durability = if full { Durability::Full } else { Durability::Relaxed };
        Step::Commit(Batch { changes, durability, ..Batch::default() })
    });
    prop_oneof![12 => batch, 1 => Just(Step::Sweep), 1 => Just(Step::Open)]
}

/// Everything that a store shows.
async fn contents(store: &dyn Store, batches: &[Batch]) -> String {
    let mut shown = Vec::new();
    for scan in [Scan::of("s"), Scan::of("s").reversed(), Scan::of("s").prefix("a").after("a%"), Scan::of("s").limit(2)]
    {
        shown.push(format!("{:?}", store.scan(&scan).await.unwrap()));
    }
    for change in batches.iter().flat_map(|batch| &batch.changes) {
        match change {
            Change::Append { stream, .. } => {
                shown.push(format!("{:?}", store.read(stream, 0, 1_000).await.unwrap()));
                shown.push(format!("{:?}", store.read(stream, 2, 2).await.unwrap()));
                shown.push(store.end(stream).await.unwrap().to_string());
            }
            Change::Blob { id, .. } => shown.push(format!("{:?}", store.blobs(&[*id]).await.unwrap())),
            _ => {}
        }
    }
    shown.join("\n")
}

async fn alike(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (memory, mut store) = (MemoryStore::new(), open(&path));
    let mut batches = Vec::new();
    for step in steps {
        match step {
            Step::Commit(batch) => {
                let left = memory.commit(batch.clone()).await.map_err(|error| error.to_string());
                let right = store.commit(batch.clone()).await.map_err(|error| error.to_string());
                prop_assert_eq!(left, right);
                batches.push(batch);
            }
            Step::Sweep => {
                let left = memory.sweep(Duration::ZERO).await.unwrap();
                prop_assert_eq!(left, store.sweep(Duration::ZERO).await.unwrap());
            }
            Step::Open => {
                drop(store);
                store = open(&path);
            }
        }
    }
    prop_assert_eq!(contents(&memory, &batches).await, contents(&store, &batches).await);
    let gone = |message: &str| !message.contains("which is not there");
    prop_assert_eq!(store.verify().await.unwrap().iter().filter(|damage| gone(&damage.message)).count(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_batches_do_what_they_do_in_memory(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(alike(steps))?;
    }
}
