//! A store that is written in Python.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use atomr_agents_py_bridge::{Args, BadShape, GuestError, GuestJournal, GuestOptions, arguments, no_args, to_unit};
use atomr_agents_state::{Batch, BlobId, Entry, Key, Lease, Record, Scan, Store, StoreError, Swept};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::guest_data as data;
use super::guest_error::{Asked, refusal};

/// How long a guest may take for one call, and for looking through all it has.
const WITHIN: Duration = Duration::from_secs(60);
const SWEEP_WITHIN: Duration = Duration::from_secs(600);

/// A guest as a store.
///
/// What changes something runs in a task that the store owns: a caller that goes away does not cancel it in the middle.
pub(super) struct GuestStore {
    guest: GuestJournal,
    tasks: Mutex<JoinSet<()>>,
    orphans: Orphans,
}

impl std::fmt::Debug for GuestStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GuestStore({})", self.guest.key())
    }
}

impl GuestStore {
    /// What a guest says it is.
    pub(super) const KIND: &str = "guest";

    pub(super) fn wrap(key: &str, object: &Bound<'_, PyAny>) -> Result<Self, GuestError> {
        let guest = GuestJournal::wrap(object.py(), key, object, GuestOptions::default())?;
        Ok(Self { guest, tasks: Mutex::default(), orphans: Orphans(Arc::new(watch::Sender::new(0))) })
    }

    fn name(&self) -> String {
        format!("@journal {:?}", self.guest.key())
    }

    fn late(&self, within: Duration) -> StoreError {
        let message = format!("it did not answer within {} s", within.as_secs());
        StoreError::Unavailable { store: self.name(), message }
    }

    /// Waits for an answer of the guest.
    async fn ask<T>(&self, asked: Asked, call: impl Future<Output = Result<T, GuestError>>) -> Result<T, StoreError> {
        match tokio::time::timeout(WITHIN, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(refusal(self.name(), asked, error).await),
            Err(_) => Err(self.late(WITHIN)),
        }
    }

    /// As [`Self::ask`], also when nobody waits for it any more.
    async fn tell<T: Send + 'static>(
        &self,
        asked: Asked,
        within: Duration,
        call: impl Future<Output = Result<T, GuestError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.orphans.gone(within).await.map_err(|_| self.late(within))?;
        let (send, answer) = oneshot::channel();
        let mut waiting = Waiting { orphans: self.orphans.clone(), answer: Some(answer) };
        let orphans = self.orphans.clone();
        {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let result = tokio::time::timeout(within, call).await;
                if send.send(result).is_err() {
                    orphans.0.send_modify(|count| *count -= 1);
                }
            });
        }
        match waiting.told().await {
            Some(Ok(Ok(answer))) => Ok(answer),
            Some(Ok(Err(error))) => Err(refusal(self.name(), asked, error).await),
            Some(Err(_)) | None => Err(self.late(within)),
        }
    }
}

/// How many calls are under way whose callers went away. The next one waits for them: what it sees must not change behind
/// its back.
#[derive(Clone)]
struct Orphans(Arc<watch::Sender<usize>>);

impl Orphans {
    async fn gone(&self, within: Duration) -> Result<(), tokio::time::error::Elapsed> {
        let mut count = self.0.subscribe();
        tokio::time::timeout(within, async move {
            // The sender is ours: it is never closed.
            let _ = count.wait_for(|count| *count == 0).await;
        })
        .await
    }
}

type Answer<T> = Result<Result<T, GuestError>, tokio::time::error::Elapsed>;

/// A caller that waits. One that goes away leaves an orphan, unless its answer is there.
struct Waiting<T> {
    orphans: Orphans,
    answer: Option<oneshot::Receiver<Answer<T>>>,
}

impl<T> Waiting<T> {
    async fn told(&mut self) -> Option<Answer<T>> {
        let told = match &mut self.answer {
            Some(answer) => answer.await.ok(),
            None => None,
        };
        self.answer = None;
        told
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        let Some(answer) = &mut self.answer else { return };
        // Counted first: once it is closed, the call counts down.
        self.orphans.0.send_modify(|count| *count += 1);
        answer.close();
        if answer.try_recv().is_ok() {
            self.orphans.0.send_modify(|count| *count -= 1);
        }
    }
}

/// The arguments of a call, made where it starts.
fn given<F>(make: F) -> impl for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static
where
    F: for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyTuple>> + Send + 'static,
{
    arguments(move |py: Python<'_>| Ok(Args::positional(make(py)?)))
}

/// Marks a closure as a reader of answers; without it the compiler does not see that it works for every lifetime.
fn reading<T, F>(read: F) -> F
where
    F: FnOnce(&Bound<'_, PyAny>) -> Result<T, BadShape> + Send + 'static,
{
    read
}

/// As [`reading`], for the arguments.
fn making<F>(make: F) -> F
where
    F: for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyTuple>> + Send + 'static,
{
    make
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Store for GuestStore {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let asked = Asked::commit(&batch);
        let make = making(move |py| (data::batch(py, &batch)?,).into_pyobject(py));
        self.tell(asked, WITHIN, self.guest.commit(given(make), to_unit, None)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let (asked, key) = (Asked::about(key), key.clone());
        let make = making(move |py| (data::key(py, &key)?,).into_pyobject(py));
        self.ask(asked, self.guest.get(given(make), data::maybe_record, None)).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        let (scan, space) = (scan.clone(), scan.space.clone());
        let make = making(move |py| (scan.space, scan.prefix, scan.after, scan.limit, scan.reverse).into_pyobject(py));
        let read = reading(move |value| data::records(&space, value));
        self.ask(Asked::default(), self.guest.scan(given(make), read, None)).await
    }

    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let (asked, key) = (Asked::about(stream), stream.clone());
        let make = making(move |py| (data::key(py, &key)?, from, limit).into_pyobject(py));
        self.ask(asked, self.guest.read(given(make), data::entries, None)).await
    }

    async fn end(&self, stream: &Key) -> Result<u64, StoreError> {
        let (asked, key) = (Asked::about(stream), stream.clone());
        let make = making(move |py| (data::key(py, &key)?,).into_pyobject(py));
        self.ask(asked, self.guest.end(given(make), data::number, None)).await
    }

    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let (ids, count) = (ids.to_vec(), ids.len());
        let make = making(move |py| (data::ids(py, &ids)?,).into_pyobject(py));
        let read = reading(move |value| data::blobs(count, value));
        self.ask(Asked::default(), self.guest.blobs(given(make), read, None)).await
    }

    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
        let asked = Asked::about(key);
        let (at, who) = (key.clone(), owner.to_owned());
        let make = making(move |py| (data::key(py, &at)?, who, millis(ttl)).into_pyobject(py));
        let (key, owner) = (key.clone(), owner.to_owned());
        let read = reading(move |value| data::leased(key, owner, value));
        self.tell(asked, WITHIN, self.guest.acquire(given(make), read, None)).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        let (asked, held) = (Asked::held(lease), lease.clone());
        let make = making(move |py| (data::lease(py, &held)?, millis(ttl)).into_pyobject(py));
        let (key, owner) = (lease.key.clone(), lease.owner.clone());
        let read = reading(move |value| data::leased(key, owner, value));
        self.tell(asked, WITHIN, self.guest.renew(given(make), read, None)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let (asked, held) = (Asked::held(lease), lease.clone());
        let make = making(move |py| (data::lease(py, &held)?,).into_pyobject(py));
        self.tell(asked, WITHIN, self.guest.release(given(make), to_unit, None)).await
    }

    async fn claim(
        &self,
        space: &str,
        owner: &str,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
        let (at, who) = (space.to_owned(), owner.to_owned());
        let make = making(move |py| (at, who, millis(ttl), limit).into_pyobject(py));
        let (space, owner) = (space.to_owned(), owner.to_owned());
        let read = reading(move |value| data::claimed(&space, &owner, value));
        self.tell(Asked::default(), WITHIN, self.guest.claim(given(make), read, None)).await
    }

    async fn sweep(&self, grace: Duration) -> Result<Swept, StoreError> {
        let make = making(move |py| (millis(grace),).into_pyobject(py));
        self.tell(Asked::default(), SWEEP_WITHIN, self.guest.sweep(given(make), data::swept, None)).await
    }

    async fn now_ms(&self) -> Result<u64, StoreError> {
        if self.guest.has("now") {
            return self.ask(Asked::default(), self.guest.now(no_args(), data::number, None)).await;
        }
        Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
    }
}
