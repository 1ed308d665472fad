//! The one way out: a Rust future as a real, lazy Python coroutine.

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::error::{GuestError, panic_text};
use crate::in_flight::InFlight;
use crate::near::Resident;
use crate::port::{Job, LoopPort, lock};
use crate::scope::{Corked, Live, Scope};
use crate::{glue, pool, runtime};

/// How long a cancelled awaitable waits for its guests before it lets the cancellation through and reports them.
pub const SETTLE_GRACE: Duration = Duration::from_secs(1);

type Convert = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Py<PyAny>> + Send>;
type Work = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Start = Box<dyn FnOnce(Scope) -> Work + Send>;

/// What an awaitable answers, made into a Python object in the task that awaits it.
pub struct Reply(Convert);

impl Reply {
    /// A reply that this closure makes.
    pub fn new<C>(convert: C) -> Self
    where
        C: for<'py> FnOnce(Python<'py>) -> PyResult<Py<PyAny>> + Send + 'static,
    {
        Self(Box::new(convert))
    }
}

impl Reply {
    /// The Python value, or the exception.
    pub(crate) fn make(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        catch_unwind(AssertUnwindSafe(|| (self.0)(py)))
            .unwrap_or_else(|panic| Err(GuestError::Panicked { message: panic_text(&*panic) }.into()))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// A result that can cross into Python.
pub trait IntoReply: Send + 'static {
    /// The reply that makes the Python object.
    fn into_reply(self) -> Reply;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Reply {
        self
    }
}

impl<T> IntoReply for T
where
    T: for<'py> IntoPyObject<'py> + Send + 'static,
{
    fn into_reply(self) -> Reply {
        Reply::new(move |py| {
            // pyo3 makes the unit an empty tuple; who awaits a Rust procedure expects `None`.
            if TypeId::of::<T>() == TypeId::of::<()>() {
                return Ok(py.None());
            }
            self.into_py_any(py)
        })
    }
}

/// Makes a coroutine that runs the future which `make` returns.
///
/// It is a real coroutine: `await`, `create_task`, `TaskGroup`, `gather` and `wait_for` take it, and nothing starts
/// before it is awaited. `make` and its future run on the runtime; cancelling the awaiting task drops the future, cancels
/// the scope's guests and waits for them for [`SETTLE_GRACE`]; a panic becomes a `RustPanicError`.
///
/// # Errors
/// Only if the coroutine object itself cannot be made.
pub fn awaitable<M, F, T, E>(py: Python<'_>, make: M) -> PyResult<Py<PyAny>>
where
    M: FnOnce(Scope) -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: IntoReply,
    E: Into<PyErr> + Send + 'static,
{
    coroutine(py, false, make)
}

/// As [`awaitable()`], for work that goes from guest to guest and does little in between: what follows the end of a guest
/// runs on the loop's own thread, without the interpreter and outside of any task of the runtime. It must not block.
///
/// # Errors
/// As [`awaitable()`].
pub fn stepping<M, F, T, E>(py: Python<'_>, make: M) -> PyResult<Py<PyAny>>
where
    M: FnOnce(Scope) -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: IntoReply,
    E: Into<PyErr> + Send + 'static,
{
    coroutine(py, true, make)
}

fn coroutine<M, F, T, E>(py: Python<'_>, near: bool, make: M) -> PyResult<Py<PyAny>>
where
    M: FnOnce(Scope) -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: IntoReply,
    E: Into<PyErr> + Send + 'static,
{
    let start: Start = Box::new(move |scope| {
        Box::pin(async move {
            match make(scope).await {
                Ok(value) => value.into_reply(),
                Err(error) => Reply::new(move |_| Err(error.into())),
            }
        })
    });
    let op = Op { start: Mutex::new(Some(start)), near, run: OnceLock::new() };
    Ok(glue::glue(py)?.drive.bind(py).call1((op,))?.unbind())
}

/// The native half of one coroutine.
#[pyclass(frozen, module = "atomr_agents._native")]
struct Op {
    start: Mutex<Option<Start>>,
    near: bool,
    run: OnceLock<Arc<Run>>,
}

/// One started piece of work.
struct Run {
    scope: Scope,
    registered: AtomicUsize,
    over: AtomicBool,
    future: Mutex<Option<Py<PyAny>>>,
    reply: Mutex<Option<Reply>>,
    abort: OnceLock<AbortHandle>,
    deadline: OnceLock<Instant>,
}

#[pymethods]
impl Op {
    /// Starts the work on the runtime; gives the future to wait on.
    fn start<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let handle = runtime::handle(py)?;
        let (port, event_loop) = LoopPort::current(py)?;
        let start = lock(&self.start).take();
        let Some(start) = start else { return Err(PyRuntimeError::new_err("this coroutine was awaited already")) };
        pool::ready(py);
        let future = event_loop.call_method0(pyo3::intern!(py, "create_future"))?;
        let scope = Scope::of(py, port.clone())?;
        let run = Arc::new(Run {
            scope: scope.clone(),
            registered: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            future: Mutex::new(Some(future.clone().unbind())),
            reply: Mutex::new(None),
            abort: OnceLock::new(),
            deadline: OnceLock::new(),
        });
        let Some(id) = port.register(run.clone()) else { return Err(GuestError::LoopClosed.into()) };
        run.registered.store(id, Ordering::Release);
        let work = Finish { run: run.clone(), live: Some(scope.enter()) }.through(start, scope);
        // The first poll may finish the work before the handle is stored; then there is nothing left to abort.
        let task = if self.near { handle.spawn(Resident::new(port, handle, work)) } else { handle.spawn(work) };
        let _first = run.abort.set(task.abort_handle());
        let _first = self.run.set(run);
        Ok(future)
    }

    /// The result, made in the awaiting task.
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let reply = self.run.get().and_then(|run| lock(&run.reply).take());
        let Some(reply) = reply else {
            return Err(runtime::alive().err().unwrap_or(GuestError::LoopClosed).into());
        };
        reply.make(py)
    }

    /// Stops the work without waiting for it.
    fn abort(&self) {
        if let Some(run) = self.run.get() {
            run.abort();
        }
    }

    /// Stops the work; gives a future to wait on until all of it has stopped, or `None` when there is nothing to wait for.
    fn settle<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(run) = self.run.get() else { return Ok(None) };
        run.abort();
        let deadline = *run.deadline.get_or_init(|| Instant::now() + SETTLE_GRACE);
        if run.scope.live() == 0 {
            return Ok(None);
        }
        let Ok((port, event_loop)) = LoopPort::current(py) else { return Ok(None) };
        if Instant::now() >= deadline {
            report_late(py, run.scope.live());
            return Ok(None);
        }
        let future = event_loop.call_method0(pyo3::intern!(py, "create_future"))?;
        let (scope, told) = (run.scope.clone(), future.clone().unbind());
        let waiting = runtime::spawn(async move {
            let _in_time = tokio::time::timeout_at(deadline.into(), scope.settled()).await;
            port.push(Job::Resolve(told));
        });
        Ok(waiting.then_some(future))
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        if let Some(run) = self.run.get() {
            run.abort();
        }
    }
}

fn report_late(py: Python<'_>, live: usize) {
    let text = format!(
        "a cancelled awaitable did not settle within {} s: {live} piece(s) of its work still run",
        SETTLE_GRACE.as_secs()
    );
    glue::report(py, PyRuntimeError::new_err(text), None);
}

impl Run {
    fn abort(&self) {
        // In a forked child the task belongs to threads that do not exist here.
        if runtime::forked() || self.over.load(Ordering::Acquire) {
            return;
        }
        if let Some(task) = self.abort.get() {
            task.abort();
        }
    }

    /// Ends the run once: keeps the reply and wakes whoever awaits it.
    fn finish(&self, reply: Reply) {
        if self.over.swap(true, Ordering::AcqRel) {
            return;
        }
        *lock(&self.reply) = Some(reply);
        self.scope.port().forget(self.registered.swap(0, Ordering::AcqRel));
        let future = lock(&self.future).take();
        if let Some(future) = future {
            self.scope.port().push(Job::Resolve(future));
        }
    }
}

impl InFlight for Run {
    fn lost(&self) {
        self.abort();
        // Whoever awaited it went with the loop.
        drop(lock(&self.future).take());
    }
}

/// Runs the work and sees to it that it is finished in every case, also when the task is dropped.
struct Finish {
    run: Arc<Run>,
    live: Option<Live>,
}

impl Finish {
    async fn through(self, start: Start, scope: Scope) {
        let work: Work = Box::pin(async move { start(scope).await });
        let reply = match AssertUnwindSafe(Corked(work)).catch_unwind().await {
            Ok(reply) => reply,
            Err(panic) => {
                let message = panic_text(&*panic);
                Reply::new(move |_| Err(GuestError::Panicked { message }.into()))
            }
        };
        self.run.finish(reply);
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        // Only reached unfinished when the task was aborted or the runtime stopped.
        self.run.finish(Reply::new(|_| Err(runtime::alive().err().unwrap_or(GuestError::Cancelled).into())));
        drop(self.live.take());
    }
}
