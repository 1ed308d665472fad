//! One port per event loop: how any Rust thread talks to a loop without taking the interpreter's lock.
//!
//! A thread pushes a job into the port's queue and, unless a wake-up is pending already, writes one byte into a socket
//! whose other end the loop watches as it watches every other socket. The loop's thread then takes the whole queue at
//! once. The loop's registration is the only owner of the reading end: when the loop is closed, the reader is dropped,
//! and that fails everything still waiting, so nothing hangs on a loop that is gone.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::call::CallState;
use crate::error::{GuestError, panic_text};
use crate::in_flight::{InFlight, InFlights};
use crate::near::{self, Near};
use crate::ticket::Ticket;
use crate::wire::{Reader, Writer, pair};
use crate::{glue, pool, runtime, scope};

/// A job for the loop's thread; it runs attached, between two callbacks of the loop.
pub(crate) enum Job {
    /// Starts a guest call as a task.
    Start(Ticket),
    /// Runs a quick synchronous guest on the spot.
    Inline(Ticket),
    /// Cancels the task of a call that nobody waits for any more.
    Cancel(Arc<CallState>),
    /// Resolves an asyncio future; what it stands for is fetched by whoever awaits it.
    Resolve(Py<PyAny>),
    /// Anything rarer.
    Other(Box<dyn FnOnce(&Turn<'_>) + Send>),
}

/// One turn of the loop's thread at its queue.
pub(crate) struct Turn<'py> {
    pub(crate) py: Python<'py>,
    pub(crate) event_loop: Bound<'py, PyAny>,
}

impl<'py> Turn<'py> {
    /// `loop.create_task(coroutine, context=context)`.
    pub(crate) fn task(
        &self,
        coroutine: Bound<'py, PyAny>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let keywords = PyDict::new(self.py);
        keywords.set_item(pyo3::intern!(self.py, "context"), context)?;
        self.event_loop.call_method(pyo3::intern!(self.py, "create_task"), (coroutine,), Some(&keywords))
    }
}

/// The Rust side of one event loop.
pub(crate) struct LoopPort {
    state: Mutex<State>,
    pub(crate) woken: AtomicBool,
    closed: AtomicBool,
    wake_ups: AtomicU64,
    /// How many guest tasks run on the loop.
    pub(crate) active: AtomicUsize,
    /// A guest has ended in this turn of the loop, and somebody was woken who may bring the next.
    pub(crate) expects: AtomicBool,
    /// Something was queued since the last look.
    pub(crate) asked: AtomicBool,
    writer: Mutex<Option<Writer>>,
    /// Only where the loop cannot watch a socket: a weak reference to it, for `call_soon_threadsafe`.
    fallback: Option<Py<PyAny>>,
}

#[derive(Default)]
struct State {
    queue: Vec<Job>,
    /// Runtime tasks to wake in the next turn, see [`LoopPort::wake_later`].
    wakers: Vec<Waker>,
    /// Work to poll in the next turn, see [`Near`].
    near: Vec<Arc<Near>>,
    in_flight: InFlights,
}

/// From how many running guest tasks on the runtime is told of several ends at once.
const MANY: usize = 4;

impl fmt::Debug for LoopPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopPort")
            .field("closed", &self.closed)
            .field("wake_ups", &self.wake_ups)
            .finish_non_exhaustive()
    }
}

thread_local! {
    /// The last loop seen by this thread; the pointer is trusted only while the port is open, hence the loop alive.
    static LAST: RefCell<(usize, Weak<LoopPort>)> = const { RefCell::new((0, Weak::new())) };
}

static PORTS: Mutex<Vec<(usize, Weak<LoopPort>)>> = Mutex::new(Vec::new());

impl LoopPort {
    /// The port of the loop that runs in this thread, and that loop.
    pub(crate) fn current(py: Python<'_>) -> Result<(Arc<Self>, Bound<'_, PyAny>), GuestError> {
        runtime::alive()?;
        let event_loop = glue::running_loop(py).map_err(|error| GuestError::raised(py, error))?;
        let Some(event_loop) = event_loop else { return Err(GuestError::NoEventLoop { guest: String::new() }) };
        let key = event_loop.as_ptr() as usize;
        let cached = LAST.with(|last| {
            let last = last.borrow();
            if last.0 == key { last.1.upgrade().filter(|port| !port.is_closed()) } else { None }
        });
        if let Some(port) = cached {
            return Ok((port, event_loop));
        }
        let known = lock(&PORTS).iter().find(|(at, _)| *at == key).and_then(|(_, port)| port.upgrade());
        let port = match known.filter(|port| !port.is_closed()) {
            Some(port) => port,
            None => {
                pool::lend(py);
                let port = Self::open(py, &event_loop).map_err(|error| GuestError::raised(py, error))?;
                let mut ports = lock(&PORTS);
                ports.retain(|(at, port)| *at != key && port.strong_count() > 0);
                ports.push((key, Arc::downgrade(&port)));
                port
            }
        };
        LAST.with(|last| *last.borrow_mut() = (key, Arc::downgrade(&port)));
        Ok((port, event_loop))
    }

    /// The port of the running loop if there is one; for a guest's origin.
    pub(crate) fn origin(py: Python<'_>) -> Weak<Self> {
        Self::current(py).map_or_else(|_| Weak::new(), |(port, _)| Arc::downgrade(&port))
    }

    fn open(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        if cfg!(not(unix)) {
            return Self::open_fallback(py, event_loop);
        }
        let (reader, writer) = pair()?;
        let descriptor = reader.descriptor();
        let port = Arc::new(Self::new(Some(writer), None));
        let drain = Py::new(py, Drain { port: port.clone(), reader: Some(reader) })?;
        // In a context of its own, or the loop would keep the first caller's variables alive for its lifetime.
        let bare = py.import("contextvars")?.getattr("Context")?.call0()?;
        let watch = event_loop.getattr("add_reader")?;
        match bare.call_method1("run", (watch, descriptor, &drain, event_loop)) {
            Ok(_) => Ok(port),
            Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => Self::open_fallback(py, event_loop),
            Err(error) => Err(error),
        }
    }

    /// For loops that cannot watch sockets: the loop object owns the drain, and a wake-up has to attach.
    fn open_fallback(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        let weak = py.import("weakref")?.getattr("ref")?.call1((event_loop,))?.unbind();
        let port = Arc::new(Self::new(None, Some(weak)));
        event_loop.setattr(DRAIN, Py::new(py, Drain { port: port.clone(), reader: None })?)?;
        Ok(port)
    }

    pub(crate) fn new(writer: Option<Writer>, fallback: Option<Py<PyAny>>) -> Self {
        Self {
            state: Mutex::default(),
            woken: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            wake_ups: AtomicU64::new(0),
            active: AtomicUsize::new(0),
            expects: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            writer: Mutex::new(writer),
            fallback,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// How often the loop was woken so far; for tests and benchmarks.
    pub(crate) fn wake_ups(&self) -> u64 {
        self.wake_ups.load(Ordering::Relaxed)
    }

    /// How much work is registered as in flight; for tests.
    pub(crate) fn in_flight(&self) -> usize {
        lock(&self.state).in_flight.len()
    }

    /// Registers work that must be told when the loop has gone; `None` if it has gone already.
    pub(crate) fn register(&self, work: Arc<dyn InFlight>) -> Option<usize> {
        let mut state = lock(&self.state);
        if self.is_closed() {
            return None;
        }
        Some(state.in_flight.add(work))
    }

    /// Forgets registered work.
    pub(crate) fn forget(&self, id: usize) {
        if runtime::forked() {
            return;
        }
        let gone = lock(&self.state).in_flight.remove(id);
        drop(gone);
    }

    /// Queues a job and sees to it that the loop will look; false, with the job dropped, if the loop has gone.
    pub(crate) fn push(self: &Arc<Self>, job: Job) -> bool {
        {
            let mut state = lock(&self.state);
            if self.is_closed() {
                drop(state);
                return false;
            }
            state.queue.push(job);
        }
        self.ask();
        true
    }

    /// Queues work that must be told when the loop has gone, with its first job; `enrol` is told its number first.
    pub(crate) fn send(self: &Arc<Self>, work: Arc<dyn InFlight>, enrol: impl FnOnce(usize), job: Job) -> bool {
        {
            let mut state = lock(&self.state);
            if self.is_closed() {
                drop(state);
                return false;
            }
            enrol(state.in_flight.add(work));
            state.queue.push(job);
        }
        self.ask();
        true
    }

    /// Counts a guest task in.
    pub(crate) fn task_started(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a guest task out.
    pub(crate) fn task_ended(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Wakes a runtime task because a guest on this loop has ended. With many guests running others are likely to end in
    /// the same turn: then they are woken together in the next one, which spares the loop's thread a system call each.
    pub(crate) fn wake_later(self: &Arc<Self>, waker: Waker) {
        {
            let mut state = lock(&self.state);
            let few = self.active.load(Ordering::Relaxed) < MANY && state.wakers.is_empty();
            if few || self.is_closed() {
                drop(state);
                self.expects.store(true, Ordering::Release);
                waker.wake();
                return;
            }
            state.wakers.push(waker);
        }
        self.ask();
    }

    /// Has the loop look at its queue, unless it is about to.
    fn ask(self: &Arc<Self>) {
        self.asked.store(true, Ordering::Release);
        if !self.woken.swap(true, Ordering::AcqRel) && !scope::hold(self) {
            self.wake();
        }
    }

    /// Wakes the loop; the caller has claimed the wake-up by setting `woken`.
    pub(crate) fn wake(self: &Arc<Self>) {
        if self.fallback.is_some() {
            let port = self.clone();
            runtime::attach_later(move |py| port.wake_attached(py));
            return;
        }
        if let Some(writer) = lock(&self.writer).as_ref() {
            writer.nudge();
        }
    }

    fn wake_attached(&self, py: Python<'_>) {
        let Some(weak) = &self.fallback else { return };
        let woken = weak.bind(py).call0().and_then(|event_loop| {
            let drain = event_loop.getattr(DRAIN)?;
            event_loop.call_method1("call_soon_threadsafe", (drain, &event_loop))
        });
        if woken.is_err() {
            self.close();
        }
    }

    /// Runs all that is queued, on the loop's thread.
    pub(crate) fn drain(self: &Arc<Self>, turn: &Turn<'_>) {
        self.wake_ups.fetch_add(1, Ordering::Relaxed);
        // Cleared before the queue is taken: whoever pushes after this wakes the loop once more.
        self.woken.store(false, Ordering::Release);
        let (jobs, wakers) = {
            let mut state = lock(&self.state);
            (std::mem::take(&mut state.queue), std::mem::take(&mut state.wakers))
        };
        wake_all(wakers);
        for job in jobs {
            let job = || near::here(self, || run(turn, job));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
                let error = GuestError::Panicked { message: panic_text(&*panic) };
                glue::report(turn.py, error.into(), None);
            }
        }
    }

    /// Whether anything is queued.
    pub(crate) fn has_work(&self) -> bool {
        let state = lock(&self.state);
        !state.queue.is_empty() || !state.wakers.is_empty()
    }

    /// Keeps work for the next turn; false if there is none any more. Whoever may cause it sees to it that the turn comes.
    pub(crate) fn keep(&self, near: &Arc<Near>) -> bool {
        let mut state = lock(&self.state);
        let open = !self.is_closed();
        if open {
            state.near.push(Arc::clone(near));
            // What comes next is brought by this very thread.
            self.expects.store(false, Ordering::Release);
        }
        open
    }

    pub(crate) fn take_near(&self) -> Vec<Arc<Near>> {
        std::mem::take(&mut lock(&self.state).near)
    }

    pub(crate) fn has_near(&self) -> bool {
        !lock(&self.state).near.is_empty()
    }

    /// Marks the port closed and fails all that waits for it.
    fn close(&self) {
        // After a fork another thread of the parent may have held these locks for ever.
        if runtime::forked() || self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let State { queue, wakers, near, in_flight } = std::mem::take(&mut *lock(&self.state));
        drop(lock(&self.writer).take());
        wake_all(wakers);
        near::give_back(near);
        for work in in_flight.into_all() {
            work.lost();
        }
        drop(queue);
    }
}

/// Wakes runtime tasks from one of the runtime's own threads: from this one each wake-up would be a system call, and the
/// woken thread would take this one's processor to look at a single result.
fn wake_all(wakers: Vec<Waker>) {
    if wakers.len() < 2 || !runtime::running() {
        wakers.into_iter().for_each(Waker::wake);
        return;
    }
    runtime::spawn(async move { wakers.into_iter().for_each(Waker::wake) });
}

fn run(turn: &Turn<'_>, job: Job) {
    match job {
        Job::Start(ticket) => ticket.start_task(turn),
        Job::Inline(ticket) => ticket.run_inline(turn),
        Job::Other(work) => work(turn),
        Job::Cancel(call) => call.cancel_task(turn.py),
        Job::Resolve(future) => {
            // A future that was cancelled in the meantime refuses its result: nobody waits for it.
            let _refused = future.bind(turn.py).call_method1(pyo3::intern!(turn.py, "set_result"), (turn.py.None(),));
        }
    }
}

const DRAIN: &str = "_atomr_agents_drain";

/// What the loop calls when the port's socket is readable; owned by the loop's registration alone.
#[pyclass(frozen, module = "atomr_agents._native")]
struct Drain {
    port: Arc<LoopPort>,
    reader: Option<Reader>,
}

#[pymethods]
impl Drain {
    fn __call__(&self, py: Python<'_>, event_loop: Bound<'_, PyAny>) -> PyResult<()> {
        if runtime::forked() {
            return Err(PyRuntimeError::new_err(
                "this event loop belongs to the process that this one was forked from",
            ));
        }
        if let Some(reader) = &self.reader {
            reader.clear();
        }
        self.port.turn(&Turn { py, event_loop });
        Ok(())
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.port.close();
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
