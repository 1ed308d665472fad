//! A PostgreSQL server for tests.
//!
//! [`server`] finds one: the one that the environment names, else the one on the standard port of this machine, else one
//! that it starts itself. [`Cluster`] is a server of the test's own, which may be killed. [`Pooler`] stands before a server as it does where many
//! processes share one. Everything here blocks: it is
//! for the beginning and the end of a test.

mod cluster;
mod handshake;
mod pooler;

use std::net::{Ipv4Addr, SocketAddr};

pub use cluster::Cluster;
pub use pooler::Pooler;

use handshake::answers;

/// The variable that names the server for tests.
pub const VARIABLE: &str = "ATOMR_TEST_POSTGRES";

/// A server that tests may use. Each test makes a schema or a database with a random name in it and drops it again.
#[derive(Debug)]
pub struct TestServer {
    dsn: String,
    /// Ends with the test, if it was started for it.
    _own: Option<Cluster>,
}

impl TestServer {
    /// Its address: `postgres://…`.
    #[must_use]
    pub fn dsn(&self) -> &str {
        &self.dsn
    }
}

/// Finds a server, or starts one.
///
/// # Errors
/// Why there is none: a test prints it and is skipped.
///
/// ```no_run
/// match atomr_agents_testkit::postgres::server() {
///     Ok(server) => println!("the tests use {}", server.dsn()),
///     Err(reason) => println!("skipped: {reason}"),
/// }
/// ```
pub fn server() -> Result<TestServer, String> {
    if let Ok(dsn) = std::env::var(VARIABLE)
        && !dsn.is_empty()
    {
        return Ok(TestServer { dsn, _own: None });
    }
    let standard = SocketAddr::from((Ipv4Addr::LOCALHOST, 5432));
    for database in ["test", "postgres"] {
        if answers(standard, "postgres", database).is_ok() {
            return Ok(TestServer { dsn: format!("postgres://postgres@{standard}/{database}"), _own: None });
        }
    }
    let own = Cluster::start(&[]).map_err(|why| {
        format!(
            "{VARIABLE} names no PostgreSQL server, none on {standard} lets postgres in without a password, and {why}"
        )
    })?;
    Ok(TestServer { dsn: own.dsn(), _own: Some(own) })
}
