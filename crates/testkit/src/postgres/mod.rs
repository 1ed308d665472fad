//! A PostgreSQL server for tests.
//!
//! [`server`] finds one, and [`vector_server`] one with pgvector: the one that the environment names, else the one on the standard port of this machine, else one
//! that it starts itself. [`Cluster`] is a server of the test's own, which may be killed. [`Pooler`] stands before a server as it does where many
//! processes share one. Everything here blocks: it is
//! for the beginning and the end of a test.

mod cluster;
mod handshake;
mod pooler;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub use cluster::Cluster;
pub use pooler::Pooler;

use handshake::{answers, knows};

/// The variable that names the server for tests.
pub const VARIABLE: &str = "ATOMR_TEST_POSTGRES";

/// The variable that names the server with pgvector.
pub const VECTOR_VARIABLE: &str = "ATOMR_TEST_PGVECTOR";

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

/// The server with pgvector that this process has started. It ends with the last test that uses it.
static VECTOR: Mutex<Weak<TestServer>> = Mutex::new(Weak::new());

/// Finds a server with pgvector: the one that [`VECTOR_VARIABLE`] names, else the one on the standard port of this machine if it
/// has the extension, else one that was unpacked into the folder `unpacked` (`tests/pgvector_server.py` does) and that
/// is started.
///
/// # Errors
/// Why there is none: a test prints it and is skipped.
pub fn vector_server(unpacked: &Path) -> Result<Arc<TestServer>, String> {
    if let Ok(dsn) = std::env::var(VECTOR_VARIABLE)
        && !dsn.is_empty()
    {
        return Ok(Arc::new(TestServer { dsn, _own: None }));
    }
    let standard = SocketAddr::from((Ipv4Addr::LOCALHOST, 5432));
    for database in ["test", "postgres"] {
        if knows(standard, "postgres", database, "vector").unwrap_or(false) {
            let dsn = format!("postgres://postgres@{standard}/{database}");
            return Ok(Arc::new(TestServer { dsn, _own: None }));
        }
    }
    let mut shared = VECTOR.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Ok(server);
    }
    let why = |why: String| {
        format!("{VECTOR_VARIABLE} names no PostgreSQL server with pgvector, none is on {standard}, and {why}")
    };
    if !unpacked.join(UNPACKED_BIN).join("initdb").exists() {
        return Err(why("none was unpacked: python tests/pgvector_server.py does it".to_owned()));
    }
    let settings = ["fsync=off", "max_connections=200"];
    let own = Cluster::start_unpacked(unpacked, UNPACKED_BIN, &settings).map_err(why)?;
    let server = Arc::new(TestServer { dsn: own.dsn(), _own: Some(own) });
    *shared = Arc::downgrade(&server);
    Ok(server)
}

/// Where the programs are in what was unpacked.
pub const UNPACKED_BIN: &str = "pgserver/pginstall/bin";
