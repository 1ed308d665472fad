//! An async generator of a guest as a Rust stream, through a bounded queue.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::call::{CallState, Finish, Outcome, Waiter};
use crate::error::{BadShape, GuestError};
use crate::guest::{Guest, Method};
use crate::port::{Job, LoopPort, Turn, lock};
use crate::scope::Scope;
use crate::ticket::Build;
use crate::{glue, runtime};

/// How many items wait for the reader before the generator does.
const FULL: usize = 64;
/// At how many waiting items the generator goes on.
const ROOM: usize = 16;

type Decode<T> = Box<dyn FnMut(&Bound<'_, PyAny>) -> Result<T, BadShape> + Send>;

/// The items of a guest's async generator; see [`Guest::stream`].
pub struct GuestStream<T> {
    fresh: Option<Fresh<T>>,
    flow: Arc<Flow<T>>,
    waiter: Option<Waiter>,
}

struct Fresh<T> {
    guest: Guest,
    method: &'static str,
    build: Build,
    decode: Decode<T>,
    scope: Option<Scope>,
}

/// The queue between the loop's thread and the reader.
struct Flow<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    items: VecDeque<Result<T, GuestError>>,
    over: bool,
    reader: Option<Waker>,
    /// The future that the generator waits on while the queue is full, and its loop.
    blocked: Option<(Py<PyAny>, Arc<LoopPort>)>,
}

impl<T> Flow<T> {
    fn new() -> Self {
        let state = State { items: VecDeque::new(), over: false, reader: None, blocked: None };
        Self { state: Mutex::new(state) }
    }

    /// Adds an item, then possibly the end; gives the number of items that wait.
    fn add(&self, item: Option<Result<T, GuestError>>, over: bool) -> usize {
        let (count, reader) = {
            let mut state = lock(&self.state);
            if !state.over {
                state.items.extend(item);
                state.over = over;
            }
            (state.items.len(), state.reader.take())
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        count
    }
}

impl<T> fmt::Debug for GuestStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestStream").field("started", &self.fresh.is_none()).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> GuestStream<T> {
    pub(crate) fn new(
        guest: Guest,
        method: &'static str,
        build: Build,
        decode: Decode<T>,
        scope: Option<Scope>,
    ) -> Self {
        let fresh = Some(Fresh { guest, method, build, decode, scope });
        Self { fresh, flow: Arc::new(Flow::new()), waiter: None }
    }

    fn start(&mut self, fresh: Fresh<T>) -> Result<(), GuestError> {
        let Fresh { guest, method: name, build, mut decode, scope } = fresh;
        runtime::alive()?;
        let method = guest.method(name)?;
        let port = guest.port(scope.as_ref()).ok_or_else(|| guest.no_loop())?;
        let (flow, who) = (self.flow.clone(), guest.clone());
        let finish: Finish = Box::new(move |outcome| {
            let last = match outcome {
                Outcome::Value(_) => None,
                // The sink knows what is wrong, but not of whom.
                Outcome::Failed(GuestError::Contract(breach)) if breach.kind.is_empty() => {
                    Some(Err(who.breach(name, &BadShape::new(breach.message.clone()))))
                }
                Outcome::Failed(error) => Some(Err(error)),
            };
            flow.add(last, true);
            None
        });
        let state = CallState::new(Some(port.clone()), scope.as_ref().map(Scope::enter), finish);
        self.waiter = Some(Waiter(state.clone()));
        let (flow, at) = (self.flow.clone(), port.clone());
        let accept: Accept = Box::new(move |item| {
            let py = item.py();
            match decode(item) {
                Ok(value) => match flow.add(Some(Ok(value)), false) {
                    0..FULL => Ok(None),
                    _ => wait_for_room(py, &flow, &at),
                },
                Err(bad) => {
                    let error = guest.breach(name, &bad);
                    flow.add(Some(Err(error.clone())), true);
                    Err(error.to_py(py))
                }
            }
        });
        let sink = Sink { state: state.clone(), accept: Mutex::new(Some(accept)) };
        let job = Job::Other(Box::new(move |turn: &Turn<'_>| pump(turn, sink, &method, build, scope.as_ref())));
        state.send(&port, job);
        Ok(())
    }
}

/// A future that resolves when the reader has made room; `None` if it did so in the meantime.
fn wait_for_room<T>(py: Python<'_>, flow: &Flow<T>, port: &Arc<LoopPort>) -> PyResult<Option<Py<PyAny>>> {
    let Some(event_loop) = glue::running_loop(py)? else {
        return Err(PyRuntimeError::new_err("a guest's stream left its loop"));
    };
    let future = event_loop.call_method0(pyo3::intern!(py, "create_future"))?.unbind();
    let mut state = lock(&flow.state);
    if state.items.len() <= ROOM {
        return Ok(None);
    }
    state.blocked = Some((future.clone_ref(py), port.clone()));
    Ok(Some(future))
}

fn pump(turn: &Turn<'_>, sink: Sink, method: &Method, build: Build, scope: Option<&Scope>) {
    let state = sink.state.clone();
    if !state.begin(false) {
        return;
    }
    let started = || -> PyResult<()> {
        let py = turn.py;
        let context = match scope {
            Some(scope) => scope.context(py)?,
            None => glue::copy_context(py)?.into_bound(py),
        };
        let args = build(py)?;
        let keywords = args.keywords_or_empty(py);
        let call = (method.callable(py), args.into_positional(), keywords, Py::new(py, sink)?);
        let task = turn.task(glue::glue(py)?.pump.bind(py).call1(call)?, &context)?;
        state.running(task);
        Ok(())
    };
    if let Err(error) = started() {
        state.settle(Outcome::Failed(GuestError::raised(turn.py, error)));
    }
}

impl<T: Send + 'static> Stream for GuestStream<T> {
    type Item = Result<T, GuestError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(fresh) = this.fresh.take()
            && let Err(error) = this.start(fresh)
        {
            this.flow.add(Some(Err(error)), true);
        }
        let (item, blocked) = {
            let mut state = lock(&this.flow.state);
            match state.items.pop_front() {
                Some(item) => {
                    let blocked = if state.items.len() <= ROOM { state.blocked.take() } else { None };
                    (Some(item), blocked)
                }
                None if state.over => (None, None),
                None => {
                    state.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        if let Some((future, port)) = blocked {
            port.push(Job::Resolve(future));
        }
        Poll::Ready(item)
    }
}

type Accept = Box<dyn FnMut(&Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> + Send>;

/// Where the pump puts the items.
#[pyclass(frozen, module = "atomr_agents._native")]
struct Sink {
    state: Arc<CallState>,
    accept: Mutex<Option<Accept>>,
}

#[pymethods]
impl Sink {
    /// Takes one item; gives a future to wait on if the queue is full.
    fn put(&self, item: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        // Taken out while it runs: a decoder may run Python code, which must not find the lock held.
        let accept = lock(&self.accept).take();
        let Some(mut accept) = accept else {
            return Err(PyRuntimeError::new_err("a guest's stream was fed from two places"));
        };
        let answer = accept(item);
        *lock(&self.accept) = Some(accept);
        answer
    }

    fn end(&self, py: Python<'_>) {
        self.state.settle(Outcome::Value(py.None().bind(py)));
    }

    fn fail(&self, error: Bound<'_, PyAny>) {
        let py = error.py();
        self.state.settle(Outcome::Failed(GuestError::raised(py, PyErr::from_value(error))));
    }

    /// The guest returned something that is no asynchronous iterator.
    fn refuse(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let class = value.get_type().qualname()?;
        let text = format!("the guest must return an asynchronous iterator, it returned {class}");
        self.state.settle(Outcome::Failed(GuestError::contract("", "", "", text)));
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.state.settle(Outcome::Failed(GuestError::Cancelled));
    }
}
