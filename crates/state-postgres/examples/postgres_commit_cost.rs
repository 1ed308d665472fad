//! What a fenced commit costs beside a bare `INSERT` of the same bytes, in turns on one server.
//!
//! `cargo run --release -p atomr-agents-state-postgres --example postgres_commit_cost [ROUNDS]`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that fails has nothing to say")]

use std::time::{Duration, Instant};

use atomr_agents_state::{Batch, Change, Durability, Expect, Key, NewEntry, Store};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use bytes::Bytes;
use tokio_postgres::NoTls;

const SCHEMA: &str = "commit_cost";
const TURN: usize = 50;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let server = atomr_agents_testkit::postgres::server().unwrap();
    let (client, connection) = tokio_postgres::connect(server.dsn(), NoTls).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    client.batch_execute(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")).await.unwrap();
    let options = PostgresOptions { schema: SCHEMA.into(), ..PostgresOptions::default() };
    let store = PostgresStore::connect(server.dsn(), options).await.unwrap();
    let table = format!("CREATE TABLE {SCHEMA}.bare (log bigint, at bigint, body bytea, PRIMARY KEY (log, at))");
    client.batch_execute(&table).await.unwrap();
    let (lazy, connection) = tokio_postgres::connect(server.dsn(), NoTls).await.unwrap();
    tasks.spawn(connection);
    lazy.batch_execute("SET synchronous_commit = off").await.unwrap();
    let lazy_insert = lazy.prepare(&format!("INSERT INTO {SCHEMA}.bare VALUES ($1, $2, $3)")).await.unwrap();
    let insert = client.prepare(&format!("INSERT INTO {SCHEMA}.bare VALUES ($1, $2, $3)")).await.unwrap();
    let (run, record) = (Key::new("run", "01J0ZZZZZZZZZZZZZZZZZZZZZZ").unwrap(), Key::new("run", "record").unwrap());
    let lease = store.acquire(&run, "me", Duration::from_secs(600)).await.unwrap();
    let body = Bytes::from(vec![b'x'; 300]);
    let names = [
        "bare INSERT, prepared",
        "commit: 1 entry",
        "commit: 1 entry, 1 record, 2 blobs",
        "commit: 1 entry, relaxed",
        "bare INSERT, relaxed",
    ];
    let mut times: [Vec<Duration>; 5] = Default::default();
    let mut at = 0i64;
    for turn in 0..=rounds / TURN {
        for (kind, times) in times.iter_mut().enumerate() {
            for _ in 0..TURN {
                at += 1;
                let mut batch = Batch::new().fenced(lease.fence());
                if kind == 2 {
                    let blobs = [Bytes::from(format!("a{at}").repeat(40)), Bytes::from(format!("b{at}").repeat(40))];
                    let refs = blobs.iter().map(|bytes| atomr_agents_state::BlobId::of(bytes)).collect();
                    let entries = vec![NewEntry { body: body.clone(), refs }];
                    batch = batch.with(Change::Append { stream: run.clone(), at: None, entries });
                    batch = blobs.into_iter().fold(batch, Batch::blob).put(&record, body.clone(), Expect::Any);
                } else {
                    batch = batch.append(&run, None, body.clone());
                }
                if kind == 3 {
                    batch = batch.durability(Durability::Relaxed);
                }
                let begun = Instant::now();
                if kind == 4 {
                    lazy.execute(&lazy_insert, &[&2i64, &at, &&body[..]]).await.unwrap();
                } else if kind == 0 {
                    client.execute(&insert, &[&1i64, &at, &&body[..]]).await.unwrap();
                } else {
                    store.commit(batch).await.unwrap();
                }
                // The first turn warms up.
                if turn > 0 {
                    times.push(begun.elapsed());
                }
            }
        }
    }
    let mut bare = 0.0;
    for (name, times) in names.iter().zip(&mut times) {
        times.sort_unstable();
        let micros = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e6;
        let mean = times.iter().sum::<Duration>().as_secs_f64() * 1e6 / times.len() as f64;
        if bare == 0.0 {
            bare = micros(50);
        }
        let (p50, p99, ratio) = (micros(50), micros(99), micros(50) / bare);
        println!("{name:<36} p50 {p50:7.0} µs  p99 {p99:7.0} µs  mean {mean:7.0} µs  {ratio:5.2} x bare");
    }
    drop(store);
    client.batch_execute(&format!("DROP SCHEMA {SCHEMA} CASCADE")).await.unwrap();
}
