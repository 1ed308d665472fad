//! How a server is spoken to.

use std::path::PathBuf;
use std::time::Duration;

/// How a [`crate::Server`] is spoken to, and in which schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// The schema that holds the tables: 1 to 63 of `a-z`, `0-9` and `_`, not beginning with a digit or `pg_`.
    pub schema: String,
    /// Whether [`crate::open`] makes the schema, or brings it to the format of today, where it is not.
    pub migrate: bool,
    /// The most connections at once. Calls beyond it wait for their turn, at most [`ServerOptions::outage`].
    pub connections: usize,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long the database may take to answer one call. It is then told to stop, and the connection is given up.
    pub call_timeout: Duration,
    /// For how long a call waits for a database that cannot be reached before it fails.
    pub outage: Duration,
    /// A file of certificates (PEM) to trust instead of the machine's. `sslrootcert` in the DSN says the same.
    pub root_certificates: Option<PathBuf>,
    /// Whether [`crate::Asking::execute`] prepares its statements once per connection. `prepare=true` in the DSN says the
    /// same. Only where every connection keeps its server process.
    pub prepare: bool,
}
