//! Where a piece of Rust work belongs in Python: the event loop and the context variables of whoever awaits it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use pyo3::prelude::*;
use tokio::sync::Notify;

use crate::error::GuestError;
use crate::glue;
use crate::port::LoopPort;

/// The caller's loop and context variables, carried explicitly so that they survive every spawn. Cheap to clone.
#[derive(Clone)]
pub struct Scope {
    place: Arc<Place>,
    /// A context variable that guests of this scope find set.
    bound: Option<Bind>,
    work: Arc<Work>,
}

/// Makes a context variable and its value.
type Bind = Arc<dyn for<'py> Fn(Python<'py>) -> PyResult<(Py<PyAny>, Py<PyAny>)> + Send + Sync>;

struct Place {
    port: Arc<LoopPort>,
    context: Py<PyAny>,
}

#[derive(Default)]
struct Work {
    live: AtomicUsize,
    idle: Notify,
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("port", &self.place.port).field("live", &self.live()).finish()
    }
}

impl Scope {
    /// The scope of the calling thread: its running loop and a copy of its context variables.
    ///
    /// # Errors
    /// `NoEventLoop` where no loop runs in this thread, `Forked` and `ShutDown` as everywhere.
    pub fn current(py: Python<'_>) -> Result<Self, GuestError> {
        let (port, _) = LoopPort::current(py)?;
        Self::of(py, port)
    }

    pub(crate) fn of(py: Python<'_>, port: Arc<LoopPort>) -> Result<Self, GuestError> {
        let context = glue::copy_context(py).map_err(|error| GuestError::raised(py, error))?;
        Ok(Self { place: Arc::new(Place { port, context }), bound: None, work: Arc::default() })
    }

    pub(crate) fn port(&self) -> &Arc<LoopPort> {
        &self.place.port
    }

    /// A fresh copy of the captured context variables, for one guest call.
    pub(crate) fn context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let context = self.place.context.bind(py).call_method0(pyo3::intern!(py, "copy"))?;
        if let Some(bind) = &self.bound {
            let (variable, value) = bind(py)?;
            let set = variable.bind(py).getattr(pyo3::intern!(py, "set"))?;
            context.call_method1(pyo3::intern!(py, "run"), (set, value))?;
        }
        Ok(context)
    }

    /// The same place, where guests find the context variable that `bind` makes. It is made on the thread that starts the
    /// guest, which holds the interpreter already.
    #[must_use]
    pub fn binding(
        &self,
        bind: impl for<'py> Fn(Python<'py>) -> PyResult<(Py<PyAny>, Py<PyAny>)> + Send + Sync + 'static,
    ) -> Self {
        Self { bound: Some(Arc::new(bind)), ..self.clone() }
    }

    /// How many pieces of work (Rust and guest) still run for this scope.
    pub fn live(&self) -> usize {
        self.work.live.load(Ordering::Acquire)
    }

    /// Counts one piece of work in until the token is dropped. Guest calls count themselves; a task that an engine spawns
    /// holds a token of its own, so that a cancelled awaitable waits for it too.
    pub fn enter(&self) -> Live {
        self.work.live.fetch_add(1, Ordering::AcqRel);
        Live(self.work.clone())
    }

    /// The same place with a count of its own: for work that outlives whoever started it.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self { work: Arc::default(), ..self.clone() }
    }

    /// Waits until nothing runs for this scope any more.
    pub async fn settled(&self) {
        loop {
            let idle = self.work.idle.notified();
            if self.live() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Polls `future` so that all it sends to an event loop within one poll is one wake-up.
    pub fn corked<F: Future>(&self, future: F) -> Corked<F> {
        Corked(Box::pin(future))
    }
}

/// A piece of work that a [`Scope`] waits for before it counts as settled.
pub struct Live(Arc<Work>);

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.0.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static HELD: RefCell<Vec<Arc<LoopPort>>> = const { RefCell::new(Vec::new()) };
}

/// See [`Scope::corked`].
pub struct Corked<F: ?Sized>(pub(crate) Pin<Box<F>>);

impl<F: ?Sized> std::fmt::Debug for Corked<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Corked")
    }
}

impl<F: Future + ?Sized> Future for Corked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _cork = Cork::new();
        self.0.as_mut().poll(cx)
    }
}

struct Cork;

impl Cork {
    fn new() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Cork {
    fn drop(&mut self) {
        let left = DEPTH.with(|depth| {
            depth.set(depth.get() - 1);
            depth.get()
        });
        if left == 0 {
            HELD.with(|held| held.borrow_mut().drain(..).for_each(|port| port.wake()));
        }
    }
}

/// Keeps the wake-up of `port` back if this thread polls under a cork; tells whether it did.
pub(crate) fn hold(port: &Arc<LoopPort>) -> bool {
    if DEPTH.with(Cell::get) == 0 {
        return false;
    }
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        if !held.iter().any(|kept| Arc::ptr_eq(kept, port)) {
            held.push(port.clone());
        }
    });
    true
}
