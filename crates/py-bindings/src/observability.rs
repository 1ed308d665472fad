//! `_native.observability`: buses, their listeners, and tracers written in Python; those of the house are in `tracers.rs`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::{self as core, Kind};
use atomr_agents_observability::{self as obs, Batch, BoxFuture, Tracer, TracerError, TryRecvError};
use atomr_agents_py_bridge::{
    Args, GuestError, GuestOptions, GuestTracer, Reply, arguments, awaitable, no_args, runtime, to_unit, watched,
};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::errors::{Fault, config};
use crate::event::Event;
use crate::shared_events::{Share, SharedEvents, wrapped};
use crate::tracers::{JsonlTracer, LineFormatter, RunNode, RunTree, native_tracer};

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<EventBus>()?;
    module.add_class::<JsonlTracer>()?;
    module.add_class::<LineFormatter>()?;
    module.add_class::<RunNode>()?;
    module.add_class::<RunTree>()?;
    module.add_class::<Subscription>()?;
    module.add_class::<TracerHandle>()
}

#[pyclass(frozen, module = "atomr_agents._native.observability")]
pub(crate) struct EventBus(pub(crate) obs::EventBus, Arc<SharedEvents>);

#[pymethods]
impl EventBus {
    #[new]
    #[pyo3(signature = (capacity = obs::DEFAULT_CAPACITY))]
    fn new(capacity: usize) -> PyResult<Self> {
        if capacity == 0 {
            return Err(config("capacity must be at least 1"));
        }
        Ok(Self(obs::EventBus::with_capacity(capacity), Arc::default()))
    }

    #[getter]
    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    #[getter]
    fn subscribers(&self) -> usize {
        self.0.subscribers()
    }

    fn subscribe_batches(&self) -> Subscription {
        let share = Some(Arc::new(self.1.join()));
        Subscription { share, ..Subscription::new(self.0.subscribe()) }
    }

    fn attach_tracer(&self, target: &Bound<'_, PyAny>, key: &str) -> PyResult<TracerHandle> {
        let py = target.py();
        let (tracer, guest): (Arc<dyn Tracer>, _) = if let Some(native) = native_tracer(target) {
            (native, None)
        } else {
            let guest = GuestTracer::wrap(py, key, target, GuestOptions::default())?;
            let share = guest.has_each("on_event").then(|| Arc::new(self.1.join()));
            (Arc::new(PythonTracer { guest: guest.clone(), told: AtomicUsize::new(0), share }), Some(guest))
        };
        let handle = self.0.attach_tracer_on(tracer, runtime::handle(py)?);
        Ok(TracerHandle { handle: Arc::new(Mutex::new(Some(Arc::new(handle)))), guest })
    }

    fn close(&self) {
        self.0.close();
    }
}

/// A batch as Python sees it: what was missed is told first, as an event of its own.
fn listed(py: Python<'_>, batch: Batch, share: Option<&Share>) -> PyResult<Vec<Py<Event>>> {
    let lagged = batch.lagged().map(Arc::new);
    let mut events = match share {
        Some(share) => share.wrap(py, batch.events)?,
        None => wrapped(py, batch.events)?,
    };
    if let Some(lagged) = lagged {
        events.insert(0, Py::new(py, Event(lagged))?);
    }
    Ok(events)
}

#[pyclass(frozen, module = "atomr_agents._native.observability")]
pub(crate) struct Subscription {
    /// Taken while a batch is awaited, so that waiting holds no lock.
    slot: Arc<Mutex<Slot>>,
    /// Of the objects that the bus's listeners have in common; a run's own events have one listener.
    share: Option<Arc<Share>>,
}

enum Slot {
    Here(obs::Subscription),
    Awaited,
    Closed,
}

impl Subscription {
    pub(crate) fn new(subscription: obs::Subscription) -> Self {
        Self { slot: Arc::new(Mutex::new(Slot::Here(subscription))), share: None }
    }
}

/// Puts the subscription back when the wait ends, however it ends.
struct Borrowed {
    slot: Arc<Mutex<Slot>>,
    subscription: Option<obs::Subscription>,
}

impl Borrowed {
    fn take(slot: &Arc<Mutex<Slot>>) -> PyResult<Option<Self>> {
        let mut here = slot.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *here, Slot::Awaited) {
            Slot::Here(subscription) => Ok(Some(Self { slot: Arc::clone(slot), subscription: Some(subscription) })),
            Slot::Awaited => Err(PyRuntimeError::new_err("another task is already waiting for these events")),
            Slot::Closed => {
                *here = Slot::Closed;
                Ok(None)
            }
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut here = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Slot::Awaited, Some(subscription)) = (&*here, self.subscription.take()) {
            *here = Slot::Here(subscription);
        }
    }
}

#[pymethods]
impl Subscription {
    fn try_batch(&self, py: Python<'_>, limit: usize) -> PyResult<Option<Vec<Py<Event>>>> {
        // Making Python objects may run Python, so it is not done under the lock.
        let taken = match &mut *self.slot.lock().unwrap_or_else(PoisonError::into_inner) {
            Slot::Here(subscription) => subscription.try_recv_batch(limit),
            Slot::Awaited => Err(TryRecvError::Empty),
            Slot::Closed => Err(TryRecvError::Closed),
        };
        match taken {
            Ok(batch) => listed(py, batch, self.share.as_deref()).map(Some),
            Err(TryRecvError::Empty) => Ok(Some(Vec::new())),
            Err(_) => Ok(None),
        }
    }

    fn batch(&self, py: Python<'_>, limit: usize) -> PyResult<Py<PyAny>> {
        let (slot, share) = (Arc::clone(&self.slot), self.share.clone());
        watched(py, async move {
            let Some(mut borrowed) = Borrowed::take(&slot)? else { return Ok(Reply::new(|py| Ok(py.None()))) };
            let batch = match &mut borrowed.subscription {
                Some(subscription) => subscription.recv_batch(limit).await,
                None => None,
            };
            drop(borrowed);
            Ok::<_, PyErr>(Reply::new(move |py| match batch {
                Some(batch) => listed(py, batch, share.as_deref())?.into_py_any(py),
                None => Ok(py.None()),
            }))
        })
    }

    fn close(&self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Closed;
    }
}

/// How many events a tracer is told before it is waited for. What it has not taken then stays on the bus, which keeps
/// count of what a tracer that is too slow has missed, and tells it.
const AHEAD: usize = 1_024;

/// A tracer written in Python.
struct PythonTracer {
    guest: GuestTracer,
    told: AtomicUsize,
    /// For a plain function, which hears many events at once.
    share: Option<Arc<Share>>,
}

impl Tracer for PythonTracer {
    fn name(&self) -> &str {
        self.guest.key()
    }

    fn on_event(&self, event: Arc<core::Event>) -> BoxFuture<'_, Result<(), TracerError>> {
        let build = arguments(move |py: Python<'_>| {
            let event = Py::new(py, Event(event))?;
            Ok(Args::positional((event,).into_pyobject(py)?))
        });
        self.guest.on_event(build, None);
        let far_ahead = (self.told.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(AHEAD);
        Box::pin(async move {
            if far_ahead {
                self.guest.told().await;
            }
            Ok(())
        })
    }

    fn on_events(&self, events: Vec<Arc<core::Event>>) -> BoxFuture<'_, Vec<TracerError>> {
        Box::pin(async move {
            if let Some(share) = self.share.clone() {
                let items = listing(move |py| PyList::new(py, share.wrap(py, events)?));
                let told = self.guest.each("on_event", items, None).await;
                return told.err().map(|error| self.failed(error)).into_iter().collect();
            }
            for event in events {
                // What it raises is reported where it is raised.
                drop(self.on_event(event).await);
            }
            Vec::new()
        })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), TracerError>> {
        Box::pin(async move {
            self.guest.told().await;
            if !self.guest.has("flush") {
                return Ok(());
            }
            self.guest.flush(no_args(), to_unit, None).await.map_err(|error| self.failed(error))
        })
    }
}

impl PythonTracer {
    fn failed(&self, error: GuestError) -> TracerError {
        TracerError::failed(self.guest.key(), Kind::Guest, error)
    }
}

/// As [`arguments`]: makes the compiler see that the closure works for every lifetime.
fn listing<F>(make: F) -> F
where
    F: for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyList>> + Send + 'static,
{
    make
}

#[pyclass(frozen, module = "atomr_agents._native.observability")]
pub(crate) struct TracerHandle {
    handle: Arc<Mutex<Option<Arc<obs::TracerHandle>>>>,
    /// For tracers that are written in Python.
    guest: Option<GuestTracer>,
}

impl TracerHandle {
    fn handle(&self) -> Option<Arc<obs::TracerHandle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[pymethods]
impl TracerHandle {
    #[getter]
    fn errors(&self) -> u64 {
        self.handle().map_or(0, |handle| handle.errors())
    }

    fn flush(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let handle = self.handle();
        awaitable(py, move |_scope| async move {
            match handle {
                Some(handle) => handle.flush().await.map_err(Fault),
                None => Ok(()),
            }
        })
    }

    fn detach(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (slot, guest) = (Arc::clone(&self.handle), self.guest.clone());
        awaitable(py, move |_scope| async move {
            let handle = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            let flushed = match handle {
                Some(handle) => handle.flush().await.map_err(Fault),
                None => return Ok(()),
            };
            // The handle is gone, so nothing is told any more; what was told while it flushed shall still arrive.
            if let Some(guest) = guest {
                guest.told().await;
            }
            flushed
        })
    }
}
