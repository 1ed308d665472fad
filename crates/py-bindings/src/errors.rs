//! The one table from the errors of the crates to the exceptions of Python.

use std::error::Error;
use std::sync::Arc;

use atomr_agents_agent::{AgentError, RunError};
use atomr_agents_cache::CacheError;
use atomr_agents_callable::CallableError;
use atomr_agents_core::Kind;
use atomr_agents_embed::EmbedError;
use atomr_agents_embed_onnx::OnnxError;
use atomr_agents_harness::{HarnessError, HarnessFailure};
use atomr_agents_inference::InferenceError;
use atomr_agents_ingest::IngestError;
use atomr_agents_memory::MemoryError;
use atomr_agents_observability::TracerError;
use atomr_agents_parser::{ParseError, Place};
use atomr_agents_py_bridge::{GuestError, Raised, original};
use atomr_agents_retriever::RetrieveError;
use atomr_agents_state::{ReduceError, RunLogError, StateError, StoreError};
use atomr_agents_strategy::StrategyError;
use atomr_agents_tool::{PermissionError, ToolCallParserError, ToolDefinitionError, ToolError, ToolSetError};
use atomr_agents_workflow::WorkflowError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::harness_state::HarnessState;
use crate::run::Partial;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(kinds, module)?)?;
    module.add_function(wrap_pyfunction!(retryable, module)?)
}

/// Every kind of error, in snake case.
#[pyfunction]
fn kinds() -> Vec<&'static str> {
    Kind::ALL.iter().map(|kind| kind.as_str()).collect()
}

/// Whether the same call may succeed if it is made again later.
#[pyfunction]
fn retryable(kind: &str) -> bool {
    Kind::ALL.iter().any(|known| known.as_str() == kind && known.retryable())
}

/// What an exception says besides its kind and message.
#[derive(Default)]
struct Fields {
    request_id: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<f64>,
}

impl Fields {
    /// What the provider's error says that lies in `error` or beneath it.
    fn of(error: &(dyn Error + 'static)) -> Self {
        let of_run = || match find::<AgentError>(error) {
            Some(AgentError::Inference(error)) => Some(error),
            _ => None,
        };
        let Some(InferenceError::Api(api)) = find::<InferenceError>(error).or_else(of_run) else {
            return Self::default();
        };
        Self {
            request_id: api.request_id.clone(),
            status: Some(api.status),
            code: api.code.clone(),
            retry_after: api.retry_after.map(|wait| wait.as_secs_f64()),
        }
    }
}

/// An error and its sources. A source that is shared hides its type behind the `Arc`.
fn links<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'e (dyn Error + 'static) = *error;
        match error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
            Some(shared) => Some(&**shared),
            None => error.source(),
        }
    })
}

/// The first error of type `E` in the chain.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    links(error).find_map(|error| error.downcast_ref::<E>())
}

/// What the outermost run in the chain had produced.
fn partial(py: Python<'_>, error: &(dyn Error + 'static)) -> Option<Py<PyAny>> {
    links(error).find_map(|error| {
        if let Some(failed) = error.downcast_ref::<RunError>() {
            return Py::new(py, Partial::new((*failed.partial).clone())).ok().map(Py::into_any);
        }
        let failed = error.downcast_ref::<HarnessFailure>()?;
        Py::new(py, HarnessState::new((*failed.state).clone())).ok().map(Py::into_any)
    })
}

/// The call of which nobody knows whether it happened: its run, its key and the tool.
fn unknown<'e>(error: &'e (dyn Error + 'static)) -> Option<(&'e str, String, &'e str)> {
    let of_agent = || match find::<AgentError>(error) {
        Some(AgentError::Log(error)) => Some(error),
        _ => None,
    };
    match find::<RunLogError>(error).or_else(of_agent)? {
        RunLogError::OutcomeUnknown { run, key, subject } => Some((run, key.to_string(), subject)),
        _ => None,
    }
}

/// Makes the exception of a kind. `error` gives its text and that of its sources, and what the provider said.
fn raise(py: Python<'_>, kind: Kind, error: &(dyn Error + 'static)) -> PyErr {
    let made = || -> PyResult<Bound<'_, PyAny>> {
        let fields = Fields::of(error);
        let extra = PyDict::new(py);
        extra.set_item("retryable", kind.retryable())?;
        extra.set_item("request_id", fields.request_id.as_deref())?;
        extra.set_item("status", fields.status)?;
        extra.set_item("code", fields.code.as_deref())?;
        extra.set_item("retry_after", fields.retry_after)?;
        if let Some((run, key, tool)) = unknown(error) {
            extra.set_item("run_id", run)?;
            extra.set_item("key", key)?;
            extra.set_item("tool", tool)?;
        }
        py.import("atomr_agents.errors")?.call_method1("make", (kind.as_str(), chain(error), extra))
    };
    match made() {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    }
}

/// A setting that makes no sense: the `ConfigError` of Python, which is a `ValueError` too.
pub(crate) fn config(message: impl Into<String>) -> PyErr {
    let message = message.into();
    Python::attach(|py| {
        let made = py
            .import("atomr_agents.errors")
            .and_then(|errors| errors.call_method1("make", (Kind::Config.as_str(), message, PyDict::new(py))));
        made.map_or_else(|failed| failed, PyErr::from_value)
    })
}

/// The exception for a text that a parser refused, also one in the midst of other steps.
fn refused(py: Python<'_>, error: &(dyn Error + 'static)) -> Option<PyErr> {
    let fault = find::<ParseError>(error)?.fault()?;
    let made = || -> PyResult<Bound<'_, PyAny>> {
        let fields = PyDict::new(py);
        fields.set_item("parser", &fault.parser)?;
        fields.set_item("context", &fault.context)?;
        match &fault.place {
            Some(Place::Byte(offset)) => fields.set_item("offset", offset)?,
            Some(Place::Pointer(pointer)) => fields.set_item("pointer", pointer)?,
            None => {}
        }
        let class = py.import("atomr_agents.parser")?.getattr("ParserError")?;
        class.call((chain(error),), Some(&fields))
    };
    Some(made().map_or_else(|failed| failed, PyErr::from_value))
}

/// The error and its sources in one line; a source that its error repeats is left out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
}

/// What a guest raised comes back as itself; everything else by the table. What a run had produced, also one beneath
/// a composition, goes with it.
fn convert(py: Python<'_>, kind: Kind, error: &(dyn Error + 'static)) -> PyErr {
    let exception = match original(error) {
        Some(guest) => guest.to_py(py),
        None => refused(py, error).unwrap_or_else(|| raise(py, kind, error)),
    };
    if let Some(partial) = partial(py, error) {
        // An exception of the user may refuse the attribute; it is still the better thing to raise.
        let _ = exception.value(py).setattr("partial", partial);
    }
    exception
}

/// What the failure of a guest amounts to.
pub(crate) fn guest_kind(error: &GuestError) -> Kind {
    match error {
        // An error of this package that came through code of the user's is still what it was.
        GuestError::Raised(raised) => raised.kind().and_then(kind_named).unwrap_or(Kind::Guest),
        GuestError::Exited(_) => Kind::Guest,
        GuestError::Contract(_) => Kind::Contract,
        GuestError::Cancelled => Kind::Cancelled,
        GuestError::Panicked { .. } => Kind::Internal,
        _ => Kind::Runtime,
    }
}

/// The kind of this name, as far as it can be that of a failure.
fn kind_named(name: &str) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|known| known.as_str() == name && *known != Kind::Cancelled)
}

/// Whether the exception is a `ModelRetry`, whose text alone is what the model shall read.
pub(crate) fn is_model_retry(raised: &Raised) -> bool {
    Python::attach(|py| {
        let class = py.import("atomr_agents.errors").and_then(|errors| errors.getattr("ModelRetry"));
        class.is_ok_and(|class| raised.exception(py).is_instance(&class).unwrap_or(false))
    })
}

/// Errors that become exceptions by their kind alone.
pub(crate) trait Kinded: Error + 'static {
    fn kind(&self) -> Kind;
}

macro_rules! kinded {
    ($($error:ty),*) => { $(impl Kinded for $error {
        fn kind(&self) -> Kind { <$error>::kind(self) }
    })* };
}

kinded!(
    AgentError,
    CacheError,
    CallableError,
    EmbedError,
    HarnessError,
    HarnessFailure,
    InferenceError,
    IngestError,
    MemoryError,
    OnnxError,
    ParseError,
    PermissionError,
    ReduceError,
    RetrieveError,
    RunError,
    RunLogError,
    StateError,
    StoreError,
    StrategyError,
    ToolCallParserError,
    ToolDefinitionError,
    ToolError,
    ToolSetError,
    TracerError,
    WorkflowError
);

pub(crate) fn from_kinded<E: Kinded>(error: E) -> PyErr {
    Python::attach(|py| convert(py, error.kind(), &error))
}

/// An error about sets of tools; those that have no better exception say which one they are in `reason`.
pub(crate) fn from_toolset(error: ToolSetError) -> PyErr {
    if error.kind() != Kind::Config {
        return from_kinded(error);
    }
    Python::attach(|py| {
        let class = py.import("atomr_agents.errors").and_then(|errors| errors.getattr("ToolSetError"));
        let made = class.and_then(|class| class.call1((error.to_string(), error.reason())));
        made.map_or_else(|failed| failed, PyErr::from_value)
    })
}

/// An error on its way to the interpreter.
pub(crate) struct Fault<E>(pub(crate) E);

impl<E: Kinded> From<Fault<E>> for PyErr {
    fn from(fault: Fault<E>) -> Self {
        from_kinded(fault.0)
    }
}
