//! Waiting for something that other threads bring about, without a task of the runtime.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::awaitable::{IntoReply, Reply};
use crate::error::{GuestError, panic_text};
use crate::glue;
use crate::port::{Job, LoopPort, lock};

type Watched = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Makes a coroutine that polls `future` on the loop's own thread, whenever something wakes it.
///
/// For futures that only look at something (a queue, a result that may have arrived): they cost one wake-up of the loop
/// instead of a task of the runtime and two hand-overs. Such a future must be quick, as it runs attached; it must not need
/// the runtime (no timers, no sockets), and nothing settles after it when it is cancelled: it is just dropped.
///
/// # Errors
/// Only if the coroutine object itself cannot be made.
pub fn watched<F, T, E>(py: Python<'_>, future: F) -> PyResult<Py<PyAny>>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: IntoReply,
    E: Into<PyErr> + Send + 'static,
{
    let watched: Watched = Box::pin(async move {
        match future.await {
            Ok(value) => value.into_reply(),
            Err(error) => Reply::new(move |_| Err(error.into())),
        }
    });
    let watch = Watch { future: Mutex::new(Some(watched)), reply: Mutex::new(None) };
    Ok(glue::glue(py)?.watch.bind(py).call1((watch,))?.unbind())
}

/// The native half of one such coroutine.
#[pyclass(frozen, module = "atomr_agents._native")]
struct Watch {
    future: Mutex<Option<Watched>>,
    reply: Mutex<Option<Reply>>,
}

#[pymethods]
impl Watch {
    /// Looks; gives a future to wait on before looking again, or `None` when there is a reply to take.
    fn look<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (port, event_loop) = LoopPort::current(py)?;
        let told = event_loop.call_method0(pyo3::intern!(py, "create_future"))?;
        let bell = Arc::new(Bell { port, told: Mutex::new(Some(told.clone().unbind())) });
        let waker = Waker::from(bell);
        let mut slot = lock(&self.future);
        let Some(future) = slot.as_mut() else {
            return Err(PyRuntimeError::new_err("this coroutine was awaited already"));
        };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        let reply = match polled {
            Ok(Poll::Pending) => return Ok(Some(told)),
            Ok(Poll::Ready(reply)) => reply,
            Err(panic) => {
                let message = panic_text(&*panic);
                Reply::new(move |_| Err(GuestError::Panicked { message }.into()))
            }
        };
        let finished = slot.take();
        drop(slot);
        drop(finished);
        *lock(&self.reply) = Some(reply);
        Ok(None)
    }

    /// The reply, made in the awaiting task.
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let reply = lock(&self.reply).take();
        reply.map_or_else(|| Err(PyRuntimeError::new_err("there is no reply")), |reply| reply.make(py))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// Has the loop look again; may be rung from any thread, and more than once.
struct Bell {
    port: Arc<LoopPort>,
    told: Mutex<Option<Py<PyAny>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let told = lock(&self.told).take();
        if let Some(told) = told {
            self.port.push(Job::Resolve(told));
        }
    }
}
