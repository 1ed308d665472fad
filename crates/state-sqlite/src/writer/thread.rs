//! The thread that writes what waits, and copies the write-ahead log into the database.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Shared, group};
use crate::connect;
use crate::fault::Fault;
use crate::watch::{self, Counted};

/// A writer that waits for each of its commits brings the next one soon after the last. Waking this thread for it takes about
/// as long as a flush of a quick disk: so for this long it looks itself, if the last one has come as soon.
const SOON: Duration = Duration::from_micros(50);

pub(super) fn run(shared: &Shared) {
    let mut copier = None;
    let (mut ended, mut soon) = (Instant::now(), false);
    loop {
        while soon && shared.waiting.load(Ordering::Acquire) == 0 && ended.elapsed() < SOON {
            std::hint::spin_loop();
        }
        let mut queue = shared.queue();
        while queue.is_empty() && !shared.has_chores() && !shared.closed.load(Ordering::Acquire) {
            queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if shared.closed.load(Ordering::Acquire) && queue.is_empty() {
            return;
        }
        let jobs = group::take(&mut queue);
        drop(queue);
        soon = ended.elapsed() < SOON;
        let (count, bytes) = (jobs.len(), jobs.iter().map(|job| job.bytes()).sum());
        if count > 0 {
            group::commit(shared, jobs);
            shared.waiting.fetch_sub(count, Ordering::AcqRel);
            shared.wrote(bytes);
        }
        ended = Instant::now();
        if shared.look_due() {
            shared.commits.store(0, Ordering::Release);
            shared.look();
        }
        if shared.checkpoint_due() {
            shared.pages.store(0, Ordering::Release);
            if let Err(fault) = checkpoint(shared, &mut copier)
                && fault.poisons()
            {
                copier.take().into_iter().for_each(connect::abandon);
                shared.abandon(&mut shared.session.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

/// After so many transactions it is looked who else has the file open.
const LOOK: u32 = 64;

impl Shared {
    pub(super) fn has_chores(&self) -> bool {
        self.checkpoint_due() || self.look_due()
    }

    fn look_due(&self) -> bool {
        self.commits.load(Ordering::Acquire) >= LOOK && !self.warned.load(Ordering::Acquire)
    }

    /// Looks who else has the file open. It is told once.
    pub(super) fn look(&self) {
        if watch::look(&self.place) {
            self.warned.store(true, Ordering::Release);
        }
    }

    fn checkpoint_due(&self) -> bool {
        self.pages.load(Ordering::Acquire) >= self.options.checkpoint_pages
    }
}

/// At this many times the pages after which a checkpoint is due, writing waits for it.
const TOO_LONG: i64 = 4;

/// Copies the log while others go on writing. Only a log that was copied whole begins anew, and where somebody writes all the
/// time there is always a rest: when the log has become too long, the rest is copied while nobody writes. A checkpoint that
/// another process is busy with is its own business.
fn checkpoint(shared: &Shared, copier: &mut Option<Counted>) -> Result<(), Fault> {
    let conn = match copier {
        Some(conn) => conn,
        None => copier.insert(connect::connect(&shared.place)?),
    };
    // What came in the meantime is not part of this count.
    if copy(conn)? < TOO_LONG * i64::from(shared.options.checkpoint_pages) {
        return Ok(());
    }
    // Whoever commits on the spot steps aside for what waits: a lock alone could be waited for without end.
    shared.waiting.fetch_add(1, Ordering::AcqRel);
    let guard = shared.session.lock().unwrap_or_else(PoisonError::into_inner);
    let result = guard.as_ref().map_or(Ok(()), |session| copy(session.conn()).map(drop));
    drop(guard);
    shared.waiting.fetch_sub(1, Ordering::AcqRel);
    result
}

/// How many pages the log had when it was begun to be copied.
fn copy(conn: &rusqlite::Connection) -> Result<i64, Fault> {
    Ok(conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?)
}
