//! Connections.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use rand::RngExt;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::{CancelToken, Client};
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

use crate::dsn::Dsn;
use crate::fault::Fault;
use crate::tasks::Tasks;

/// The pauses between attempts to connect: the first, and what they grow to.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// How long telling the database to stop may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// One commit of one connection, by which the database is asked whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) writer: Uuid,
    pub(crate) number: i64,
}

/// A connection. It carries no state of a session: behind a pooler each call may reach another server process.
pub(crate) struct Link {
    pub(crate) client: Client,
    writer: Uuid,
    number: i64,
    task: AbortHandle,
}

impl Link {
    /// The ticket of the next commit.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.number += 1;
        Ticket { writer: self.writer, number: self.number }
    }

    /// What stops the statement that is under way.
    pub(crate) fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }

    /// Ends it whatever it is doing.
    pub(crate) fn give_up(self) {
        self.task.abort();
    }
}

/// Makes connections, and waits between attempts while there is nothing to connect to.
pub(crate) struct Links {
    dsn: Dsn,
    tls: MakeRustlsConnect,
    connect_timeout: Duration,
    /// The next attempt, and the pause after it if it fails, too.
    gate: Mutex<(Instant, Duration)>,
    /// The tasks that read and write the sockets.
    sockets: Tasks,
}

pub(crate) type Pool = managed::Pool<Links>;

impl Links {
    pub(crate) fn new(dsn: Dsn, tls: MakeRustlsConnect, connect_timeout: Duration) -> Self {
        let gate = Mutex::new((Instant::now(), PAUSE_MIN));
        Self { dsn, tls, connect_timeout, gate, sockets: Tasks::default() }
    }

    /// Tells the database to stop what `token` stands for. It may not hear it.
    pub(crate) async fn cancel(&self, token: CancelToken) {
        let _unheard = timeout(CANCEL_TIMEOUT, token.cancel_query(self.tls.clone())).await;
    }

    fn opens(&self) -> Instant {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn failed(&self) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if gate.0 <= now {
            let pause = gate.1.mul_f64(rand::rng().random_range(0.5..1.0));
            *gate = (now + pause, (gate.1 * 2).min(PAUSE_MAX));
        }
    }

    fn reached(&self) {
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), PAUSE_MIN);
    }

    async fn connect(&self) -> Result<Link, Fault> {
        let connecting = self.dsn.config.connect(self.tls.clone());
        let Ok(connected) = timeout(self.connect_timeout, connecting).await else {
            return Err(Fault::Outage(format!("no connection within {:?}", self.connect_timeout)));
        };
        let (client, connection) = connected.map_err(|error| Fault::of(&self.dsn.to_string(), &error))?;
        let task = self.sockets.begin(async move {
            // Who asked learns of it by its own call.
            let _ended = connection.await;
        });
        Ok(Link { client, writer: Uuid::now_v7(), number: 0, task })
    }
}

impl managed::Manager for Links {
    type Type = Link;
    type Error = Fault;

    async fn create(&self) -> Result<Link, Fault> {
        sleep_until(self.opens()).await;
        let link = self.connect().await;
        match &link {
            Err(Fault::Outage(_)) => self.failed(),
            _ => self.reached(),
        }
        link
    }

    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<Fault> {
        if link.client.is_closed() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Links").field(&self.dsn).finish()
    }
}
