//! How a long memory on PostgreSQL is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_embed::Embedder;
use atomr_agents_postgres::ServerOptions;
use atomr_agents_state::StoreError;

/// The most dimensions that pgvector keeps.
pub(crate) const DIM_MAX: usize = 16_000;

/// How a [`crate::PgVectorLong`] is set up.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_embed::MockEmbedder;
/// use atomr_agents_memory_postgres::PgVectorOptions;
///
/// let embedder = Arc::new(MockEmbedder::new(64)?);
/// let options = PgVectorOptions { embedder: Some(embedder), ..PgVectorOptions::default() };
/// assert_eq!((options.schema.as_str(), options.exact_below), ("atomr_memory", 10_000));
/// # Ok::<(), atomr_agents_embed::EmbedError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PgVectorOptions {
    /// Makes the vectors of values, so that they are found by meaning; none without another word.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// How many numbers a vector has. Where it is known, here or from the embedder, another one is refused when it is written,
    /// and the index for it is made.
    pub dim: Option<usize>,
    /// A search by meaning looks at every vector below its namespace where they are fewer than this, and asks the index where
    /// there are more; `usize::MAX` for always, and then no index is made. 10,000 without another word.
    pub exact_below: usize,
    /// How wide the index is searched (`hnsw.ef_search`), 1 to 1,000: the wider, the surer that the nearest are found. 100
    /// without another word.
    pub ef_search: usize,
    /// The schema that holds the tables: 1 to 63 of `a-z`, `0-9` and `_`, not beginning with a digit or `pg_`.
    pub schema: String,
    /// Whether the schema, its index and the extension are made, or brought to the format of this version, where they are not.
    /// Without it what is missing or old is an error, and no right to create anything is needed.
    pub migrate: bool,
    /// The most connections at once. Calls beyond it wait for their turn, at most [`PgVectorOptions::outage`].
    pub connections: usize,
    /// How long making a connection may take. [`crate::PgVectorLong::connect`] tries for that long, too.
    pub connect_timeout: Duration,
    /// How long the database may take to answer one call. It is then told to stop, and the connection is given up.
    pub call_timeout: Duration,
    /// As `call_timeout`, for [`crate::PgVectorLong::build_index`].
    pub index_timeout: Duration,
    /// For how long a call waits for a database that cannot be reached before it fails.
    pub outage: Duration,
    /// A file of certificates (PEM) to trust instead of the machine's. `sslrootcert` in the DSN says the same.
    pub root_certificates: Option<PathBuf>,
}

impl Default for PgVectorOptions {
    fn default() -> Self {
        Self {
            embedder: None,
            dim: None,
            exact_below: 10_000,
            ef_search: 100,
            schema: "atomr_memory".to_owned(),
            migrate: true,
            connections: 8,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            index_timeout: Duration::from_secs(3_600),
            outage: Duration::from_secs(30),
            root_certificates: None,
        }
    }
}

impl PgVectorOptions {
    pub(crate) fn server(&self) -> ServerOptions {
        ServerOptions {
            schema: self.schema.clone(),
            migrate: self.migrate,
            connections: self.connections,
            connect_timeout: self.connect_timeout,
            call_timeout: self.call_timeout,
            outage: self.outage,
            root_certificates: self.root_certificates.clone(),
            prepare: false,
        }
    }

    /// The dimension, where it is known.
    pub(crate) fn dim(&self) -> Option<usize> {
        self.dim.or_else(|| self.embedder.as_ref().and_then(|embedder| embedder.dim()))
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let bad = |setting, message: String| Err(StoreError::Config { setting, message });
        if let Some(dim) = self.dim().filter(|dim| !(1..=DIM_MAX).contains(dim)) {
            return bad("dim", format!("pgvector keeps vectors of 1 to {DIM_MAX} numbers, not of {dim}"));
        }
        let made = self.embedder.as_ref().and_then(|embedder| embedder.dim());
        if let (Some(said), Some(made)) = (self.dim, made)
            && said != made
        {
            return bad("dim", format!("the embedder makes vectors of {made} numbers, not of {said}"));
        }
        if !(1..=1_000).contains(&self.ef_search) {
            return bad("ef_search", format!("it is a number from 1 to 1000, not {}", self.ef_search));
        }
        Ok(())
    }
}
