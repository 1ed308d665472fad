//! How a store on PostgreSQL is set up.

use std::path::PathBuf;
use std::time::Duration;

use atomr_agents_postgres::ServerOptions;

/// How a [`crate::PostgresStore`] is set up.
///
/// ```
/// use atomr_agents_state_postgres::PostgresOptions;
///
/// let options = PostgresOptions { schema: "agents".into(), ..PostgresOptions::default() };
/// assert!(options.migrate && options.connections == 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The schema that holds the tables: 1 to 63 of `a-z`, `0-9` and `_`, not beginning with a digit or `pg_`.
    pub schema: String,
    /// Whether the schema is made, or brought to the format of this version, where it is not. Without it a schema that is
    /// missing or old is an error, and no right to create anything is needed.
    pub migrate: bool,
    /// The most connections at once. Calls beyond it wait for their turn, at most [`PostgresOptions::outage`].
    pub connections: usize,
    /// How long making a connection may take. [`crate::PostgresStore::connect`] tries for that long, too.
    pub connect_timeout: Duration,
    /// How long the database may take to answer one call. It is then told to stop, and the connection is given up.
    pub call_timeout: Duration,
    /// As `call_timeout`, for [`atomr_agents_state::Store::sweep`], which reads what names blobs.
    pub sweep_timeout: Duration,
    /// For how long a call waits for a database that cannot be reached before it fails.
    pub outage: Duration,
    /// A file of certificates (PEM) to trust instead of the machine's. `sslrootcert` in the DSN says the same.
    pub root_certificates: Option<PathBuf>,
    /// Whether each connection prepares the statements of commits once instead of sending them each time, which takes a part of
    /// a commit's time off the server. `prepare=true` in the DSN says the same. Only where every connection keeps its server
    /// process: behind a pooler that gives each transaction another one, a prepared statement is missing, or somebody else's.
    pub prepare: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            schema: "atomr".to_owned(),
            migrate: true,
            connections: 8,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            sweep_timeout: Duration::from_secs(600),
            outage: Duration::from_secs(30),
            root_certificates: None,
            prepare: false,
        }
    }
}

impl PostgresOptions {
    pub(crate) fn server(&self) -> ServerOptions {
        ServerOptions {
            schema: self.schema.clone(),
            migrate: self.migrate,
            connections: self.connections,
            connect_timeout: self.connect_timeout,
            call_timeout: self.call_timeout,
            outage: self.outage,
            root_certificates: self.root_certificates.clone(),
            prepare: self.prepare,
        }
    }
}
