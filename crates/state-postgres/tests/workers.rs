//! Many writers on one database: nothing is lost, nothing is done twice, and who lost a lease writes nothing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_state::{Batch, Change, Expect, Lease, Scan, Store};
use atomr_agents_state_postgres::PostgresStore;
use bytes::Bytes;
use rand::RngExt;
use support::{Schema, key, server};
use tokio::task::JoinSet;

const STEPS: u64 = 20;
const LEASE: Duration = Duration::from_millis(40);
const PAUSE: Duration = Duration::from_millis(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_writers_of_one_log_through_two_stores_lose_and_double_nothing() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let stores = [schema.store().await, schema.store().await];
    let (log, counter) = (key("log", "w"), key("r", "count"));
    let mut tasks = JoinSet::new();
    for writer in 0..8 {
        let (store, log, counter) = (stores[writer % 2].clone(), log.clone(), counter.clone());
        tasks.spawn(async move {
            for turn in 0..20 {
                loop {
                    let end = store.end(&log).await.unwrap();
                    let batch = Batch::new().append(&log, Some(end), Bytes::from(format!("{writer}.{turn}")));
                    match store.commit(batch.put(&counter, "n", Expect::Any)).await {
                        Ok(()) => break,
                        Err(error) => assert_eq!(error.kind(), Kind::Conflict, "{error}"),
                    }
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let entries = stores[0].read(&log, 0, 1_000).await.unwrap();
    assert!(entries.iter().enumerate().all(|(at, entry)| entry.at == at as u64));
    assert_eq!(entries.iter().map(|entry| &entry.body).collect::<HashSet<_>>().len(), 160);
    assert_eq!(stores[1].get(&counter).await.unwrap().unwrap().version, 160);
}

/// What the workers saw.
#[derive(Default)]
struct Seen {
    acknowledged: Mutex<HashSet<(String, u64)>>,
    fenced: AtomicU64,
}

/// Takes runs until none is left.
async fn work(store: PostgresStore, owner: String, seen: Arc<Seen>) {
    loop {
        let claimed = store.claim("run", &owner, LEASE, 1).await.unwrap();
        if claimed.is_empty() {
            let left = store.scan(&Scan::of("run").limit(10_000)).await.unwrap();
            if left.iter().all(|(_, record)| record.due_ms.is_none()) {
                return;
            }
            // Somebody else holds what is left. It may have run out when the lease is over.
            tokio::time::sleep(LEASE / 4).await;
        }
        for (_, _, lease) in claimed {
            if !advance(&store, &lease, &seen).await {
                seen.fenced.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Does the steps of a run that are left; `false` as soon as the lease is lost.
async fn advance(store: &PostgresStore, lease: &Lease, seen: &Seen) -> bool {
    let run = &lease.key;
    for step in store.end(run).await.unwrap()..STEPS {
        if rand::rng().random_bool(0.03) {
            tokio::time::sleep(PAUSE).await;
        }
        let entry = Bytes::from(format!("{step} {}", lease.token));
        let done = store.commit(Batch::new().fenced(lease.fence()).append(run, Some(step), entry)).await;
        match done {
            Ok(()) => assert!(
                seen.acknowledged.lock().unwrap().insert((run.name().to_owned(), step)),
                "step {step} of {run} was recorded twice"
            ),
            Err(error) if error.kind() == Kind::Fenced => return false,
            Err(error) => panic!("{error}"),
        }
        if step % 3 == 2 && store.renew(lease, LEASE).await.is_err_and(|error| error.kind() == Kind::Fenced) {
            return false;
        }
    }
    let done = Change::Put {
        key: run.clone(),
        value: Bytes::from("done"),
        refs: Vec::new(),
        due_ms: None,
        expect: Expect::Any,
    };
    let finished = store.commit(Batch::new().fenced(lease.fence()).with(done)).await;
    store.release(lease).await.unwrap();
    finished.is_ok()
}

/// 500 runs with `ATOMR_WORKER_RUNS=500`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_with_short_leases_record_each_step_of_each_run_once() {
    let Some(server) = server() else { return };
    let runs = std::env::var("ATOMR_WORKER_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(40usize);
    let schema = Schema::new(server.dsn());
    let first = schema.store().await;
    for run in 0..runs {
        let begun = Change::Put {
            key: key("run", &run.to_string()),
            value: Bytes::from("begun"),
            refs: Vec::new(),
            due_ms: Some(0),
            expect: Expect::Absent,
        };
        first.commit(Batch::new().with(begun)).await.unwrap();
    }
    let seen = Arc::new(Seen::default());
    let mut tasks = JoinSet::new();
    for worker in 0..4 {
        tasks.spawn(work(schema.store().await, format!("w{worker}"), Arc::clone(&seen)));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for run in 0..runs {
        let entries = first.read(&key("run", &run.to_string()), 0, 100).await.unwrap();
        let mut newest = 0;
        for (at, entry) in entries.iter().enumerate() {
            let text = std::str::from_utf8(&entry.body).unwrap();
            let (step, token) = text.split_once(' ').unwrap();
            assert_eq!(step.parse::<usize>().unwrap(), at, "run {run}");
            let token: u64 = token.parse().unwrap();
            assert!(token >= newest, "the epoch of run {run} went back");
            newest = token;
        }
        assert_eq!(entries.len() as u64, STEPS, "run {run}");
    }
    assert_eq!(seen.acknowledged.lock().unwrap().len() as u64, runs as u64 * STEPS);
    println!(
        "{} steps, each recorded once; {} writers were fenced",
        runs as u64 * STEPS,
        seen.fenced.load(Ordering::Relaxed)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_beside_writers_takes_no_blob_that_is_named() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let (store, sweeper) = (schema.store().await, schema.store().await);
    let log = key("log", "b");
    let ids: Vec<_> = (0..5u8).map(|at| atomr_agents_state::BlobId::of(&[at])).collect();
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let (store, log, ids) = (store.clone(), log.clone(), ids.clone());
        tasks.spawn(async move {
            for turn in 0..40u8 {
                let at = turn % 5;
                let named = atomr_agents_state::NewEntry { body: Bytes::new(), refs: vec![ids[usize::from(at)]] };
                let append = Change::Append { stream: log.clone(), at: None, entries: vec![named] };
                store.commit(Batch::new().blob(vec![at]).with(append)).await.unwrap();
                if turn % 7 == 6 {
                    let end = store.end(&log).await.unwrap();
                    store.commit(Batch::new().with(Change::Cut { stream: log.clone(), before: end })).await.unwrap();
                }
                let entries = store.read(&log, 0, 1_000).await.unwrap();
                let refs: Vec<_> = entries.iter().flat_map(|entry| entry.refs.clone()).collect();
                let missing = store.blobs(&refs).await.unwrap().iter().filter(|blob| blob.is_none()).count();
                // Another writer may have cut the log, and a sweep come, since it was read.
                if missing > 0 {
                    let first = store.read(&log, 0, 1).await.unwrap().first().map(|entry| entry.at);
                    assert!(first.is_none_or(|first| first > entries[0].at), "{missing} blobs are gone");
                }
            }
        });
    }
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let mut sweeping = JoinSet::new();
    sweeping.spawn(async move {
        let mut swept = 0;
        while stopped.try_recv().is_err() {
            swept += sweeper.sweep(Duration::ZERO).await.unwrap().blobs;
        }
        swept
    });
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    stop.send(()).unwrap();
    sweeping.join_next().await.unwrap().unwrap();
    let refs: Vec<_> = store.read(&log, 0, 1_000).await.unwrap().iter().flat_map(|entry| entry.refs.clone()).collect();
    assert!(store.blobs(&refs).await.unwrap().iter().all(Option::is_some));
}
