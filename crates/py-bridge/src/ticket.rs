//! A guest call that is ready to start, and the object by which Python reports its end.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::call::{CallState, Outcome};
use crate::error::GuestError;
use crate::guest::Method;
use crate::port::{Job, Turn};
use crate::scope::Scope;
use crate::{glue, near};

/// The arguments of a guest call.
#[derive(Debug)]
pub struct Args<'py> {
    positional: Bound<'py, PyTuple>,
    keywords: Option<Bound<'py, PyDict>>,
}

impl<'py> Args<'py> {
    /// No arguments.
    pub fn none(py: Python<'py>) -> Self {
        Self::positional(PyTuple::empty(py))
    }

    /// Positional arguments.
    pub fn positional(positional: Bound<'py, PyTuple>) -> Self {
        Self { positional, keywords: None }
    }

    /// Adds keyword arguments.
    #[must_use]
    pub fn with_keywords(mut self, keywords: Bound<'py, PyDict>) -> Self {
        self.keywords = Some(keywords);
        self
    }

    pub(crate) fn into_positional(self) -> Bound<'py, PyTuple> {
        self.positional
    }

    pub(crate) fn keywords_or_empty(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.keywords.clone().unwrap_or_else(|| PyDict::new(py))
    }
}

/// Builds the arguments, on the thread that starts the call.
pub(crate) type Build = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send>;

/// A call that is ready to start.
pub(crate) struct Ticket {
    pub(crate) state: Arc<CallState>,
    pub(crate) method: Arc<Method>,
    pub(crate) scope: Option<Scope>,
    pub(crate) build: Build,
}

impl Ticket {
    /// Starts the call as a task of the loop.
    pub(crate) fn start_task(self, turn: &Turn<'_>) {
        if self.state.begin(false) {
            let state = self.state.clone();
            if let Err(error) = self.try_task(turn) {
                state.settle(Outcome::Failed(GuestError::raised(turn.py, error)));
            }
        }
    }

    fn try_task(self, turn: &Turn<'_>) -> PyResult<()> {
        let py = turn.py;
        let context = self.context(py)?;
        let args = (self.build)(py)?;
        let keywords = args.keywords_or_empty(py);
        let done = Py::new(py, Done { state: self.state.clone(), scope: self.scope })?;
        let call = (self.method.callable(py), args.positional, keywords, done);
        let task = turn.task(glue::glue(py)?.guest.bind(py).call1(call)?, &context)?;
        self.state.running(task);
        Ok(())
    }

    /// Calls a quick synchronous guest here and now, on the loop's thread.
    pub(crate) fn run_inline(self, turn: &Turn<'_>) {
        if self.state.begin(false) {
            let state = self.state.clone();
            if let Err(error) = self.try_inline(turn) {
                state.settle(Outcome::Failed(GuestError::raised(turn.py, error)));
            }
        }
    }

    fn try_inline(self, turn: &Turn<'_>) -> PyResult<()> {
        let py = turn.py;
        let context = self.context(py)?;
        let args = (self.build)(py)?;
        let mut positional = vec![self.method.callable(py)];
        positional.extend(args.positional.iter());
        let run = context.getattr(pyo3::intern!(py, "run"))?;
        let value = run.call(PyTuple::new(py, positional)?, args.keywords.as_ref())?;
        let done = Bound::new(py, Done { state: self.state.clone(), scope: self.scope })?;
        if value.hasattr(pyo3::intern!(py, "__await__"))? {
            await_value(turn, &done, value)
        } else {
            done.get().state.settle(Outcome::Value(&value));
            Ok(())
        }
    }

    /// What a worker thread needs: context, callable, arguments, and whom to tell.
    pub(crate) fn unpack(self, py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        let context = self.context(py)?;
        let args = (self.build)(py)?;
        let keywords = args.keywords_or_empty(py);
        let done = Py::new(py, Done { state: self.state, scope: self.scope })?;
        (context, self.method.callable(py), args.positional, keywords, done).into_pyobject(py)
    }

    fn context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.scope {
            Some(scope) => scope.context(py),
            None => Ok(glue::copy_context(py)?.into_bound(py)),
        }
    }
}

/// The one place where a guest's end is reported; dropped unused, it reports that the call was cancelled.
#[pyclass(frozen, module = "atomr_agents._native")]
pub(crate) struct Done {
    state: Arc<CallState>,
    scope: Option<Scope>,
}

#[pymethods]
impl Done {
    fn ok(&self, value: &Bound<'_, PyAny>) {
        let settle = || self.state.settle(Outcome::Value(value));
        match self.state.port() {
            // On the loop's thread: only coroutines end by this.
            Some(port) => {
                near::here(port, settle);
                if port.has_near() || port.expects() {
                    port.look_soon(value.py());
                }
            }
            None => settle(),
        }
    }

    fn fail(&self, error: Bound<'_, PyAny>) {
        let py = error.py();
        let error = PyErr::from_value(error);
        let sorted = GuestError::raised(py, error.clone_ref(py));
        // A failure that merely crossed with the waiter's leaving is as uninteresting as any other late answer; one that
        // answers the cancellation is a fault in the guest's cleaning up.
        let unheard = self.state.was_cancelled() && !matches!(sorted, GuestError::Cancelled);
        self.state.settle(Outcome::Failed(sorted));
        if unheard {
            glue::report(py, error, None);
        }
    }

    /// From a worker thread: a plain value ends the call, an awaitable goes on to the loop.
    fn returned(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !value.hasattr(pyo3::intern!(py, "__await__"))? {
            this.state.settle(Outcome::Value(&value));
            return Ok(());
        }
        if this.state.has_left() {
            // Only coroutines can be closed; anything else awaitable is simply let go.
            let _closed = value.call_method0("close");
            this.state.settle(Outcome::Failed(GuestError::Cancelled));
            return Ok(());
        }
        let Some(port) = this.state.port().cloned() else {
            let _closed = value.call_method0("close");
            this.state
                .settle(Outcome::Failed(GuestError::NoEventLoop { guest: "an awaitable that it returned".to_owned() }));
            return Ok(());
        };
        let (value, done) = (value.unbind(), slf.clone().unbind());
        let job = Job::Other(Box::new(move |turn: &Turn<'_>| {
            let done = done.bind(turn.py);
            if let Err(error) = await_value(turn, done, value.into_bound(turn.py)) {
                done.get().state.settle(Outcome::Failed(GuestError::raised(turn.py, error)));
            }
        }));
        this.state.send(&port, job);
        Ok(())
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        self.state.settle(Outcome::Failed(GuestError::Cancelled));
    }
}

fn await_value(turn: &Turn<'_>, done: &Bound<'_, Done>, value: Bound<'_, PyAny>) -> PyResult<()> {
    let py = turn.py;
    let context = match &done.get().scope {
        Some(scope) => scope.context(py)?,
        None => glue::copy_context(py)?.into_bound(py),
    };
    let coroutine = glue::glue(py)?.finish.bind(py).call1((value, done))?;
    let task = turn.task(coroutine, &context)?;
    done.get().state.running(task);
    Ok(())
}
