//! What every store has to do alike, on a real server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use atomr_agents_state::{Store, conformance};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use support::{Schema, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_rules_of_the_seam() {
    rules(|options| options).await;
}

#[tokio::test]
async fn it_keeps_them_on_one_thread_with_one_connection() {
    rules(|options| PostgresOptions { connections: 1, ..options }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_them_with_prepared_statements() {
    rules(|options| PostgresOptions { prepare: true, ..options }).await;
}

async fn rules(set: impl Fn(PostgresOptions) -> PostgresOptions) {
    let Some(server) = server() else { return };
    let schemas = Mutex::new(Vec::new());
    conformance::store(|| async {
        let schema = Schema::new(server.dsn());
        let options = set(schema.options());
        let store: Arc<dyn Store> = Arc::new(PostgresStore::connect(server.dsn(), options).await.unwrap());
        schemas.lock().unwrap().push(schema);
        store
    })
    .await;
}
