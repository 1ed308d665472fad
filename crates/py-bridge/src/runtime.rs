//! The process's one tokio runtime: when it starts, when it must refuse, and how it ends.
//!
//! It starts with the first awaitable. A child process made by `fork()` has the memory of its parent's runtime but none
//! of its threads, and a lock that such a thread held stays locked; so the child is marked as it is born, and there every
//! entry refuses with a typed error and every drop leaves the inherited state alone.
//! At interpreter exit it is stopped from `atexit`, detached from the interpreter and for a bounded time, because a
//! thread that comes back to a finalizing interpreter is ended by it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::GuestError;

/// Names the environment variable that sets the number of worker threads.
pub const WORKERS_ENV: &str = "ATOMR_AGENTS_WORKER_THREADS";

/// How long interpreter exit waits for the runtime's work to stop.
pub const EXIT_GRACE: Duration = Duration::from_millis(500);

static FORKED: AtomicBool = AtomicBool::new(false);
static STARTED: OnceLock<Result<Started, String>> = OnceLock::new();

struct Started {
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
    at_exit: AtomicBool,
    closing: AtomicBool,
    attached: AtomicUsize,
}

/// The runtime's handle; starts it on first use.
///
/// # Errors
/// `Forked` in a child of a process that had started it, `ShutDown` once the interpreter exits.
pub fn handle(py: Python<'_>) -> Result<&'static Handle, GuestError> {
    let started = match STARTED.get_or_init(build) {
        Ok(started) => started,
        Err(message) => return Err(GuestError::Panicked { message: message.clone() }),
    };
    check(started)?;
    if !started.at_exit.swap(true, Ordering::AcqRel) {
        register_hooks(py).map_err(|error| GuestError::raised(py, error))?;
    }
    Ok(&started.handle)
}

/// Whether work may go on in this process: false after a fork and during interpreter exit, true where nothing started.
pub(crate) fn alive() -> Result<(), GuestError> {
    match STARTED.get() {
        Some(Ok(started)) => check(started),
        _ => Ok(()),
    }
}

/// Whether the runtime has started and may be used.
pub(crate) fn running() -> bool {
    matches!(STARTED.get(), Some(Ok(started)) if check(started).is_ok())
}

/// Spawns on the runtime if it runs; otherwise drops the future.
pub(crate) fn spawn<F>(future: F) -> bool
where
    F: Future<Output = ()> + Send + 'static,
{
    match STARTED.get() {
        Some(Ok(started)) if check(started).is_ok() => {
            started.handle.spawn(future);
            true
        }
        _ => false,
    }
}

/// Runs `work` attached, on a thread of the blocking pool: for the rare jobs that no loop can do.
pub(crate) fn attach_later<W>(work: W)
where
    W: for<'py> FnOnce(Python<'py>) + Send + 'static,
{
    let Some(Ok(started)) = STARTED.get() else {
        // No runtime, hence no exit to race with: an embedding program calls guests from its own threads.
        Python::try_attach(work);
        return;
    };
    if check(started).is_ok() {
        started.handle.spawn_blocking(move || {
            started.attached.fetch_add(1, Ordering::AcqRel);
            // Asked again inside the count: exit first forbids, then waits for the count to fall to zero.
            if check(started).is_ok() {
                Python::try_attach(work);
            }
            started.attached.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// Whether this process inherited a started runtime from its parent.
pub(crate) fn forked() -> bool {
    FORKED.load(Ordering::Acquire)
}

fn check(started: &Started) -> Result<(), GuestError> {
    if forked() {
        return Err(GuestError::Forked);
    }
    if started.closing.load(Ordering::Acquire) {
        return Err(GuestError::ShutDown);
    }
    Ok(())
}

fn build() -> Result<Started, String> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers())
        .thread_name("atomr-worker")
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime could not start its threads: {error}"))?;
    Ok(Started {
        handle: runtime.handle().clone(),
        runtime: Mutex::new(Some(runtime)),
        at_exit: AtomicBool::new(false),
        closing: AtomicBool::new(false),
        attached: AtomicUsize::new(0),
    })
}

fn workers() -> usize {
    let asked = std::env::var(WORKERS_ENV).ok().and_then(|text| text.trim().parse::<usize>().ok());
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    // One core is the interpreter's: a worker without a core of its own only costs switches.
    asked.filter(|count| *count > 0).unwrap_or_else(|| cores.saturating_sub(1).clamp(1, 4)).min(1024)
}

fn register_hooks(py: Python<'_>) -> PyResult<()> {
    let mark = PyCFunction::new_closure(py, Some(c"mark_forked"), None, |_, _| FORKED.store(true, Ordering::Release))?;
    let hook = PyDict::new(py);
    hook.set_item("after_in_child", mark)?;
    // Where processes cannot be forked the function does not exist.
    if let Some(register) = py.import("os")?.getattr_opt("register_at_fork")? {
        register.call((), Some(&hook))?;
    }
    let stop = PyCFunction::new_closure(py, Some(c"stop_runtime"), None, |args, _| shut_down(args.py()))?;
    py.import("atexit")?.call_method1("register", (stop,))?;
    Ok(())
}

/// Stops the runtime: new entries are refused, work under way is dropped, its threads are waited for for [`EXIT_GRACE`].
pub(crate) fn shut_down(py: Python<'_>) {
    let Some(Ok(started)) = STARTED.get() else { return };
    // A forked child that ends must not touch its parent's threads.
    if forked() || started.closing.swap(true, Ordering::AcqRel) {
        return;
    }
    py.detach(|| {
        let deadline = Instant::now() + EXIT_GRACE;
        crate::pool::stop(deadline);
        while started.attached.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let runtime = started.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
        }
    });
}
