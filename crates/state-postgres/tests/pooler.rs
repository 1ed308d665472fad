//! Behind a pooler that gives each transaction another connection of the server.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use atomr_agents_state::{Batch, Expect, Store, conformance};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_testkit::postgres::Pooler;
use support::{Schema, address, key, server};
use tokio::task::JoinSet;

/// A pooler before the server for tests, or `None` with the reason printed.
fn pooler(dsn: &str) -> Option<Pooler> {
    let url = url::Url::parse(dsn).unwrap();
    let started = Pooler::start(address(dsn), url.path().trim_start_matches('/'), 3);
    started.map_err(|reason| println!("skipped: {reason}")).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_rules_of_the_seam_behind_a_transaction_pooler() {
    let Some(server) = server() else { return };
    let Some(pooler) = pooler(server.dsn()) else { return };
    let dsn = pooler.dsn();
    let schemas = Mutex::new(Vec::new());
    conformance::store(|| async {
        let schema = Schema::new(&dsn);
        // More connections than the pooler has: they cannot all keep one of the server's.
        let options = PostgresOptions { connections: 8, ..schema.options() };
        let store: Arc<dyn Store> = Arc::new(PostgresStore::connect(&dsn, options).await.unwrap());
        schemas.lock().unwrap().push(schema);
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_stores_share_the_few_connections_of_a_pooler() {
    let Some(server) = server() else { return };
    let Some(pooler) = pooler(server.dsn()) else { return };
    let dsn = pooler.dsn();
    let schema = Schema::new(&dsn);
    let mut tasks = JoinSet::new();
    for writer in 0..6 {
        let store = PostgresStore::connect(&dsn, schema.options()).await.unwrap();
        tasks.spawn(async move {
            let record = key("r", &writer.to_string());
            for turn in 0..20u64 {
                let expect = if turn == 0 { Expect::Absent } else { Expect::Version(turn) };
                store.commit(Batch::new().put(&record, "v", expect)).await.unwrap();
            }
            store.get(&record).await.unwrap().unwrap().version
        });
    }
    while let Some(version) = tasks.join_next().await {
        assert_eq!(version.unwrap(), 20);
    }
}
