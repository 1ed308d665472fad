//! The right to write a run's log, which one commit has at a time.
//!
//! Whoever holds it writes everything that is staged, also what others staged; they find their own done when it is their
//! turn. So many small writes at once become one, and a single one waits for nobody and crosses no thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;

use super::body::NewBlob;
use super::frame::Chain;
use super::journal::{Inner, lock};
use super::reader::{BASES, base_prefix};
use crate::{Batch, Change, Expect, Fence, Frame, Item, Key, Lease, RunLogError, RunRecord, RunStatus, StoreError};

/// By how much event numbers go on after a crash, beyond the last that was written. More events than half of that are not
/// told before they are written.
pub(crate) const SEQ_GAP: u64 = 10_000;

/// What waits for the next commit.
#[derive(Default)]
pub(crate) struct Staged {
    pub(crate) items: Vec<Item>,
    pub(crate) blobs: Vec<NewBlob>,
    pub(crate) record: Option<RunRecord>,
    pub(crate) others: Vec<Change>,
    pub(crate) last_seq: u64,
    /// Counts up with everything that is staged.
    ticket: u64,
}

impl Staged {
    /// What there is; the count goes on.
    fn take(&mut self) -> Self {
        let ticket = self.ticket;
        std::mem::replace(self, Self { ticket, ..Self::default() })
    }
}

/// Where the log ends, as far as its writer knows.
struct Tail {
    next: u64,
    chain: Chain,
    /// Everything staged up to here is written.
    written: u64,
    /// The run's record is not there yet.
    new: bool,
    next_seq: u64,
    /// A commit whose end nobody saw: it failed, or its caller went away. It is made again, byte for byte, before
    /// anything else.
    in_flight: Option<InFlight>,
}

struct InFlight {
    batch: Batch,
    chain: Chain,
    ticket: u64,
    next_seq: u64,
}

pub(crate) struct Pen {
    staged: Mutex<Staged>,
    // Held over an await on purpose: it is the turn to write, not a lock around data.
    tail: tokio::sync::Mutex<Tail>,
    behind: Mutex<JoinSet<Result<(), RunLogError>>>,
    fence: Fence,
    start_seq: u64,
    /// The number of the last event that was staged here.
    told: AtomicU64,
}

impl Pen {
    pub(crate) fn new(lease: &Lease, next: u64, chain: Chain, next_seq: u64) -> Self {
        let tail = Tail { next, chain, written: 0, new: false, next_seq, in_flight: None };
        Self {
            staged: Mutex::default(),
            tail: tokio::sync::Mutex::new(tail),
            behind: Mutex::default(),
            fence: lease.fence(),
            start_seq: next_seq,
            told: AtomicU64::new(0),
        }
    }

    /// The first commit makes the run's record and fails if there is one.
    pub(crate) fn expect_new(&self) {
        if let Ok(mut tail) = self.tail.try_lock() {
            tail.new = true;
        }
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.start_seq.max(self.told.load(Ordering::Relaxed) + 1)
    }

    /// An event of this number was staged.
    pub(crate) fn tell(&self, seq: u64) {
        self.told.fetch_max(seq, Ordering::Relaxed);
    }

    pub(crate) fn waiting(&self) -> usize {
        lock(&self.staged).items.len()
    }

    pub(crate) fn stage<T>(&self, with: impl FnOnce(&mut Staged) -> T) -> T {
        let mut staged = lock(&self.staged);
        staged.ticket += 1;
        with(&mut staged)
    }

    /// Writes what is staged now. When it returns, what was staged before the call is written. `alone`: nothing else of the
    /// run goes on before.
    pub(crate) async fn write(&self, run: &Inner, alone: bool) -> Result<(), RunLogError> {
        let ticket = lock(&self.staged).ticket;
        let mut tail = self.tail.lock().await;
        if tail.in_flight.is_some() {
            self.send(run, &mut tail).await?;
        }
        if tail.written >= ticket {
            return Ok(());
        }
        let staged = lock(&self.staged).take();
        let mut flight = self.batch(run, &tail, staged)?;
        flight.batch.alone = alone;
        tail.in_flight = Some(flight);
        self.send(run, &mut tail).await
    }

    /// Makes the commit in flight, for the first time or again.
    async fn send(&self, run: &Inner, tail: &mut Tail) -> Result<(), RunLogError> {
        let Some(flight) = &tail.in_flight else { return Ok(()) };
        if let Err(error) = run.store.commit(flight.batch.clone()).await
            && !self.happened(run, &error, &flight.batch, tail.next).await?
        {
            return Err(match error {
                StoreError::Conflict { .. } if tail.new => {
                    RunLogError::Exists { run: run.name.clone(), status: RunStatus::Running }
                }
                error => error.into(),
            });
        }
        if let Some(flight) = tail.in_flight.take() {
            tail.next += u64::from(flight.batch.changes.iter().any(|change| matches!(change, Change::Append { .. })));
            tail.chain = flight.chain;
            tail.written = flight.ticket;
            tail.next_seq = flight.next_seq;
            tail.new = false;
        }
        Ok(())
    }

    /// Whether a commit that conflicts is one that happened before, when nobody saw it.
    async fn happened(&self, run: &Inner, error: &StoreError, batch: &Batch, at: u64) -> Result<bool, RunLogError> {
        if !matches!(error, StoreError::Conflict { .. }) {
            return Ok(false);
        }
        let Some(Change::Append { stream, entries, .. }) =
            batch.changes.iter().find(|change| matches!(change, Change::Append { .. }))
        else {
            return Ok(false);
        };
        let there = run.store.read(stream, at, 1).await?;
        Ok(there.first().zip(entries.first()).is_some_and(|(there, mine)| there.at == at && there.body == mine.body))
    }

    fn batch(&self, run: &Inner, tail: &Tail, staged: Staged) -> Result<InFlight, RunLogError> {
        let Staged { items, blobs, record, others, last_seq, ticket } = staged;
        let key = &self.fence.key;
        let next_seq = if last_seq == 0 { tail.next_seq } else { last_seq + SEQ_GAP };
        let mut batch = Batch::new().fenced(self.fence.clone()).durability(run.options.durability);
        for (id, bytes) in blobs {
            batch.changes.push(Change::Blob { id, bytes });
        }
        if let Some(record) = record {
            let expect = if tail.new { Expect::Absent } else { Expect::Any };
            batch = batch.put(key, record.encode()?, expect);
        }
        if items.iter().any(|item| matches!(item, Item::Checkpoint(checkpoint) if checkpoint.base)) {
            let name = format!("{}{:020}", base_prefix(&run.name), tail.next);
            batch = batch.put(&Key::new(BASES, &name)?, "", Expect::Any);
        }
        let frame = Frame { epoch: self.fence.token, time_ms: clock_ms(), next_seq, items };
        let (entry, chain) = frame.encode(tail.chain, tail.next)?;
        let mut batch = batch.append(key, Some(tail.next), entry);
        batch.changes.extend(others);
        Ok(InFlight { batch, chain, ticket, next_seq })
    }

    /// Lets what is staged be written while the run goes on; waits for the write before it.
    pub(crate) async fn write_behind(&self, run: &Arc<Inner>) -> Result<(), RunLogError> {
        let before = std::mem::take(&mut *lock(&self.behind));
        for result in before.join_all().await {
            result?;
        }
        self.spawn_write(run);
        Ok(())
    }

    /// Lets what is staged be written; waits for nothing. What goes wrong comes out of the next write.
    pub(crate) fn spawn_write(&self, run: &Arc<Inner>) {
        let own = Arc::clone(run);
        lock(&self.behind).spawn_on(async move { own.write(false).await }, &run.runtime);
    }
}

/// Milliseconds since the Unix epoch on this machine's clock; for reading by people, never for deciding who may write.
pub(crate) fn clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
