//! Connections.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use rand::RngExt;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::Type;
use tokio_postgres::{CancelToken, Client, Connection, Error, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

use crate::bell::Bell;
use crate::dsn::Dsn;
use crate::fault::Fault;
use crate::server::Args;

/// The pauses between attempts to connect: the first, and what they grow to.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// How long telling the database to stop may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// One commit of one connection, by which the database is asked whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The connection that commits.
    pub writer: Uuid,
    /// Which of its commits it is, from 1 on.
    pub number: i64,
}

/// The side of a connection on which questions are asked.
#[derive(Debug)]
pub struct Asking {
    pub(crate) client: Client,
    /// What was prepared by its text, where that may be.
    prepared: Option<BTreeMap<String, Statement>>,
}

impl Asking {
    /// What asks. Only calls that say the types of their arguments (`query_typed`) need nothing prepared.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a statement that comes again and again.
    ///
    /// # Errors
    /// What the database said.
    pub async fn execute(&mut self, sql: &str, args: &Args<'_>) -> Result<(), Error> {
        let Some(prepared) = &mut self.prepared else {
            return self.client.execute_typed(sql, args).await.map(drop);
        };
        let statement = match prepared.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let types: Vec<Type> = args.iter().map(|(_, kind)| kind.clone()).collect();
                let statement = self.client.prepare_typed(sql, &types).await?;
                prepared.insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        self.client.execute_raw(&statement, args.iter().map(|(value, _)| *value)).await.map(drop)
    }
}

/// A connection. Unless it may prepare, it carries no state of a session: behind a pooler each call may reach another server process.
///
/// No task of its own moves its bytes: whoever waits for an answer does (`call`), so that a round trip crosses no
/// thread.
pub struct Link {
    asking: Asking,
    wire: Wire,
    bell: Arc<Bell>,
    writer: Uuid,
    number: i64,
}

impl Link {
    /// The ticket of the next commit.
    pub fn ticket(&mut self) -> Ticket {
        self.number += 1;
        Ticket { writer: self.writer, number: self.number }
    }

    /// What stops the statement that is under way.
    pub(crate) fn cancel_token(&self) -> CancelToken {
        self.asking.client.cancel_token()
    }

    /// Waits for what `call` asks the database, and moves the bytes meanwhile.
    pub(crate) async fn call<T>(&mut self, call: impl AsyncFnOnce(&mut Asking) -> T) -> T {
        let Self { asking, wire, bell, .. } = self;
        let mut call = pin!(call(asking));
        let mut both = |cx: &mut Context<'_>| match call.as_mut().poll(cx) {
            Poll::Pending => {
                wire.move_bytes(cx);
                // What has come is for this call, or tells it that nothing will.
                call.as_mut().poll(cx)
            }
            ready => ready,
        };
        poll_fn(|cx| bell.poll(cx, &mut both)).await
    }
}

/// The two ends of a socket, until it is closed. Its buffers and its TLS stay where they are when it is lent and given back.
struct Wire(Option<Box<Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>>>);

impl Wire {
    /// Writes and reads as much as is possible now. Once the other side is gone, so is the connection, and a call that waits for
    /// an answer learns of it.
    fn move_bytes(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.0 = None;
        }
    }
}

/// Makes connections, and waits between attempts while there is nothing to connect to.
pub struct Links {
    dsn: Dsn,
    tls: MakeRustlsConnect,
    connect_timeout: Duration,
    prepare: bool,
    /// The next attempt, and the pause after it if it fails, too.
    gate: Mutex<(Instant, Duration)>,
}

pub(crate) type Pool = managed::Pool<Links>;

/// A connection that was lent by the pool, to which it goes back.
pub type Lent = managed::Object<Links>;

impl Links {
    pub(crate) fn new(dsn: Dsn, tls: MakeRustlsConnect, connect_timeout: Duration, prepare: bool) -> Self {
        let gate = Mutex::new((Instant::now(), PAUSE_MIN));
        let prepare = prepare || dsn.prepare;
        Self { dsn, tls, connect_timeout, prepare, gate }
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
        let asking = Asking { client, prepared: self.prepare.then(BTreeMap::new) };
        let (wire, bell) = (Wire(Some(Box::new(connection))), Arc::default());
        Ok(Link { asking, wire, bell, writer: Uuid::now_v7(), number: 0 })
    }
}

impl managed::Manager for Links {
    type Type = Link;
    type Error = Fault;

    async fn create(&self) -> Result<Link, Fault> {
        // By itself: it is ten times what every call takes with it, and hardly any call connects.
        let link = Box::pin(async {
            sleep_until(self.opens()).await;
            self.connect().await
        });
        let link = link.await;
        match &link {
            Err(Fault::Outage(_)) => self.failed(),
            _ => self.reached(),
        }
        link
    }

    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<Fault> {
        // What the server said while nobody asked, above all that it has gone.
        link.wire.move_bytes(&mut Context::from_waker(Waker::noop()));
        if link.wire.0.is_none() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("writer", &self.writer).field("number", &self.number).finish_non_exhaustive()
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Links").field(&self.dsn).finish()
    }
}
