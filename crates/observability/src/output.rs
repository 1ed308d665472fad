//! A thread of its own that writes what a tracer is given: the runtime never waits for a disk or a terminal.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use atomr_agents_core::{Event, Kind};
use tokio::sync::{Semaphore, oneshot};

use crate::TracerError;

/// How much is put together before it is written, whatever the policy.
const BUFFER: usize = 64 * 1024;

/// When what was written is handed to the operating system. [`crate::Tracer::flush`] does so at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushPolicy {
    /// When nothing more waits to be written; many events that come at once are one write.
    #[default]
    Idle,
    /// After each event.
    Event,
    /// At least this often: fewer writes, and as much may be lost in a crash.
    Every(Duration),
}

/// How a tracer that writes does so.
#[derive(Clone, Copy, Debug)]
pub struct OutputOptions {
    /// How many events may wait to be written. When they do, the tracer takes no more, and the bus counts and tells
    /// what it misses. Default 4,096, at least 1.
    pub capacity: usize,
    /// When what was written is handed to the operating system.
    pub flush: FlushPolicy,
    /// How long one event may wait for its place in the queue, and how long a flush may take. Default 5 seconds.
    pub deadline: Duration,
    /// Whether what looks like a secret is masked, see [`crate::redact`]. Default true.
    pub redact: bool,
}

impl Default for OutputOptions {
    fn default() -> Self {
        Self { capacity: 4_096, flush: FlushPolicy::default(), deadline: Duration::from_secs(5), redact: true }
    }
}

/// Makes bytes of events, on the writing thread.
pub(crate) trait Render: Send + 'static {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>);

    /// What it held back so far.
    fn rest(&mut self, _out: &mut Vec<u8>) {}
}

/// Where the bytes go.
pub(crate) trait Target: Write + Send + 'static {
    /// Sees to it that what was written survives, as far as it can.
    fn sync(&mut self) -> io::Result<()> {
        self.flush()
    }
}

enum Order {
    Event(Arc<Event>),
    Flush(oneshot::Sender<()>),
    Close,
}

/// The handle of the writing thread. Dropping it lets the thread write what it has and end, without waiting.
pub(crate) struct Output {
    name: &'static str,
    orders: Sender<Order>,
    shared: Arc<Shared>,
    deadline: Duration,
}

struct Shared {
    /// The free places in the queue.
    places: Semaphore,
    written: AtomicU64,
    lost: AtomicU64,
    trouble: Mutex<Trouble>,
    ended: Mutex<bool>,
    end: Condvar,
}

/// What went wrong first and was not told yet: to those who give events, so that it is known soon, and to those who
/// flush, so that it is known for certain.
#[derive(Default)]
struct Trouble {
    since_event: Option<Arc<io::Error>>,
    since_flush: Option<Arc<io::Error>>,
}

impl Output {
    pub(crate) fn start(
        name: &'static str,
        target: impl Target,
        render: impl Render,
        options: OutputOptions,
    ) -> Result<Self, TracerError> {
        let (orders, inbox) = mpsc::channel();
        let shared = Arc::new(Shared {
            places: Semaphore::new(options.capacity.clamp(1, Semaphore::MAX_PERMITS)),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            trouble: Mutex::default(),
            ended: Mutex::new(false),
            end: Condvar::new(),
        });
        let writer = Writer {
            target,
            render,
            policy: options.flush,
            buffer: Vec::new(),
            held: 0,
            torn: false,
            last: Instant::now(),
            shared: Arc::clone(&shared),
        };
        let spawned = thread::Builder::new().name(format!("atomr-{name}")).spawn(move || writer.run(&inbox));
        spawned.map_err(|error| TracerError::failed(name, Kind::Runtime, error))?;
        Ok(Self { name, orders, shared, deadline: options.deadline })
    }

    /// Queues an event; tells what went wrong with earlier ones.
    pub(crate) async fn put(&self, event: Arc<Event>) -> Result<(), TracerError> {
        let earlier = self.trouble().since_event.take();
        let place = match self.shared.places.try_acquire() {
            Ok(place) => Ok(place),
            Err(_) => match tokio::time::timeout(self.deadline, self.shared.places.acquire()).await {
                Ok(place) => place.map_err(|_| self.closed()),
                Err(_) => Err(self.late("for a place in its queue")),
            },
        };
        match place {
            Ok(place) if self.orders.send(Order::Event(event)).is_ok() => place.forget(),
            Ok(_) => return Err(self.lose(self.closed())),
            Err(error) => return Err(self.lose(error)),
        }
        self.told(earlier)
    }

    /// Waits until everything queued so far is written and synchronised.
    pub(crate) async fn flush(&self) -> Result<(), TracerError> {
        let (reply, answer) = oneshot::channel();
        if self.orders.send(Order::Flush(reply)).is_err() {
            // Everything was written when it was closed.
            return self.tell();
        }
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(_) => self.tell(),
            Err(_) => Err(self.late("for its target")),
        }
    }

    /// Writes what is queued, ends the thread and waits for that, at most `deadline`. Later events are errors.
    pub(crate) fn close(&self, deadline: Duration) -> Result<(), TracerError> {
        // If nobody takes the order, the thread has ended already.
        drop(self.orders.send(Order::Close));
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.end.wait_timeout_while(ended, deadline, |ended| !*ended);
        let ended = *waited.unwrap_or_else(PoisonError::into_inner).0;
        if ended { self.tell() } else { Err(self.late("for its target")) }
    }

    /// Events that were handed to the operating system.
    pub(crate) fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Events that could not be written.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Acquire)
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What went wrong since the last flush.
    fn tell(&self) -> Result<(), TracerError> {
        self.told(std::mem::take(&mut *self.trouble()).since_flush)
    }

    fn told(&self, trouble: Option<Arc<io::Error>>) -> Result<(), TracerError> {
        trouble.map_or(Ok(()), |error| Err(TracerError::failed(self.name, Kind::Runtime, error)))
    }

    fn lose(&self, error: TracerError) -> TracerError {
        self.shared.lost.fetch_add(1, Ordering::Relaxed);
        error
    }

    fn closed(&self) -> TracerError {
        self.failed(Kind::Cancelled, "it was closed".into())
    }

    fn late(&self, what: &str) -> TracerError {
        self.failed(Kind::Timeout, format!("it waited longer than {:?} {what}", self.deadline))
    }

    fn failed(&self, kind: Kind, message: String) -> TracerError {
        TracerError::Failed { tracer: self.name.into(), kind, message, source: None }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        drop(self.orders.send(Order::Close));
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("name", &self.name)
            .field("written", &self.written())
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

/// What runs in the thread.
struct Writer<T, R> {
    target: T,
    render: R,
    policy: FlushPolicy,
    buffer: Vec<u8>,
    /// How many events the buffer holds.
    held: u64,
    /// A write failed, perhaps in the middle of a line.
    torn: bool,
    last: Instant,
    shared: Arc<Shared>,
}

impl<T: Target, R: Render> Writer<T, R> {
    fn run(mut self, inbox: &Receiver<Order>) {
        // Also if rendering panics: nobody waits for a thread that is no more.
        let _end = End(Arc::clone(&self.shared));
        while let Some(order) = self.next(inbox) {
            match order {
                Order::Event(event) => {
                    self.render.event(&event, &mut self.buffer);
                    self.held += 1;
                    drop(event);
                    self.shared.places.add_permits(1);
                    if self.policy == FlushPolicy::Event || self.buffer.len() >= BUFFER {
                        self.write();
                    }
                }
                Order::Flush(reply) => {
                    self.finish();
                    // Nobody waits any more if the send fails.
                    let _ = reply.send(());
                }
                Order::Close => break,
            }
        }
        self.finish();
    }

    /// The next order; what the policy says is written before waiting for it.
    fn next(&mut self, inbox: &Receiver<Order>) -> Option<Order> {
        if self.held == 0 {
            return inbox.recv().ok();
        }
        let FlushPolicy::Every(interval) = self.policy else {
            return match inbox.try_recv() {
                Ok(order) => Some(order),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => {
                    self.write();
                    inbox.recv().ok()
                }
            };
        };
        match inbox.recv_timeout(interval.saturating_sub(self.last.elapsed())) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                self.write();
                inbox.recv().ok()
            }
        }
    }

    fn finish(&mut self) {
        self.render.rest(&mut self.buffer);
        self.write();
        if let Err(error) = self.target.sync() {
            self.trouble(error);
        }
    }

    fn write(&mut self) {
        self.last = Instant::now();
        let held = std::mem::take(&mut self.held);
        if !self.buffer.is_empty() {
            if self.torn {
                // Ends the line that was torn, so that only that one is lost.
                self.buffer.insert(0, b'\n');
            }
            let written = self.target.write_all(&self.buffer).and_then(|()| self.target.flush());
            self.buffer.clear();
            self.torn = written.is_err();
            if let Err(error) = written {
                self.trouble(error);
                self.shared.lost.fetch_add(held, Ordering::Release);
                return;
            }
        }
        self.shared.written.fetch_add(held, Ordering::Relaxed);
    }

    fn trouble(&self, error: io::Error) {
        let error = Arc::new(error);
        let mut trouble = self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.since_event.get_or_insert_with(|| Arc::clone(&error));
        trouble.since_flush.get_or_insert(error);
    }
}

/// Says that the thread has ended, however it did.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.places.close();
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.end.notify_all();
    }
}
