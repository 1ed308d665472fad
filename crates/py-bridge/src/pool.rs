//! Worker threads for synchronous guests: bounded, and Python's own.
//!
//! They are Python daemon threads, not Rust ones: a guest that still blocks when the interpreter exits is ended by the
//! interpreter with `pthread_exit`, which a Rust frame further up the stack would turn into an abort. They also see a
//! true `threading.current_thread()`. A worker that takes a call first sees to it that another one is idle, so that
//! handing a call over never needs the interpreter's lock.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::call::Outcome;
use crate::error::GuestError;
use crate::port::lock;
use crate::ticket::Ticket;
use crate::{glue, runtime};

pub use crate::call::abandoned;

/// Names the environment variable that bounds the number of threads for synchronous guests.
pub const THREADS_ENV: &str = "ATOMR_AGENTS_SYNC_THREADS";

/// Names the environment variable that bounds how many calls of synchronous guests wait for a thread.
pub const QUEUE_ENV: &str = "ATOMR_AGENTS_SYNC_QUEUE";

/// As many as an agent runs tools at once, so that those of one answer do not wait for each other.
const DEFAULT_LIMIT: usize = 128;
const DEFAULT_QUEUE: usize = 100_000;
const IDLE: Duration = Duration::from_secs(30);

thread_local! {
    /// Whether this thread is a worker, and whether it has lent its place, see [`lend`].
    static WORKER: Cell<(bool, bool)> = const { Cell::new((false, false)) };
}

static POOL: Pool = Pool { state: Mutex::new(State::new()), changed: Condvar::new() };
static WANTED: AtomicBool = AtomicBool::new(false);

struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    queue: VecDeque<Ticket>,
    threads: usize,
    idle: usize,
    /// Workers on their way back to the interpreter. One that comes back to an interpreter that is finalizing is ended inside of
    /// Rust frames, which aborts the process: so they are waited for.
    returning: usize,
    /// Workers that wait for an event loop of their own; they do not count towards the bound.
    lent: usize,
    stopping: bool,
}

impl State {
    const fn new() -> Self {
        Self { queue: VecDeque::new(), threads: 0, idle: 0, returning: 0, lent: 0, stopping: false }
    }

    fn bound(&self) -> usize {
        limit() + self.lent
    }
}

fn limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| positive(THREADS_ENV).unwrap_or(DEFAULT_LIMIT))
}

fn queue_limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| positive(QUEUE_ENV).unwrap_or(DEFAULT_QUEUE))
}

fn positive(variable: &str) -> Option<usize> {
    let asked = std::env::var(variable).ok()?.trim().parse::<usize>().ok()?;
    Some(asked).filter(|count| *count > 0)
}

/// How many worker threads there are.
pub fn threads() -> usize {
    lock(&POOL.state).threads
}

/// Notes that a synchronous guest exists, so that the next awaitable brings the first worker up.
pub(crate) fn want() {
    WANTED.store(true, Ordering::Relaxed);
}

/// Hires the first worker if one is wanted and none is there.
pub(crate) fn ready(py: Python<'_>) {
    if WANTED.load(Ordering::Relaxed) && reserve_first() {
        hire(py);
    }
}

fn reserve_first() -> bool {
    let mut state = lock(&POOL.state);
    let first = state.threads == 0 && !state.stopping;
    if first {
        state.threads = 1;
    }
    first
}

/// Hands a call to a worker; one that finds too many waiting fails at once.
pub(crate) fn submit(ticket: Ticket) {
    let mut left = VecDeque::new();
    let refused = {
        let mut state = lock(&POOL.state);
        let limit = queue_limit();
        if state.queue.len() >= limit {
            // Calls that nobody waits for any more take nobody's place.
            let waiting = std::mem::take(&mut state.queue);
            (left, state.queue) = waiting.into_iter().partition(|ticket| ticket.state.has_left());
        }
        if state.stopping {
            Some((ticket, GuestError::ShutDown))
        } else if state.queue.len() >= limit {
            Some((ticket, GuestError::Overloaded { queue: "worker threads", limit }))
        } else {
            state.queue.push_back(ticket);
            None
        }
    };
    drop(left);
    if let Some((ticket, why)) = refused {
        ticket.state.settle(Outcome::Failed(why));
        return;
    }
    POOL.changed.notify_one();
    if reserve_first() {
        runtime::attach_later(hire);
    }
}

/// Starts one worker thread, already counted.
fn hire(py: Python<'_>) {
    let hired = glue::glue(py).and_then(|glue| {
        let pool = Py::new(py, Workers)?;
        glue.hire.bind(py).call1((pool,))
    });
    let Err(error) = hired else { return };
    let stranded: Vec<Ticket> = {
        let mut state = lock(&POOL.state);
        state.threads -= 1;
        if state.threads == 0 { state.queue.drain(..).collect() } else { Vec::new() }
    };
    let why = GuestError::raised(py, error);
    for ticket in stranded {
        ticket.state.settle(Outcome::Failed(why.clone()));
    }
}

/// A synchronous guest on this worker begins to run an event loop of its own, and so waits for what runs there. If that
/// needs workers too, it must not wait for its own place: the place is lent until the guest returns.
pub(crate) fn lend(py: Python<'_>) {
    if WORKER.get() != (true, false) {
        return;
    }
    WORKER.set((true, true));
    let more = {
        let mut state = lock(&POOL.state);
        state.lent += 1;
        let more = state.idle == 0 && state.threads < state.bound() && !state.stopping;
        if more {
            state.threads += 1;
        }
        more
    };
    if more {
        hire(py);
    }
}

/// Ends the idle workers and waits for them, briefly; a busy one is left to the interpreter.
pub(crate) fn stop(deadline: Instant) {
    let mut state = lock(&POOL.state);
    state.stopping = true;
    let stranded: Vec<Ticket> = state.queue.drain(..).collect();
    POOL.changed.notify_all();
    while state.idle > 0 || state.returning > 0 {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        state = POOL.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    drop(state);
    for ticket in stranded {
        ticket.state.settle(Outcome::Failed(GuestError::ShutDown));
    }
}

/// What a worker does next.
enum Next {
    Run(Ticket, bool),
    Quit,
}

/// Waits, detached, for a call; tells whether another worker must be hired first.
fn wait() -> Next {
    let mut state = lock(&POOL.state);
    let next = loop {
        if state.stopping {
            state.threads -= 1;
            break Next::Quit;
        }
        if state.threads > state.bound() {
            state.threads -= 1;
            // Another one may be needed for what this one would have taken.
            POOL.changed.notify_one();
            break Next::Quit;
        }
        if let Some(ticket) = state.queue.pop_front() {
            let hire = state.idle == 0 && state.threads < state.bound();
            if hire {
                state.threads += 1;
            }
            break Next::Run(ticket, hire);
        }
        state.idle += 1;
        let (back, waited) = POOL.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = back;
        state.idle -= 1;
        if waited.timed_out() && state.idle > 0 && state.queue.is_empty() {
            state.threads -= 1;
            break Next::Quit;
        }
    };
    state.returning += 1;
    next
}

/// A worker is back in the interpreter.
fn returned() {
    let mut state = lock(&POOL.state);
    state.returning -= 1;
    if state.stopping {
        POOL.changed.notify_all();
    }
}

/// The pool as its threads see it.
#[pyclass(frozen, module = "atomr_agents._native")]
struct Workers;

#[pymethods]
impl Workers {
    /// The next call to run, or `None` when the thread shall end.
    fn next<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyTuple>> {
        if WORKER.replace((true, false)).1 {
            lock(&POOL.state).lent -= 1;
        }
        loop {
            // Once the exit has begun, the interpreter is not let go of any more.
            {
                let mut state = lock(&POOL.state);
                if state.stopping {
                    state.threads -= 1;
                    return None;
                }
            }
            let next = py.detach(wait);
            returned();
            let (ticket, more) = match next {
                Next::Run(ticket, more) => (ticket, more),
                Next::Quit => return None,
            };
            if more {
                hire(py);
            }
            if !ticket.state.begin(true) {
                continue;
            }
            let state = ticket.state.clone();
            match ticket.unpack(py) {
                Ok(call) => return Some(call),
                Err(error) => state.settle(Outcome::Failed(GuestError::raised(py, error))),
            }
        }
    }
}
