//! A schema of the test's own on a real server with pgvector.

#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking and says why it is skipped")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atomr_agents_embed::MockEmbedder;
use atomr_agents_memory::Namespace;
use atomr_agents_memory_postgres::{PgVectorLong, PgVectorOptions};
use atomr_agents_testkit::postgres::{self, TestServer};
use tokio_postgres::{Client, NoTls};

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// The server for tests, or `None` with the reason printed.
pub(crate) fn server() -> Option<Arc<TestServer>> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/pgvector");
    postgres::vector_server(&unpacked).map_err(|reason| eprintln!("skipped: {reason}")).ok()
}

/// A schema that is dropped with it.
pub(crate) struct Schema {
    pub(crate) dsn: String,
    pub(crate) name: String,
}

impl Schema {
    pub(crate) fn new(dsn: &str) -> Self {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let name = format!("m_{}_{nanos}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        Self { dsn: dsn.to_owned(), name }
    }

    /// With the embedder of tests, of this dimension.
    pub(crate) fn options(&self, dim: usize) -> PgVectorOptions {
        PgVectorOptions { embedder: Some(Arc::new(MockEmbedder::new(dim).unwrap())), ..self.bare() }
    }

    pub(crate) fn bare(&self) -> PgVectorOptions {
        PgVectorOptions { schema: self.name.clone(), connections: 4, ..PgVectorOptions::default() }
    }

    pub(crate) async fn open(&self, options: PgVectorOptions) -> PgVectorLong {
        PgVectorLong::connect(&self.dsn, options).await.unwrap()
    }

    /// Connects as a plain client would.
    pub(crate) async fn client(&self) -> Client {
        client(&self.dsn).await
    }
}

/// Connects as a plain client would.
pub(crate) async fn client(dsn: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let _ended = connection.await;
    });
    tasks.detach_all();
    client
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (dsn, name) = (self.dsn.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let connecting = tokio_postgres::connect(&dsn, NoTls);
                let Ok(Ok((client, connection))) = tokio::time::timeout(Duration::from_secs(5), connecting).await
                else {
                    return;
                };
                let mut tasks = tokio::task::JoinSet::new();
                tasks.spawn(connection);
                let _gone = client.batch_execute(&format!("DROP SCHEMA IF EXISTS \"{name}\" CASCADE")).await;
            });
        });
        let _ended = dropping.join();
    }
}

pub(crate) fn ns(parts: &[&str]) -> Namespace {
    Namespace::new(parts.iter().copied()).unwrap()
}
