//! Whatever is done to it, it says what the store in memory says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use atomr_agents_state::{
    Batch, BlobId, Change, Expect, Fence, Key, Lease, MemoryStore, NewEntry, Scan, Store, StoreError,
};
use atomr_agents_state_postgres::PostgresStore;
use bytes::Bytes;
use proptest::prelude::*;
use support::{Schema, key, server};

const LONG: Duration = Duration::from_secs(3_600);
/// A time that no test reaches.
const FAR_MS: u64 = 4_000_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// Changes, and which of the leases taken so far fences them.
    Commit(Vec<Change>, Option<usize>),
    Acquire(Key, &'static str),
    Renew(usize),
    Release(usize),
    Claim(&'static str, usize),
    Sweep,
    Scan(Scan),
    Read(u64, usize),
}

fn names() -> impl Strategy<Value = Key> {
    (prop::sample::select(vec!["r", "s"]), prop::sample::select(vec!["a", "aa", "a%", "b", "ß", "日本"]))
        .prop_map(|(space, name)| key(space, name))
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec![&b""[..], b"\0\xff", b"one", b"two", &[7; 5_000]]).prop_map(Bytes::from_static)
}

fn refs() -> impl Strategy<Value = Vec<BlobId>> {
    prop::collection::vec(bytes().prop_map(|bytes| BlobId::of(&bytes)), 0..3)
}

fn expects() -> impl Strategy<Value = Expect> {
    prop_oneof![4 => Just(Expect::Any), 1 => Just(Expect::Absent), 2 => (0u64..4).prop_map(Expect::Version)]
}

fn changes() -> impl Strategy<Value = Change> {
    let due = prop::option::of(prop::sample::select(vec![0, 1, 2, FAR_MS]));
    let entry = (bytes(), refs()).prop_map(|(body, refs)| NewEntry { body, refs });
    let at = prop_oneof![3 => Just(None), 2 => (0u64..5).prop_map(Some)];
    prop_oneof![
        4 => (names(), bytes(), refs(), due, expects())
            .prop_map(|(key, value, refs, due_ms, expect)| Change::Put { key, value, refs, due_ms, expect }),
        2 => (names(), expects()).prop_map(|(key, expect)| Change::Delete { key, expect }),
        4 => (names(), at, prop::collection::vec(entry, 0..4))
            .prop_map(|(stream, at, entries)| Change::Append { stream, at, entries }),
        1 => (names(), prop_oneof![0u64..6, Just(u64::MAX)]).prop_map(|(stream, before)| Change::Cut { stream, before }),
        1 => names().prop_map(|stream| Change::Drop { stream }),
        3 => bytes().prop_map(|bytes| Change::Blob { id: BlobId::of(&bytes), bytes }),
    ]
}

fn scans() -> impl Strategy<Value = Scan> {
    let texts = || prop::sample::select(vec!["", "a", "a%", "a\0", "ß", "日", "\u{10ffff}"]);
    (prop::sample::select(vec!["r", "s", "\0"]), texts(), prop::option::of(texts()), 0usize..5, any::<bool>()).prop_map(
        |(space, prefix, after, limit, reverse)| Scan {
            space: space.to_owned(),
            prefix: prefix.to_owned(),
            after: after.map(str::to_owned),
            limit,
            reverse,
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop::collection::vec(changes(), 0..5), prop::option::of(0usize..6))
            .prop_map(|(changes, fence)| Step::Commit(changes, fence)),
        2 => (names(), prop::sample::select(vec!["x", "y"])).prop_map(|(key, owner)| Step::Acquire(key, owner)),
        1 => (0usize..6).prop_map(Step::Renew),
        1 => (0usize..6).prop_map(Step::Release),
        2 => (prop::sample::select(vec!["r", "s"]), 0usize..3).prop_map(|(space, limit)| Step::Claim(space, limit)),
        1 => Just(Step::Sweep),
        2 => scans().prop_map(Step::Scan),
        1 => (0u64..5, 0usize..4).prop_map(|(from, limit)| Step::Read(from, limit)),
    ]
}

/// What a step shows. Times are the store's own, so a lease is its key, owner and token.
async fn shown(store: &dyn Store, step: &Step, leases: &mut Vec<Lease>) -> String {
    let told = |lease: &Lease| format!("{} {} {}", lease.key, lease.owner, lease.token);
    let failed = |error: StoreError| match error {
        StoreError::Held { key, owner, .. } => format!("{key} is held by {owner}"),
        other => other.to_string(),
    };
    match step {
        Step::Commit(changes, fence) => {
            let fence: Option<Fence> = fence.and_then(|at| leases.get(at)).map(Lease::fence);
            let batch = Batch { fence, changes: changes.clone(), ..Batch::default() };
            format!("{:?}", store.commit(batch).await.map_err(failed))
        }
        Step::Acquire(key, owner) => match store.acquire(key, owner, LONG).await {
            Ok(lease) => {
                leases.push(lease.clone());
                told(&lease)
            }
            Err(error) => failed(error),
        },
        Step::Renew(at) => match leases.get(*at) {
            Some(lease) => store.renew(lease, LONG).await.map_or_else(failed, |lease| told(&lease)),
            None => String::new(),
        },
        Step::Release(at) => match leases.get(*at) {
            Some(lease) => format!("{:?}", store.release(lease).await.map_err(failed)),
            None => String::new(),
        },
        Step::Claim(space, limit) => {
            let claimed = store.claim(space, "w", LONG, *limit).await.unwrap();
            leases.extend(claimed.iter().map(|(_, _, lease)| lease.clone()));
            let shown: Vec<_> =
                claimed.iter().map(|(key, record, lease)| format!("{key} {record:?} {}", told(lease))).collect();
            shown.join(";")
        }
        Step::Sweep => format!("{:?}", store.sweep(Duration::ZERO).await.unwrap()),
        Step::Scan(scan) => format!("{:?}", store.scan(scan).await.unwrap()),
        Step::Read(from, limit) => {
            let mut shown = String::new();
            for name in ["a", "b", "日本"] {
                let log = key("r", name);
                shown +=
                    &format!("{:?} {}", store.read(&log, *from, *limit).await.unwrap(), store.end(&log).await.unwrap());
                shown += &format!("{:?}", store.get(&log).await.unwrap());
            }
            shown
        }
    }
}

async fn play(postgres: &PostgresStore, steps: &[Step]) -> Result<(), TestCaseError> {
    let memory = MemoryStore::new();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let last = [Step::Scan(Scan::of("r")), Step::Scan(Scan::of("s")), Step::Read(0, 99), Step::Sweep];
    for step in steps.iter().chain(&last) {
        let wanted = shown(&memory, step, &mut left).await;
        let found = shown(postgres, step, &mut right).await;
        prop_assert_eq!(wanted, found, "after {:?}", step);
    }
    let ids: Vec<BlobId> = [&b""[..], b"\0\xff", b"one", b"two", &[7; 5_000]].map(BlobId::of).to_vec();
    prop_assert_eq!(memory.blobs(&ids).await.unwrap(), postgres.blobs(&ids).await.unwrap());
    Ok(())
}

#[test]
fn it_says_what_the_store_in_memory_says() {
    let Some(server) = server() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let schema = Schema::new(server.dsn());
    let (store, client) = runtime.block_on(async { (schema.store().await, schema.client().await) });
    let cases = std::env::var("ATOMR_MODEL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let tables = ["records", "logs", "entries", "blobs", "leases"].map(|table| format!("{}.{table}", schema.name));
    let ran = runner.run(&prop::collection::vec(steps(), 1..25), |steps| {
        runtime.block_on(async {
            client.batch_execute(&format!("TRUNCATE {}", tables.join(", "))).await.unwrap();
            play(&store, &steps).await
        })
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
}
