//! Parsers that wait for somebody: for a model that repairs, or for code of the user's.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use atomr_agents_inference as inference;
use atomr_agents_parser::{self as parser, AsyncParser, ClientRepair, OutputFixing, ParseError, RetryWithError};
use atomr_agents_py_bridge::{
    Args, BadShape, GuestError, GuestOptions, GuestParser, GuestRepairModel, Json, Raised, Scope, arguments, awaitable,
    to_json,
};
use futures_util::future::BoxFuture;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::callable::Callable;
use crate::context::call_ctx;
use crate::errors::{Fault, guest_kind};
use crate::inference::InferenceClient;
use crate::strategy::shape;

/// A parser to share.
#[derive(Clone, Debug)]
pub(crate) struct Shared(pub(crate) Arc<dyn AsyncParser<Output = Value>>);

impl AsyncParser for Shared {
    type Output = Value;

    fn parse<'a>(&'a self, text: &'a str, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Value, ParseError>> {
        self.0.parse(text, ctx)
    }

    fn format_instructions(&self) -> String {
        self.0.format_instructions()
    }
}

fn text(value: &Bound<'_, PyAny>) -> Result<String, BadShape> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.to_owned()),
        Err(_) => Err(shape("text", value)),
    }
}

/// Makes arguments of texts.
fn texts(all: Vec<String>) -> impl for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static {
    arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, all)?)))
}

/// What the failure of a guest is to who called it.
fn failed(parser: String, error: GuestError) -> ParseError {
    let (kind, message) = (guest_kind(&error), error.to_string());
    ParseError::Failed { parser, kind, message, source: Some(Arc::new(error)) }
}

/// Waits for a guest until the call is cancelled.
async fn answer<T>(running: impl Future<Output = Result<T, GuestError>>, ctx: &CallCtx) -> Result<T, GuestError> {
    tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => Err(GuestError::Cancelled),
        answer = running => answer,
    }
}

/// A parser written in Python.
#[derive(Debug)]
struct PythonParser {
    guest: GuestParser,
    /// As it said when it was wrapped.
    instructions: String,
}

impl PythonParser {
    /// A `ValueError` says that the text is wrong; anything else, that the parser is.
    fn told(&self, error: GuestError, text: &str) -> ParseError {
        let raised = |raised: &Raised| Python::attach(|py| raised.exception(py).is_instance_of::<PyValueError>());
        if matches!(&error, GuestError::Raised(exception) if raised(exception)) {
            return ParseError::invalid(self.guest.key(), error.to_string(), text).from_source(error);
        }
        failed(format!("the parser {:?}", self.guest.key()), error)
    }
}

impl AsyncParser for PythonParser {
    type Output = Value;

    fn parse<'a>(&'a self, text: &'a str, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Value, ParseError>> {
        let scope = ctx.get::<Scope>();
        let running = self.guest.parse(texts(vec![text.to_owned()]), to_json, scope.as_deref());
        Box::pin(async move { answer(running, ctx).await.map_err(|error| self.told(error, text)) })
    }

    fn format_instructions(&self) -> String {
        self.instructions.clone()
    }
}

#[pyclass(frozen, from_py_object, module = "atomr_agents._native.parser")]
#[derive(Clone)]
pub(crate) struct NativeAsyncParser(pub(crate) Shared);

#[pymethods]
impl NativeAsyncParser {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let py = target.py();
        let guest = GuestParser::wrap(py, key, target, GuestOptions::default())?;
        let instructions = if guest.has("format_instructions") {
            guest.object(py).call_method0("format_instructions")?.extract()?
        } else {
            String::new()
        };
        Ok(Self(Shared(Arc::new(PythonParser { guest, instructions }))))
    }

    #[staticmethod]
    fn fixing(inner: Self, model: &NativeRepairModel, max_attempts: u32) -> Self {
        let fixing = OutputFixing::new(inner.0, Arc::clone(&model.0)).max_attempts(max_attempts);
        Self(Shared(Arc::new(fixing)))
    }

    #[staticmethod]
    fn retrying(inner: Self, model: &NativeRepairModel, prompt: String, max_attempts: u32) -> Self {
        let retry = RetryWithError::new(inner.0, Arc::clone(&model.0), prompt).max_attempts(max_attempts);
        Self(Shared(Arc::new(retry)))
    }

    fn parse(&self, py: Python<'_>, text: String) -> PyResult<Py<PyAny>> {
        let parser = self.0.clone();
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            let _end = ctx.cancel.clone().drop_guard();
            parser.parse(&text, &ctx).await.map(Json).map_err(Fault)
        })
    }

    fn format_instructions(&self) -> String {
        self.0.format_instructions()
    }

    fn step(&self, label: String) -> Callable {
        Callable(Arc::new(parser::step(label, self.0.clone())))
    }
}

/// A repair written in Python.
#[derive(Debug)]
struct PythonRepair(GuestRepairModel);

impl parser::RepairModel for PythonRepair {
    fn repair<'a>(
        &'a self,
        original: &'a str,
        hint: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<String, ParseError>> {
        let scope = ctx.get::<Scope>();
        let running = self.0.repair(texts(vec![original.to_owned(), hint.to_owned()]), text, scope.as_deref());
        let name = || format!("the repair model {:?}", self.0.key());
        Box::pin(async move { answer(running, ctx).await.map_err(|error| failed(name(), error)) })
    }
}

#[pyclass(frozen, module = "atomr_agents._native.parser")]
pub(crate) struct NativeRepairModel(Arc<dyn parser::RepairModel>);

#[pymethods]
impl NativeRepairModel {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestRepairModel::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self(Arc::new(PythonRepair(guest))))
    }

    #[staticmethod]
    fn client(client: &InferenceClient, model: &str) -> Self {
        let client: Arc<dyn inference::InferenceClient> = Arc::clone(&client.0);
        Self(Arc::new(ClientRepair::new(client, model)))
    }

    fn repair(&self, py: Python<'_>, original: String, hint: String) -> PyResult<Py<PyAny>> {
        let model = Arc::clone(&self.0);
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            let _end = ctx.cancel.clone().drop_guard();
            model.repair(&original, &hint, &ctx).await.map_err(Fault)
        })
    }
}
