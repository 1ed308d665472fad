//! The database as the calls see it: it answers, or it has been away for too long.

use std::time::Duration;

use atomr_agents_state::StoreError;
use deadpool::Runtime;
use deadpool::managed::{Object, PoolError, QueueMode, Timeouts};
use tokio::time::{Instant, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use crate::dsn::Dsn;
use crate::fault::Fault;
use crate::link::{Asking, Lent, Links, Pool};
use crate::options::ServerOptions;
use crate::schema::Schema;
use crate::tls;

/// How often one call may stand in somebody's way before that is told to its caller.
const AGAIN_MAX: u32 = 10;

/// The arguments of a statement with their types: told, so that nothing has to be prepared.
pub type Args<'a> = [(&'a (dyn ToSql + Sync), Type)];

/// A pool of connections, and the patience with them.
#[derive(Debug)]
pub struct Server {
    pool: Pool,
    place: String,
    schema: Schema,
    options: ServerOptions,
}

/// What is left of the patience of one call.
#[derive(Debug)]
pub struct Patience {
    until: Instant,
    again: u32,
}

impl Patience {
    /// This much of it.
    #[must_use]
    pub fn of(outage: Duration) -> Self {
        Self { until: Instant::now() + outage, again: 0 }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

impl Server {
    /// The server at `dsn`: `postgres://user:password@host:port/database?…` or `host=… port=… user=…`. Nobody is asked yet.
    ///
    /// # Errors
    /// [`StoreError::Config`] for a DSN or a setting that makes no sense.
    pub fn new(dsn: &str, options: ServerOptions) -> Result<Self, StoreError> {
        let schema = Schema::new(&options.schema)?;
        let dsn = Dsn::parse(dsn)?;
        let file = options.root_certificates.as_deref().or(dsn.root_certificates.as_deref());
        let tls = tls::connector(file)?;
        let place = dsn.to_string();
        if options.connections == 0 {
            let message = "a store needs at least one connection".to_owned();
            return Err(StoreError::Config { setting: "connections", message });
        }
        let pool = Pool::builder(Links::new(dsn, tls, options.connect_timeout, options.prepare))
            .max_size(options.connections)
            // The one that was used last: its process of the server is the one that is warm.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Config { setting: "connections", message: error.to_string() })?;
        Ok(Self { pool, place, schema, options })
    }

    /// Where it is, for people: no user, no password.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The schema that holds the tables.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// How it is spoken to.
    #[must_use]
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// The patience of a call that begins now.
    #[must_use]
    pub fn patience(&self) -> Patience {
        Patience::of(self.options.outage)
    }

    pub(crate) fn unavailable(&self, message: String) -> StoreError {
        StoreError::Unavailable { store: self.place.clone(), message }
    }

    /// A connection, as soon as there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the patience is over; what no waiting helps against at once.
    pub async fn link(&self, patience: &Patience) -> Result<Lent, StoreError> {
        loop {
            // A call that comes while the patience is over already still gets one attempt.
            let wait = patience.left().max(Duration::from_millis(1));
            let timeouts = Timeouts { wait: Some(wait), create: None, recycle: None };
            match self.pool.timeout_get(&timeouts).await {
                Ok(link) => return Ok(link),
                Err(PoolError::Backend(Fault::Final(error))) => return Err(error),
                Err(PoolError::Backend(Fault::Outage(_) | Fault::Again(_))) if !patience.left().is_zero() => {}
                Err(PoolError::Backend(Fault::Outage(message) | Fault::Again(message))) => {
                    return Err(self.unavailable(message));
                }
                Err(error) => {
                    let connections = self.options.connections;
                    return Err(
                        self.unavailable(format!("none of its {connections} connections became free: {error:?}"))
                    );
                }
            }
        }
    }

    /// Runs one statement on `link`. Where it does not answer in time or is gone, the connection is given up.
    ///
    /// # Errors
    /// What it amounts to.
    pub async fn within<T>(
        &self,
        mut link: Lent,
        limit: Duration,
        call: impl AsyncFnOnce(&mut Asking) -> Result<T, Error>,
    ) -> Result<T, Fault> {
        let fault = match timeout(limit, link.call(call)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Fault::of(&self.place, &error),
            Err(_) => {
                Box::pin(self.pool.manager().cancel(link.cancel_token())).await;
                Fault::Outage(format!("no answer within {limit:?}"))
            }
        };
        if matches!(fault, Fault::Outage(_)) {
            drop(Object::take(link));
        }
        Err(fault)
    }

    /// What is to be done about a fault: nothing (another attempt), or the error for the caller.
    ///
    /// # Errors
    /// The error for the caller.
    pub async fn bear(&self, fault: Fault, patience: &mut Patience) -> Result<(), StoreError> {
        match fault {
            Fault::Final(error) => Err(error),
            Fault::Outage(_) if !patience.left().is_zero() => Ok(()),
            Fault::Outage(message) => Err(self.unavailable(message)),
            Fault::Again(_) if patience.again < AGAIN_MAX => {
                patience.again += 1;
                Ok(())
            }
            Fault::Again(message) => Err(self.unavailable(message)),
            Fault::Refused(_) => {
                let message = "a call without expectations was refused".to_owned();
                Err(StoreError::Io { store: self.place.clone(), message })
            }
        }
    }

    /// Asks something that may be asked again.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Unavailable`] when the database is away for longer than [`ServerOptions::outage`].
    pub async fn ask(&self, sql: &str, args: &Args<'_>) -> Result<Vec<Row>, StoreError> {
        self.ask_for(self.options.call_timeout, sql, args).await
    }

    /// As [`Server::ask`], with another limit for the answer.
    ///
    /// # Errors
    /// As [`Server::ask`].
    pub async fn ask_for(&self, limit: Duration, sql: &str, args: &Args<'_>) -> Result<Vec<Row>, StoreError> {
        let mut patience = self.patience();
        loop {
            let link = self.link(&patience).await?;
            match self.within(link, limit, async |asking| asking.client.query_typed(sql, args).await).await {
                Ok(rows) => return Ok(rows),
                Err(fault) => self.bear(fault, &mut patience).await?,
            }
        }
    }

    /// As [`Server::ask`], for what always answers with one row.
    ///
    /// # Errors
    /// As [`Server::ask`].
    pub async fn ask_one(&self, sql: &str, args: &Args<'_>) -> Result<Row, StoreError> {
        let rows = self.ask(sql, args).await?;
        rows.into_iter().next().ok_or_else(|| self.odd("no row"))
    }

    /// Something that the functions of the schema never answer.
    #[must_use]
    pub fn odd(&self, what: impl std::fmt::Display) -> StoreError {
        StoreError::Corrupt { subject: self.place.clone(), message: format!("an answer cannot be read: {what}") }
    }

    /// Runs several statements on one connection. Nobody else gets to see it unless they have succeeded. A transaction that
    /// they begin must be ended by them: what is only dropped is not sent.
    ///
    /// # Errors
    /// What `work` gave, or what the database's error amounts to.
    pub async fn transact<T>(
        &self,
        patience: &Patience,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, TransactError>,
    ) -> Result<T, StoreError> {
        let mut link = self.link(patience).await?;
        let done = timeout(self.options.call_timeout, link.call(async |asking| work(&mut asking.client).await)).await;
        let error = match done {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(TransactError::Store(error))) => error,
            Ok(Err(TransactError::Database(error))) => match Fault::of(&self.place, &error) {
                Fault::Final(error) => error,
                Fault::Outage(message) | Fault::Again(message) => self.unavailable(message),
                fault => self.odd(format!("{fault:?}")),
            },
            Err(_) => self.unavailable(format!("no answer within {:?}", self.options.call_timeout)),
        };
        drop(Object::take(link));
        Err(error)
    }
}

/// Why work in a transaction failed.
#[derive(Debug)]
pub enum TransactError {
    /// An error of the store.
    Store(StoreError),
    /// What the database said.
    Database(Error),
}

impl From<Error> for TransactError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for TransactError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
