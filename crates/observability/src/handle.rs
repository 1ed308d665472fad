//! The task that drives a tracer, and who owns it.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::bus::Shared;
use crate::{Batch, BoxFuture, Subscription, Tracer, TracerError};

/// How many events a tracer's task takes per wake-up.
const BATCH: usize = 1_024;

/// A tracer's attachment to a bus. It owns the task that drives the tracer: dropping the handle aborts the task, and
/// with it the subscription; [`TracerHandle::detach`] delivers first what was published. When the bus closes, the
/// tracer is given the rest, flushed and released without further ado.
#[must_use = "dropping the handle detaches the tracer"]
pub struct TracerHandle {
    name: String,
    shared: Arc<Shared>,
    flushes: mpsc::UnboundedSender<Flush>,
    status: Arc<Mutex<Status>>,
    task: JoinSet<()>,
}

struct Flush {
    /// Everything before this position is to be delivered first.
    upto: u64,
    reply: oneshot::Sender<Result<(), TracerError>>,
}

#[derive(Default)]
struct Status {
    errors: u64,
    last: Option<TracerError>,
    /// How the task ended, if it ended by itself.
    ended: Option<Result<(), TracerError>>,
}

impl TracerHandle {
    pub(crate) fn attach(
        shared: Arc<Shared>,
        subscription: Subscription,
        tracer: Arc<dyn Tracer>,
        runtime: &Handle,
    ) -> Self {
        let name = tracer.name().to_owned();
        let status = Arc::default();
        let (flushes, orders) = mpsc::unbounded_channel();
        let driver = Driver { name: name.clone(), tracer, subscription, status: Arc::clone(&status) };
        let mut task = JoinSet::new();
        task.spawn_on(driver.run(orders), runtime);
        Self { name, shared, flushes, status, task }
    }

    /// Waits until the tracer was given everything published before this call, and flushes it. Waits as long as the
    /// tracer takes.
    ///
    /// # Errors
    /// The flush's own error, or why the tracer is no longer attached. Errors on single events are not among them: see
    /// [`TracerHandle::errors`].
    pub async fn flush(&self) -> Result<(), TracerError> {
        let upto = self.shared.lock().tail();
        let (reply, answer) = oneshot::channel();
        // A failed send is a failed receive: the reply went with the order.
        drop(self.flushes.send(Flush { upto, reply }));
        match answer.await {
            Ok(result) => result,
            Err(_) => {
                lock(&self.status).ended.clone().unwrap_or_else(|| Err(TracerError::Gone { tracer: self.name.clone() }))
            }
        }
    }

    /// [`TracerHandle::flush`], then releases the tracer: when this returns, its subscription is gone.
    ///
    /// # Errors
    /// Those of [`TracerHandle::flush`]; the tracer is released all the same.
    pub async fn detach(mut self) -> Result<(), TracerError> {
        let result = self.flush().await;
        self.task.shutdown().await;
        result
    }

    /// How many errors the tracer gave back so far. Each was reported through `tracing`.
    #[must_use]
    pub fn errors(&self) -> u64 {
        lock(&self.status).errors
    }

    /// The latest of them.
    #[must_use]
    pub fn last_error(&self) -> Option<TracerError> {
        lock(&self.status).last.clone()
    }

    /// Whether the tracer still receives events: not after a panic, the end of the bus or of the runtime.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        !self.flushes.is_closed()
    }
}

impl fmt::Debug for TracerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracerHandle")
            .field("tracer", &self.name)
            .field("attached", &self.is_attached())
            .field("errors", &self.errors())
            .finish_non_exhaustive()
    }
}

fn lock(status: &Mutex<Status>) -> MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What runs in the task. An `Err` inside means that the tracer panicked and gets nothing more.
struct Driver {
    name: String,
    tracer: Arc<dyn Tracer>,
    subscription: Subscription,
    status: Arc<Mutex<Status>>,
}

impl Driver {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Flush>) {
        let ended = self.serve(&mut orders).await;
        lock(&self.status).ended = Some(ended);
        drop(self); // unsubscribes before those who wait for a flush learn of the end
    }

    async fn serve(&mut self, orders: &mut mpsc::UnboundedReceiver<Flush>) -> Result<(), TracerError> {
        loop {
            tokio::select! {
                biased;
                Some(Flush { upto, reply }) = orders.recv() => {
                    self.catch_up(upto).await?;
                    // Nobody waits any more if the send fails.
                    drop(reply.send(self.flush().await?));
                }
                batch = self.subscription.recv_batch(BATCH) => match batch {
                    Some(batch) => self.deliver(batch).await?,
                    None => return self.flush().await?,
                },
            }
        }
    }

    async fn catch_up(&mut self, upto: u64) -> Result<(), TracerError> {
        while let Some(behind) = upto.checked_sub(self.subscription.position()).filter(|behind| *behind > 0) {
            let Ok(batch) = self.subscription.try_recv_batch(BATCH.min(behind as usize)) else { break };
            self.deliver(batch).await?;
        }
        Ok(())
    }

    async fn deliver(&self, batch: Batch) -> Result<(), TracerError> {
        let lagged = batch.lagged().map(Arc::new);
        let mut events = batch.events;
        if let Some(lagged) = lagged {
            events.insert(0, lagged);
        }
        for error in self.guarded(|| self.tracer.on_events(events)).await? {
            self.report(error);
        }
        Ok(())
    }

    /// The inner result is the flush's own.
    async fn flush(&self) -> Result<Result<(), TracerError>, TracerError> {
        let result = self.guarded(|| self.tracer.flush()).await?;
        if let Err(error) = &result {
            self.report(error.clone());
        }
        Ok(result)
    }

    fn report(&self, error: TracerError) {
        tracing::warn!(tracer = %self.name, error = %error, kind = %error.kind(), "a tracer failed");
        let mut status = lock(&self.status);
        status.errors += 1;
        status.last = Some(error);
    }

    async fn guarded<'a, T>(&'a self, call: impl FnOnce() -> BoxFuture<'a, T>) -> Result<T, TracerError> {
        catching(call).await.map_err(|message| {
            let error = TracerError::Panicked { tracer: self.name.clone(), message };
            tracing::error!(tracer = %self.name, error = %error, "a tracer panicked and is removed");
            let mut status = lock(&self.status);
            status.errors += 1;
            status.last = Some(error.clone());
            error
        })
    }
}

/// Runs a call whose panic, while it is made or while it is awaited, comes back as text.
async fn catching<'a, T>(call: impl FnOnce() -> BoxFuture<'a, T>) -> Result<T, String> {
    let mut future = catch_unwind(AssertUnwindSafe(call)).map_err(words)?;
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(words(panic))),
    })
    .await
}

fn words(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => {
            panic.downcast_ref::<&str>().map_or_else(|| "a panic without words".into(), |text| (*text).into())
        }
    }
}
