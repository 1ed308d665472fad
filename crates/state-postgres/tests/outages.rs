//! Connections and servers that go away under writers.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_state::{Batch, Key, Store};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_testkit::postgres::Cluster;
use bytes::Bytes;
use support::{Schema, client, key, random, server, with};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Each writer adds entries to one log until it is told to stop, and says how many were acknowledged.
fn writers(tasks: &mut JoinSet<(usize, u64)>, store: &PostgresStore, log: &Key, count: usize, stop: &Arc<AtomicBool>) {
    for writer in 0..count {
        let (store, log, stop) = (store.clone(), log.clone(), Arc::clone(stop));
        tasks.spawn(async move {
            let mut turn = 0;
            while !stop.load(Ordering::SeqCst) {
                let entry = Bytes::from(format!("{writer}.{turn}"));
                store.commit(Batch::new().append(&log, None, entry)).await.unwrap();
                turn += 1;
            }
            (writer, turn)
        });
    }
}

/// Every acknowledged entry is there once, and nothing else is.
async fn check(store: &PostgresStore, log: &Key, mut tasks: JoinSet<(usize, u64)>) -> usize {
    let mut wanted = HashSet::new();
    while let Some(done) = tasks.join_next().await {
        let (writer, turns) = done.unwrap();
        wanted.extend((0..turns).map(|turn| format!("{writer}.{turn}")));
    }
    let entries = store.read(log, 0, 1_000_000).await.unwrap();
    assert!(entries.iter().enumerate().all(|(at, entry)| entry.at == at as u64));
    let found: Vec<_> = entries.iter().map(|entry| String::from_utf8(entry.body.to_vec()).unwrap()).collect();
    assert_eq!(found.len(), wanted.len());
    assert_eq!(found.into_iter().collect::<HashSet<_>>(), wanted);
    wanted.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed_lose_nothing_and_double_nothing() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let name = random("app");
    let dsn = with(server.dsn(), &format!("application_name={name}"));
    let store = PostgresStore::connect(&dsn, schema.options()).await.unwrap();
    let killer = schema.client().await;
    let (log, stop) = (key("log", "k"), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    writers(&mut tasks, &store, &log, 4, &stop);
    let mut killed = 0;
    for _ in 0..40 {
        sleep(Duration::from_millis(20)).await;
        let kill =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'";
        killed += killer.query(kill, &[&name]).await.unwrap().len();
    }
    stop.store(true, Ordering::SeqCst);
    let acknowledged = check(&store, &log, tasks).await;
    println!("{killed} connections killed under {acknowledged} commits");
    assert!(killed > 0);
}

/// 20 kills with `ATOMR_POSTMASTER_KILLS=20`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_eight_writers_loses_nothing_that_was_acknowledged() {
    let kills = std::env::var("ATOMR_POSTMASTER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let mut cluster = match Cluster::start(&[]) {
        Ok(cluster) => cluster,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let options = PostgresOptions { outage: Duration::from_secs(120), ..PostgresOptions::default() };
    let store = PostgresStore::connect(&cluster.dsn(), options).await.unwrap();
    let (log, stop) = (key("log", "k"), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    writers(&mut tasks, &store, &log, 8, &stop);
    for _ in 0..kills {
        sleep(Duration::from_millis(300)).await;
        cluster = tokio::task::spawn_blocking(move || {
            cluster.kill();
            cluster.restart().unwrap();
            cluster
        })
        .await
        .unwrap();
        let before = store.end(&log).await.unwrap();
        while store.end(&log).await.unwrap() == before {
            sleep(Duration::from_millis(5)).await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    let acknowledged = check(&store, &log, tasks).await;
    println!("{kills} kills under {acknowledged} commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_told_of_in_time_and_found_again() {
    let mut cluster = match Cluster::start(&[]) {
        Ok(cluster) => cluster,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let dsn = cluster.dsn().replace("postgres@", "postgres:hunter2@");
    let options = PostgresOptions { outage: Duration::from_millis(200), ..PostgresOptions::default() };
    let store = PostgresStore::connect(&dsn, options.clone()).await.unwrap();
    let log = key("log", "1");
    store.commit(Batch::new().append(&log, None, Bytes::from("a"))).await.unwrap();
    cluster.kill();
    let connecting = PostgresOptions { connect_timeout: Duration::from_millis(200), ..options };
    for error in [
        store.commit(Batch::new().append(&log, None, Bytes::from("b"))).await.unwrap_err(),
        store.get(&log).await.unwrap_err(),
        store.acquire(&log, "a", Duration::from_secs(1)).await.unwrap_err(),
        PostgresStore::connect(&dsn, connecting).await.unwrap_err(),
    ] {
        let text = format!("{error} {error:?}");
        assert_eq!(error.kind(), Kind::Storage, "{text}");
        assert!(text.contains("127.0.0.1") && !text.contains("hunter2"), "{text}");
    }
    assert!(!format!("{store:?}").contains("hunter2"));
    cluster.restart().unwrap();
    store.commit(Batch::new().append(&log, Some(1), Bytes::from("c"))).await.unwrap();
    assert_eq!(store.end(&log).await.unwrap(), 2);
}

#[tokio::test]
async fn futures_that_are_dropped_at_any_await_leave_no_open_transaction() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let name = random("app");
    let dsn = with(server.dsn(), &format!("application_name={name}"));
    let store = PostgresStore::connect(&dsn, schema.options()).await.unwrap();
    let (log, run) = (key("log", "1"), key("run", "1"));
    for round in 0..60u32 {
        let entry = Bytes::from(round.to_string());
        let batch = Batch::new().append(&log, None, entry.clone()).blob(entry);
        let scan = atomr_agents_state::Scan::of("run");
        let (mut commit, mut acquire, mut read, mut scan, mut sweep) = (
            store.commit(batch),
            store.acquire(&run, "a", Duration::from_secs(1)),
            store.read(&log, 0, 10),
            store.scan(&scan),
            store.sweep(Duration::from_secs(1)),
        );
        for _ in 0..round % 7 {
            tokio::select! {
                biased;
                _ = &mut commit => break,
                _ = &mut acquire => break,
                _ = &mut read => break,
                _ = &mut scan => break,
                _ = &mut sweep => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    let other = client(server.dsn()).await;
    let count = async |condition: &str| {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND {condition}");
        other.query_one(&sql, &[&name]).await.unwrap().get::<_, i64>(0)
    };
    while count("state = 'active'").await > 0 {
        assert_eq!(count("state LIKE 'idle in transaction%'").await, 0);
    }
    assert_eq!(count("state <> 'idle'").await, 0);
    let before = store.end(&log).await.unwrap();
    store.commit(Batch::new().append(&log, Some(before), Bytes::from("end"))).await.unwrap();
    drop(store);
    while count("true").await > 0 {
        tokio::task::yield_now().await;
    }
}
