//! A server on loopback that answers by a script.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Received, Script, TestkitError, connection};

/// A server on loopback that answers by a script: HTTP/1.1 with keep-alive, real sockets, one task per connection.
/// Its tasks die with it.
///
/// Real sockets and tokio's paused clock do not mix: use short real time-outs with it.
#[derive(Debug)]
pub struct ReplayServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// What a server saw in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests read.
    pub requests: usize,
    /// Answers, sent to their end or to the end of their fault.
    pub answered: usize,
    /// Answers whose client went away before that.
    pub abandoned: usize,
    /// Requests that the script had no answer for.
    pub unscripted: usize,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) script: Script,
    pub(crate) received: Mutex<Vec<Received>>,
    pub(crate) answered: AtomicUsize,
    pub(crate) abandoned: AtomicUsize,
    pub(crate) unscripted: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    pub(crate) in_flight: watch::Sender<usize>,
    pub(crate) open: watch::Sender<usize>,
}

impl ReplayServer {
    /// Listens on a free port of loopback and begins to answer. Needs a running tokio runtime.
    ///
    /// # Errors
    /// [`TestkitError::Listen`] when the system gives no port.
    pub async fn start(script: Script) -> Result<Self, TestkitError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(TestkitError::Listen)?;
        let address = listener.local_addr().map_err(TestkitError::Listen)?;
        let shared = Arc::new(Shared {
            script,
            received: Mutex::default(),
            answered: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
            unscripted: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            in_flight: watch::Sender::new(0),
            open: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, tasks })
    }

    /// The base URL for clients, e.g. `http://127.0.0.1:40123/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests received so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests received since the last such call; they are not kept.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Received> {
        std::mem::take(&mut *self.shared.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers that are being sent now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        *self.shared.in_flight.borrow()
    }

    /// Connections open now, idle ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.shared.open.borrow()
    }

    /// Waits until no answer is being sent; false when that does not happen in time. After a cancelled call it shows
    /// that the client has let go of the connection.
    pub async fn quiet(&self, within: Duration) -> bool {
        let mut in_flight = self.shared.in_flight.subscribe();
        tokio::time::timeout(within, in_flight.wait_for(|count| *count == 0)).await.is_ok_and(|found| found.is_ok())
    }

    /// What it saw so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Summary {
            requests: count(&self.shared.requests),
            answered: count(&self.shared.answered),
            abandoned: count(&self.shared.abandoned),
            unscripted: count(&self.shared.unscripted),
        }
    }

    /// Closes the port and all connections and waits for its tasks to end.
    pub async fn stop(mut self) -> Summary {
        self.tasks.shutdown().await;
        self.summary()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection::serve(stream, Arc::clone(&shared)));
                }
                // Out of file descriptors, most likely: there will be some again when connections close.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
