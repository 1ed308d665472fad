//! A schema of the test's own on a real server.

#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking and says why it is skipped")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atomr_agents_state::Key;
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_testkit::postgres::{self, TestServer};
use tokio_postgres::{Client, NoTls};

pub(crate) mod proxy;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A name that no other test has.
pub(crate) fn random(prefix: &str) -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("{prefix}_{}_{nanos}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// The server for tests, or `None` with the reason printed.
pub(crate) fn server() -> Option<TestServer> {
    postgres::server().map_err(|reason| eprintln!("skipped: {reason}")).ok()
}

/// A schema that is dropped with it.
pub(crate) struct Schema {
    pub(crate) dsn: String,
    pub(crate) name: String,
}

impl Schema {
    pub(crate) fn new(dsn: &str) -> Self {
        Self { dsn: dsn.to_owned(), name: random("t") }
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions { schema: self.name.clone(), connections: 4, ..PostgresOptions::default() }
    }

    pub(crate) async fn store(&self) -> PostgresStore {
        PostgresStore::connect(&self.dsn, self.options()).await.unwrap()
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
                let connected =
                    tokio::time::timeout(Duration::from_secs(5), tokio_postgres::connect(&dsn, NoTls)).await;
                let Ok(Ok((client, connection))) = connected else { return };
                let mut tasks = tokio::task::JoinSet::new();
                tasks.spawn(connection);
                let _gone = client.batch_execute(&format!("DROP SCHEMA IF EXISTS \"{name}\" CASCADE")).await;
            });
        });
        let _ended = dropping.join();
    }
}

pub(crate) fn key(space: &str, name: &str) -> Key {
    Key::new(space, name).unwrap()
}

/// `dsn` with another address.
pub(crate) fn at(dsn: &str, address: std::net::SocketAddr) -> String {
    let mut url = url::Url::parse(dsn).unwrap();
    url.set_host(Some(&address.ip().to_string())).unwrap();
    url.set_port(Some(address.port())).unwrap();
    url.into()
}

/// The address in `dsn`.
pub(crate) fn address(dsn: &str) -> std::net::SocketAddr {
    let url = url::Url::parse(dsn).unwrap();
    let host = url.host_str().unwrap_or("localhost").trim_matches(['[', ']']).to_owned();
    std::net::ToSocketAddrs::to_socket_addrs(&(host, url.port().unwrap_or(5432))).unwrap().next().unwrap()
}

/// `dsn` with one more setting.
pub(crate) fn with(dsn: &str, setting: &str) -> String {
    format!("{dsn}{}{setting}", if dsn.contains('?') { '&' } else { '?' })
}
