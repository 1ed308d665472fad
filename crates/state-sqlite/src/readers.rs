//! Connections that read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atomr_agents_state::StoreError;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::connect;
use crate::fault::Fault;
use crate::options::SqliteOptions;
use crate::place::Place;
use crate::store::{may_wait, until};
use crate::watch::Counted;

/// A small set of connections. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    patience: Duration,
    room: Semaphore,
    idle: Mutex<Vec<Counted>>,
    /// Counts how often all connections were given up.
    epoch: AtomicU64,
}

/// How much a call reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A few rows: it takes less time than handing it to another thread.
    Little,
    /// Perhaps much: it must not keep a thread of the runtime.
    Much,
}

impl Readers {
    pub(crate) fn new(place: Place, options: &SqliteOptions) -> Self {
        let (room, idle) = (Semaphore::new(options.readers), Mutex::default());
        let shared = Shared { place, patience: options.patience, room, idle, epoch: AtomicU64::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Reads in one transaction.
    pub(crate) async fn read<T, F>(&self, reading: Reading, job: F) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        let shared = &self.shared;
        let told = |fault: Fault| fault.told(&shared.place);
        let permit = match shared.room.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match until(shared.patience, shared.room.acquire()).await {
                Some(Ok(permit)) => permit,
                _ => return Err(shared.late()),
            },
        };
        if reading == Reading::Little && may_wait() {
            match shared.once(Duration::ZERO, &job) {
                Err(fault) if fault.is_busy() => {}
                result => return result.map_err(told),
            }
        }
        let shared = Arc::clone(&self.shared);
        let work = tokio::task::spawn_blocking(move || shared.once(shared.patience, &job));
        // A caller that goes away gives its place away while the thread still reads: there may be one connection more for
        // that long.
        let result = work.await;
        drop(permit);
        match result {
            Ok(result) => result.map_err(told),
            Err(_) => Err(self.shared.late()),
        }
    }

    /// Closes every connection that nobody uses, and those in use when they are put back.
    pub(crate) fn abandon(&self) {
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        let idle = std::mem::take(&mut *self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner));
        idle.into_iter().for_each(connect::abandon);
    }
}

impl Shared {
    fn once<T>(&self, wait: Duration, job: impl Fn(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => connect::reader(&self.place)?,
        };
        conn.busy_timeout(wait)?;
        let result = transaction(&conn, job);
        match &result {
            Err(fault) if fault.poisons() => connect::abandon(conn),
            _ if epoch == self.epoch.load(Ordering::Acquire) && conn.is_autocommit() => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            }
            _ => connect::abandon(conn),
        }
        result
    }

    fn late(&self) -> StoreError {
        let message = format!("it did not answer within {:?}", self.patience);
        StoreError::Unavailable { store: self.place.shown(), message }
    }
}

fn transaction<T>(conn: &Connection, job: impl Fn(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let result = job(conn);
    // It wrote nothing: ending it is only letting go of what it saw.
    let ended = conn.prepare_cached("COMMIT")?.execute([]);
    let value = result?;
    ended?;
    Ok(value)
}
