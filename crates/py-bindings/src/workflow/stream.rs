//! A run part by part.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, CancellationToken};
use atomr_agents_observability::{EventBus, Subscription};
use atomr_agents_py_bridge::{Reply, awaitable, json};
use atomr_agents_workflow::{Part, RunStream, Update, WorkflowError};
use futures_util::StreamExt;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tokio::sync::Mutex as WaitingMutex;

use super::outcome::{Outcome, asked};
use super::runner::Left;
use super::shape::{RunMirrors, Shape};
use crate::errors::Fault;
use crate::shared_events::wrapped;

/// Which parts are wanted.
#[derive(Clone, Copy, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Wanted {
    values: bool,
    updates: bool,
    custom: bool,
    events: bool,
    /// Also those of graphs inside steps.
    inner: bool,
}

/// What is read from.
struct Source {
    stream: RunStream,
    events: Option<Subscription>,
    /// Of this call alone; it is closed at its end.
    bus: Option<EventBus>,
    left: Option<Left>,
    over: bool,
}

#[pyclass(frozen, module = "atomr_agents._native.workflow")]
pub(crate) struct RunParts {
    source: Arc<WaitingMutex<Option<Source>>>,
    about: Arc<About>,
    cancel: CancellationToken,
}

struct About {
    wanted: Wanted,
    shape: Arc<Shape>,
    mirrors: RunMirrors,
}

/// What is made ready before the stream is there.
pub(super) struct Opening {
    about: About,
    left: Left,
    bus: Option<EventBus>,
    cancel: CancellationToken,
}

/// Something to tell.
enum Told {
    Part(Part),
    Events(Vec<Arc<atomr_agents_core::Event>>),
    End(Outcome),
}

#[pymethods]
impl RunParts {
    /// The next part, as a pair of its kind and what it is; the last is the outcome.
    fn next(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (source, about) = (Arc::clone(&self.source), Arc::clone(&self.about));
        awaitable(py, move |_scope| async move {
            let mut source = source.lock().await;
            loop {
                let Some(open) = source.as_mut() else { return Ok(Reply::new(|py| Ok(py.None()))) };
                let told = match open.next(&about).await {
                    Ok(told) => told,
                    Err(error) => {
                        *source = None;
                        return Err(Fault(error));
                    }
                };
                if matches!(told, Told::End(_)) {
                    *source = None;
                }
                if about.wants(&told) {
                    let about = Arc::clone(&about);
                    return Ok(Reply::new(move |py| about.reply(py, told)));
                }
            }
        })
    }

    /// Ends the run, if it is not over.
    fn close(&self) {
        self.cancel.cancel();
        if let Ok(mut source) = self.source.try_lock() {
            let open = source.take();
            drop(source);
            drop(open);
        }
    }
}

impl Drop for RunParts {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Opening {
    pub(super) fn new(wanted: Wanted, shape: Arc<Shape>, mirrors: RunMirrors, left: Left) -> Self {
        let about = About { wanted, shape, mirrors };
        Self { about, left, bus: None, cancel: CancellationToken::new() }
    }

    /// The bus on which events are heard, if they are wanted.
    pub(super) fn listens(&mut self, ctx: &CallCtx) -> Option<EventBus> {
        self.cancel = ctx.cancel.clone();
        self.bus = self.about.wanted.events.then(EventBus::new);
        self.bus.clone()
    }

    pub(super) fn reads(self, stream: RunStream) -> RunParts {
        let events = self.bus.as_ref().map(EventBus::subscribe);
        let source = Source { stream, events, bus: self.bus, left: Some(self.left), over: false };
        RunParts { source: Arc::new(WaitingMutex::new(Some(source))), about: Arc::new(self.about), cancel: self.cancel }
    }
}

impl Source {
    async fn next(&mut self, about: &About) -> Result<Told, WorkflowError> {
        if !self.over {
            let part = match &mut self.events {
                None => self.stream.next().await,
                Some(events) => tokio::select! {
                    biased;
                    batch = events.recv_batch(256) => match batch {
                        Some(batch) => return Ok(Told::Events(batch.events)),
                        None => self.stream.next().await,
                    },
                    part = self.stream.next() => part,
                },
            };
            if let Some(part) = part {
                return Ok(Told::Part(part));
            }
            self.over = true;
            if let Some(bus) = &self.bus {
                bus.close();
            }
        }
        if let Some(events) = &mut self.events
            && let Some(batch) = events.recv_batch(256).await
        {
            return Ok(Told::Events(batch.events));
        }
        drop(self.left.take());
        match self.stream.outcome() {
            Some(Ok(outcome)) => {
                let (shape, mirrors) = (Arc::clone(&about.shape), about.mirrors.clone());
                Ok(Told::End(Outcome { outcome, shape, mirrors }))
            }
            Some(Err(error)) => Err(error),
            None => Err(WorkflowError::Cancelled { run: String::new() }),
        }
    }
}

impl About {
    fn wants(&self, told: &Told) -> bool {
        match told {
            Told::Part(Part::State { .. }) => self.wanted.values,
            Told::Part(Part::Update { path, .. }) => self.wanted.updates && (self.wanted.inner || !path.contains('/')),
            Told::Part(Part::Custom { .. }) => self.wanted.custom,
            Told::Part(Part::Interrupts(_) | Part::Missed(_)) | Told::End(_) => true,
            Told::Part(_) => false,
            Told::Events(events) => self.wanted.events && !events.is_empty(),
        }
    }

    fn reply(&self, py: Python<'_>, told: Told) -> PyResult<Py<PyAny>> {
        match told {
            Told::Part(Part::State { step, state }) => {
                ("values", step, self.shape.dict(py, &state, &self.mirrors.0)?).into_py_any(py)
            }
            Told::Part(Part::Update { path, update, .. }) => ("updates", &*path, written(py, &update)?).into_py_any(py),
            Told::Part(Part::Custom { path, value }) => ("custom", &*path, json::to_py(py, &value)?).into_py_any(py),
            Told::Part(Part::Interrupts(interrupts)) => {
                ("interrupts", "", PyList::new(py, asked(py, &interrupts)?)?).into_py_any(py)
            }
            Told::Part(Part::Missed(count)) => ("missed", "", count).into_py_any(py),
            Told::Part(_) => Ok(py.None()),
            Told::Events(events) => ("events", "", wrapped(py, events)?).into_py_any(py),
            Told::End(outcome) => ("end", "", outcome).into_py_any(py),
        }
    }
}

/// What a step wrote, as a dict; of a channel that it wrote twice, the last.
fn written<'py>(py: Python<'py>, update: &Update) -> PyResult<Option<Bound<'py, PyDict>>> {
    if update.writes.is_empty() {
        return Ok(None);
    }
    let dict = PyDict::new(py);
    for (channel, value) in &update.writes {
        dict.set_item(&**channel, json::to_py(py, value)?)?;
    }
    Ok(Some(dict))
}
