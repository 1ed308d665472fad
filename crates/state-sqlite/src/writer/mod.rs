//! The connection that writes.
//!
//! Who finds it free commits on the spot: handing a batch to another thread costs more than a relaxed commit, and as much as
//! a flush of a quick disk. Who does not find it free puts the batch into a queue, and the writer's thread does everything
//! that waits there in one SQLite transaction, a savepoint for each, so that a batch that fails fails alone.

mod ahead;
mod alone;
mod group;
mod job;
mod pace;
mod session;
mod thread;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use atomr_agents_state::{Durability, StoreError};
use tokio::sync::{Semaphore, oneshot};

use self::alone::Alone;
use self::job::{Job, Waiting};
use self::pace::Pace;
use self::session::Session;
use crate::connect::Opened;
use crate::fault::Fault;
use crate::options::SqliteOptions;
use crate::place::Place;
use crate::readers::Readers;
use crate::store::{may_wait, until};
use crate::tables::Tx;

/// What is known of a transaction before it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    /// What it survives.
    pub(crate) durability: Durability,
    /// About how much it writes.
    pub(crate) bytes: usize,
    /// Who writes, where that is known.
    pub(crate) by: Option<u64>,
    /// Whether nothing else of that one goes on before it is done.
    pub(crate) alone: bool,
    /// Whether it takes long however little it writes.
    pub(crate) long: bool,
}

impl Write {
    /// A little one, of nobody in particular.
    pub(crate) fn of(durability: Durability) -> Self {
        Self { durability, bytes: 0, by: None, alone: false, long: false }
    }
}

/// The one writer of a store. Dropping it ends its thread after the transaction that is under way.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    options: SqliteOptions,
    readers: Readers,
    /// None after a failure of the medium, until the thread has opened the file again.
    session: Mutex<Option<Session>>,
    queue: Mutex<VecDeque<Box<dyn Job>>>,
    /// How many are in the queue or being done by the thread.
    waiting: AtomicUsize,
    wake: Condvar,
    room: Semaphore,
    /// About how many pages were written since the last checkpoint.
    pages: AtomicU32,
    /// How many transactions there were since it was looked who else has the file open, and whether somebody was found.
    commits: AtomicU32,
    warned: AtomicBool,
    pace: Pace,
    alone: Alone,
    closed: AtomicBool,
}

impl Writer {
    pub(crate) fn new(place: Place, options: SqliteOptions, readers: Readers, opened: Opened) -> Self {
        let shared = Shared {
            place,
            readers,
            session: Mutex::new(Some(Session::new(opened))),
            queue: Mutex::default(),
            waiting: AtomicUsize::new(0),
            wake: Condvar::new(),
            room: Semaphore::new(options.queue),
            pages: AtomicU32::new(0),
            commits: AtomicU32::new(0),
            warned: AtomicBool::new(false),
            pace: Pace::default(),
            alone: Alone::default(),
            closed: AtomicBool::new(false),
            options,
        };
        shared.look();
        Self { shared: Arc::new(shared), thread: Mutex::default() }
    }

    /// Does `job` in a transaction. A caller that goes away leaves it done or not begun.
    pub(crate) async fn write<T, F>(&self, write: Write, job: F) -> Result<T, StoreError>
    where
        F: Fn(&Tx<'_>) -> Result<T, Fault> + Send + 'static,
        T: Send + 'static,
    {
        let shared = &*self.shared;
        let Write { durability, bytes, .. } = write;
        if shared.inline(write)
            && let Some(result) = shared.try_now(durability, &job)
        {
            shared.alone.wrote();
            self.after(bytes);
            return result;
        }
        let Some(Ok(_room)) = until(shared.options.patience, shared.room.acquire()).await else {
            return Err(shared.late("it has no room for another call; nothing was written"));
        };
        let (reply, answer) = oneshot::channel();
        self.push(Box::new(Waiting::new(durability, bytes, job, reply)));
        match until(shared.options.patience * 2, answer).await {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(shared.late("its writer ended; a commit that was under way may have happened")),
            None => Err(shared.late("it did not answer in time; the commit may have happened")),
        }
    }

    fn push(&self, job: Box<dyn Job>) {
        self.shared.waiting.fetch_add(1, Ordering::AcqRel);
        self.shared.queue().push_back(job);
        self.wake();
    }

    fn after(&self, bytes: usize) {
        self.shared.wrote(bytes);
        if self.shared.has_chores() {
            self.wake();
        }
    }

    /// Wakes the thread, and starts it if it does not run.
    fn wake(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_none_or(JoinHandle::is_finished) {
            let shared = Arc::clone(&self.shared);
            let started =
                std::thread::Builder::new().name("atomr-sqlite".to_owned()).spawn(move || thread::run(&shared));
            match started {
                Ok(handle) => *thread = Some(handle),
                // Who waits is told: their replies are dropped with their jobs.
                Err(_) => self.shared.queue().clear(),
            }
        }
        drop(thread);
        self.shared.wake.notify_one();
    }

    pub(crate) fn place(&self) -> &Place {
        &self.shared.place
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        // Under the lock, so that the thread is either before its look at `closed` or waits already.
        drop(self.shared.queue());
        self.shared.wake.notify_all();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It ends after what it is doing, and it has nothing to tell.
            let _ = thread.join();
        }
    }
}

/// A batch that is larger is written by the writer's thread.
const INLINE_BYTES: usize = 256 << 10;
/// One that is larger is flushed by the writer's thread, and written by it for who must not wait.
const LITTLE_BYTES: usize = 32 << 10;

impl Shared {
    /// Whether something may be written on the caller's thread. Little that is not flushed goes no further than the system's
    /// memory: that is for every thread. Flushing takes as long as the medium takes, and whatever else the thread has to do stands
    /// still meanwhile: only while it takes no longer than handing it over, there and back, and only for a writer that is alone or
    /// of which nothing is known.
    fn inline(&self, write: Write) -> bool {
        let little = write.bytes <= LITTLE_BYTES;
        match write.durability {
            _ if write.long => false,
            Durability::Relaxed => little || (write.bytes <= INLINE_BYTES && may_wait()),
            Durability::Full => {
                little && self.pace.is_quick() && write.by.map_or_else(may_wait, |by| self.alone.is(by, write.alone))
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Box<dyn Job>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a job on this thread if nobody writes and nobody waits.
    fn try_now<T>(
        &self,
        durability: Durability,
        job: impl Fn(&Tx<'_>) -> Result<T, Fault>,
    ) -> Option<Result<T, StoreError>> {
        if self.waiting.load(Ordering::Acquire) > 0 {
            return None;
        }
        let mut guard = self.session.try_lock().ok()?;
        let session = guard.as_mut()?;
        match self.pace.of(durability, || session.one(&self.place, durability, job)) {
            Ok(value) => Some(Ok(value)),
            Err(fault) if fault.is_busy() => None,
            Err(fault) => {
                if fault.poisons() {
                    self.abandon(&mut guard);
                }
                Some(Err(fault.told(&self.place)))
            }
        }
    }

    /// Closes every connection after a failure of the medium.
    fn abandon(&self, session: &mut Option<Session>) {
        if let Some(session) = session.take() {
            session.abandon();
        }
        self.readers.abandon();
    }

    /// Counts what was written.
    fn wrote(&self, bytes: usize) {
        // Each commit writes a page of three trees at least.
        let pages = u32::try_from(bytes / 2_048).unwrap_or(u32::MAX).saturating_add(3);
        self.pages.fetch_add(pages, Ordering::AcqRel);
        self.commits.fetch_add(1, Ordering::AcqRel);
    }

    fn late(&self, message: &str) -> StoreError {
        StoreError::Unavailable { store: self.place.shown(), message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;
    use crate::connect;
    use crate::readers::Reading;

    /// On which threads something is written (relaxed and full) and read.
    async fn threads(writer: &Writer, pace: Duration) -> [ThreadId; 3] {
        let here = |_: &Tx<'_>| Ok(thread::current().id());
        writer.shared.pace.note(Durability::Full, pace);
        // It answers before it lets go of the connection.
        while writer.shared.waiting.load(Ordering::Acquire) > 0 || writer.shared.session.try_lock().is_err() {
            tokio::task::yield_now().await;
        }
        [
            writer.write(Write::of(Durability::Relaxed), here).await.unwrap(),
            writer.write(Write::of(Durability::Full), here).await.unwrap(),
            writer.shared.readers.read(Reading::Little, |_| Ok(thread::current().id())).await.unwrap(),
        ]
    }

    fn writer(folder: &tempfile::TempDir) -> Arc<Writer> {
        let (place, options) = (Place::find(&folder.path().join("x.db")).unwrap(), SqliteOptions::default());
        let opened = connect::open(&place, options.patience).unwrap();
        let readers = Readers::new(place.clone(), &options);
        Arc::new(Writer::new(place, options, readers, opened))
    }

    #[tokio::test]
    async fn who_writes_alone_waits_for_a_quick_medium_wherever_it_is_polled() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, own) = (writer(&folder), thread::current().id());
        let by = async |by: u64| {
            // Whatever it took in truth; and the last one answers before it lets go of the connection.
            (0..100).for_each(|_| writer.shared.pace.note(Durability::Full, Duration::ZERO));
            while writer.shared.waiting.load(Ordering::Acquire) > 0 || writer.shared.session.try_lock().is_err() {
                tokio::task::yield_now().await;
            }
            // What comes at once had been ready before.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let write = Write { by: Some(by), ..Write::of(Durability::Full) };
            writer.write(write, |_| Ok(thread::current().id())).await.unwrap() == own
        };
        let mut found = Vec::new();
        for number in [1, 1, 1, 2, 2, 1, 2, 2] {
            found.push(by(number).await);
        }
        assert_eq!(found, [false, true, true, false, true, false, false, true]);
    }

    #[tokio::test]
    async fn only_a_task_of_the_runtime_waits_for_the_medium_and_for_a_quick_one_only() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let own = thread::current().id();
        // The body of this test is polled by `block_on`, as by the event loop of another language: it is no task.
        let outside = threads(&writer, Duration::ZERO).await;
        assert_eq!(outside.map(|thread| thread == own), [true, false, false]);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let slow = threads(&writer, Duration::from_secs(1)).await;
            for _ in 0..100 {
                writer.shared.pace.note(Durability::Full, Duration::ZERO);
            }
            (slow, threads(&writer, Duration::ZERO).await)
        });
        let (slow, quick) = tasks.join_next().await.unwrap().unwrap();
        assert_eq!(slow.map(|thread| thread == own), [true, false, true]);
        assert_eq!(quick, [own; 3]);
    }
}
