//! The store.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atomr_agents_postgres::{Server, Tasks, open};
use atomr_agents_state::{Batch, BlobId, Entry, Key, Lease, Record, Scan, Store, StoreError, Swept};
use bytes::Bytes;

use crate::commit::{self, CommitSql};
use crate::leases::{self, LeaseSql};
use crate::options::PostgresOptions;
use crate::reads::{self, ReadSql};

/// What brings a schema from one format to the next; the first makes it. One that was released is never changed.
const STEPS: &[&str] = &[include_str!("schema/v1.sql"), include_str!("schema/v2.sql")];

/// A store in a schema of a PostgreSQL database, shared by as many processes as connect to it.
///
/// - A commit is one statement, one round trip, one transaction. Unless [`PostgresOptions::prepare`] asks for
///   it, nothing is prepared, and nothing is set for a session, so it works behind a pooler that gives each transaction another
///   connection.
/// - A call whose future is dropped goes on to its end in a task of the store, and what it writes is written before the
///   store's next call begins. Dropping the store ends them.
/// - While the database cannot be reached, calls wait for it ([`PostgresOptions::outage`]). A commit whose answer was lost
///   is looked up when it is back, so that its caller learns whether it happened.
/// - [`atomr_agents_state::Durability::Full`] survives what the server's own settings (`fsync`, `full_page_writes`) let it
///   survive; `synchronous_commit = off` of a role or database is overruled.
///   [`atomr_agents_state::Durability::Relaxed`] is that setting for one transaction: the server's crash loses at most what
///   it was told in its last three `wal_writer_delay`s (0.6 s), never a hole.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    /// The calls that are under way. They hold the inner part only, so that they end with the store.
    calls: Tasks,
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    sweep_timeout: Duration,
    commit: CommitSql,
    read: ReadSql,
    lease: LeaseSql,
}

impl PostgresStore {
    /// Opens the store in the database at `dsn`: `postgres://user:password@host:port/database?sslmode=…` or
    /// `host=… port=… user=… password=… dbname=… sslmode=…`.
    ///
    /// `sslmode` is `disable`, `prefer`, `require`, `verify-ca` or `verify-full`; without it a server on this machine is
    /// spoken to without TLS, and any other with it if it can. Where there is TLS, the server's certificate and name are
    /// checked against the machine's roots, or those of `sslrootcert=FILE`, whichever of the last three it is.
    /// `prepare=true` is [`PostgresOptions::prepare`].
    ///
    /// # Errors
    /// [`StoreError::Config`] for a DSN or a setting that makes no sense, a database that is not there, an encoding other than
    /// UTF-8, a schema that is missing or old without `migrate`; [`StoreError::UnsupportedFormat`] for a schema of a newer
    /// version; [`StoreError::Unavailable`] when the database cannot be reached within
    /// [`PostgresOptions::connect_timeout`].
    ///
    /// ```no_run
    /// use atomr_agents_state::{Batch, Expect, Key, Store};
    /// use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = PostgresStore::connect("postgres://agents@db.internal/agents", PostgresOptions::default()).await?;
    /// let key = Key::new("run", "01J0")?;
    /// store.commit(Batch::new().put(&key, "begun", Expect::Absent)).await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect(dsn: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let server = Server::new(dsn, options.server())?;
        let (commit, read, lease) = (CommitSql::new(&server), ReadSql::new(&server), LeaseSql::new(&server));
        let inner = Arc::new(Inner { server, sweep_timeout: options.sweep_timeout, commit, read, lease });
        let store = Self { shared: Arc::new(Shared { calls: Tasks::default(), inner }) };
        store.read(|inner| async move { open(&inner.server, STEPS).await }).await?;
        Ok(store)
    }

    /// Runs a call that does not end with its caller.
    async fn read<T, F>(&self, call: impl FnOnce(Arc<Inner>) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.shared.calls.read(call(Arc::clone(&self.shared.inner))).await
    }

    /// As [`PostgresStore::read`], for one that writes: the next call waits for it even if its caller has gone.
    async fn write<T, F>(&self, call: impl FnOnce(Arc<Inner>) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.shared.calls.write(call(Arc::clone(&self.shared.inner))).await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.shared.inner.server;
        f.debug_struct("PostgresStore").field("at", &server.place()).field("schema", server.schema()).finish()
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.write(|inner| async move { commit::commit(&inner.server, &inner.commit, batch).await }).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let key = key.clone();
        self.read(|inner| async move { reads::get(&inner.server, &inner.read, &key).await }).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        let scan = scan.clone();
        self.read(|inner| async move { reads::scan(&inner.server, &inner.read, &scan).await }).await
    }

    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let stream = stream.clone();
        self.read(move |inner| async move { reads::read(&inner.server, &inner.read, &stream, from, limit).await }).await
    }

    async fn end(&self, stream: &Key) -> Result<u64, StoreError> {
        let stream = stream.clone();
        self.read(|inner| async move { reads::end(&inner.server, &inner.read, &stream).await }).await
    }

    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let ids = ids.to_vec();
        self.read(|inner| async move { reads::blobs(&inner.server, &inner.read, &ids).await }).await
    }

    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
        let (key, owner) = (key.clone(), owner.to_owned());
        self.write(move |inner| async move { leases::acquire(&inner.server, &inner.lease, &key, &owner, ttl).await })
            .await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        let lease = lease.clone();
        self.write(move |inner| async move { leases::renew(&inner.server, &inner.lease, &lease, ttl).await }).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write(|inner| async move { leases::release(&inner.server, &inner.lease, &lease).await }).await
    }

    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
        let (space, owner) = (space.to_owned(), owner.to_owned());
        self.write(
            move |inner| async move { leases::claim(&inner.server, &inner.lease, &space, &owner, ttl, limit).await },
        )
        .await
    }

    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError> {
        self.read(
            move |inner| async move { leases::sweep(&inner.server, &inner.lease, grace, inner.sweep_timeout).await },
        )
        .await
    }

    async fn now_ms(&self) -> Result<u64, StoreError> {
        self.read(|inner| async move { reads::now_ms(&inner.server, &inner.read).await }).await
    }
}
