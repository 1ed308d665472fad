//! `_native.tool`: tools written in Python, and the streaming call parser.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atomr_agents_core::{ToolCall, ToolSpec, Value};
use atomr_agents_py_bridge::{Args, Guest, GuestError, GuestOptions, GuestTool, Json, arguments, awaitable, json};
use atomr_agents_tool::{
    self as tool, CheckedTool, Invocation, ReconcileFuture, Tool, ToolError, ToolFuture, ToolMeta, ToolOptions,
    Toolbox, execute,
};
use atomr_agents_wire::SseDecoder;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::context::{Deps, call_ctx, run_context, serving};
use crate::errors::{Fault, from_kinded, is_model_retry};
use crate::permission::{self, NativeToolMeta, ToolDescriptor, grants_of};
use crate::{reconcile, seconds, tool_return, toolset};

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeTool>()?;
    module.add_class::<tool_return::ToolReturn>()?;
    module.add_class::<tool_return::ToolControl>()?;
    module.add_class::<Provider>()?;
    module.add_class::<ParsedToolCall>()?;
    module.add_class::<ToolCallParser>()?;
    reconcile::fill(module)?;
    permission::fill(module)?;
    toolset::fill(module)
}

/// A tool written in Python, as the agent sees it.
struct PythonTool {
    guest: GuestTool,
    spec: Arc<ToolSpec>,
    options: ToolOptions,
    meta: ToolMeta,
    takes_context: bool,
    raw: bool,
    decode: Option<Arc<Py<PyAny>>>,
    reconcile: Option<Guest>,
}

impl Tool for PythonTool {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    fn meta(&self) -> &ToolMeta {
        &self.meta
    }

    fn invoke(&self, invocation: Invocation) -> ToolFuture<'_> {
        let Invocation { call, arguments: values, ctx } = invocation;
        let scope = serving(&ctx);
        let (takes_context, raw) = (self.takes_context, self.raw);
        let decode = self.decode.clone();
        // Set while the arguments are being made, so that their faults are told apart from the tool's own.
        let refused = Arc::new(AtomicBool::new(false));
        let refusing = Arc::clone(&refused);
        let build = arguments(move |py: Python<'_>| {
            refusing.store(true, Ordering::Relaxed);
            let mut values = json::to_py(py, &values)?;
            if let Some(decode) = &decode {
                values = decode.bind(py).call1((values,))?;
            }
            refusing.store(false, Ordering::Relaxed);
            let context = match takes_context {
                true => Some(run_context(py, &ctx, &call.name, &call.id)?),
                false => None,
            };
            let positional: Vec<Bound<'_, PyAny>> = match raw {
                true => [Some(values.clone()), context].into_iter().flatten().collect(),
                false => context.into_iter().collect(),
            };
            let args = Args::positional(PyTuple::new(py, positional)?);
            Ok(if raw { args } else { args.with_keywords(values.cast_into::<PyDict>()?) })
        });
        let running = self.guest.invoke(build, tool_return::read, scope.as_ref());
        Box::pin(async move {
            match running.await {
                Ok(returned) => Ok(returned),
                Err(GuestError::Raised(raised)) if refused.load(Ordering::Relaxed) => {
                    Err(ToolError::InvalidArguments { name: self.spec.name.clone(), message: raised.message().into() })
                }
                Err(error) => Err(self.told(error)),
            }
        })
    }

    fn reconcile(&self, invocation: Invocation) -> ReconcileFuture<'_> {
        reconcile::find(self.reconcile.as_ref(), invocation)
    }
}

impl PythonTool {
    /// What the model is told of a failure, and which failures end the run.
    fn told(&self, error: GuestError) -> ToolError {
        let message = match &error {
            GuestError::Raised(raised) if is_model_retry(raised) => {
                let message = raised.message().to_owned();
                return ToolError::Rejected { message, source: Some(Arc::new(error)) };
            }
            GuestError::Raised(raised) => format!("{}: {}", raised.class(), raised.message()),
            GuestError::Cancelled => format!("{} was cancelled", self.spec.name),
            GuestError::Contract(breach) => breach.to_string(),
            GuestError::Panicked { message } => message.clone(),
            _ => {
                let message = error.to_string();
                return ToolError::Fatal { name: self.spec.name.clone(), message, source: Arc::new(error) };
            }
        };
        ToolError::Failed { message, source: Some(Arc::new(error)) }
    }
}

#[pyclass(frozen, module = "atomr_agents._native.tool")]
pub(crate) struct NativeTool {
    pub(crate) checked: Arc<CheckedTool>,
    timeout: Option<Duration>,
    retries: u32,
}

impl NativeTool {
    pub(crate) fn of(checked: Arc<CheckedTool>) -> Self {
        let options = checked.tool().options();
        Self { checked, timeout: options.timeout, retries: options.retries }
    }
}

#[pymethods]
impl NativeTool {
    #[new]
    #[pyo3(signature = (target, name, description, parameters, *, takes_context, raw, decode, timeout, retries, strict, key, meta,
        requires_approval = false, max_concurrency = 0, reconcile = None))]
    #[allow(clippy::too_many_arguments)] // called from one place, by keyword
    fn new(
        target: &Bound<'_, PyAny>,
        name: String,
        description: String,
        parameters: &Bound<'_, PyAny>,
        takes_context: bool,
        raw: bool,
        decode: Option<Py<PyAny>>,
        timeout: Option<f64>,
        retries: u32,
        strict: bool,
        key: &str,
        meta: NativeToolMeta,
        requires_approval: bool,
        max_concurrency: u32,
        reconcile: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let reconcile = reconcile.map(|target| reconcile::wrap(key, target)).transpose()?;
        let guest = GuestTool::wrap(target.py(), key, target, GuestOptions::default())?;
        let spec = ToolSpec { name, description, parameters: json::from_py(parameters)?, strict };
        let timeout = seconds::optional("timeout", timeout)?;
        let tool = PythonTool {
            guest,
            spec: Arc::new(spec),
            options: ToolOptions { timeout, retries, requires_approval, max_concurrency },
            meta: meta.0,
            takes_context,
            raw,
            decode: decode.map(Arc::new),
            reconcile,
        };
        let checked = CheckedTool::new(Arc::new(tool)).map_err(from_kinded)?;
        if raw {
            // A schema written by hand is looked at now; those made from signatures are good.
            checked.compile().map_err(from_kinded)?;
        }
        Ok(Self::of(Arc::new(checked)))
    }

    /// A tool that hands the conversation to the agent of this name.
    #[staticmethod]
    fn handoff(target: &str, description: &str) -> PyResult<Self> {
        let tool = Arc::new(tool::HandoffTool::new(target, description));
        Ok(Self::of(Arc::new(CheckedTool::new(tool).map_err(from_kinded)?)))
    }

    #[getter]
    fn name(&self) -> String {
        self.checked.tool().spec().name.clone()
    }

    #[getter]
    fn description(&self) -> String {
        self.checked.tool().spec().description.clone()
    }

    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_py(py, &self.checked.tool().spec().parameters)
    }

    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.timeout.map(|timeout| timeout.as_secs_f64())
    }

    #[getter]
    fn retries(&self) -> u32 {
        self.retries
    }

    #[getter]
    fn requires_approval(&self) -> bool {
        self.checked.tool().options().requires_approval
    }

    #[getter]
    fn effect(&self) -> &'static str {
        self.checked.tool().meta().effect.as_str()
    }

    #[getter]
    fn max_concurrency(&self) -> u32 {
        self.checked.tool().options().max_concurrency
    }

    fn descriptor(&self) -> ToolDescriptor {
        ToolDescriptor(tool::ToolDescriptor::of(&**self.checked.tool()))
    }

    /// Runs it as an agent does: arguments and permissions are checked, time-out and retries apply.
    fn execute(
        &self,
        py: Python<'_>,
        arguments: &Bound<'_, PyAny>,
        grants: Option<&Bound<'_, PyAny>>,
        deps: Py<PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let arguments: Value = json::from_py(arguments)?;
        let call = ToolCall::new("call", self.name(), arguments.to_string());
        let grants = grants.map(grants_of).transpose()?.unwrap_or_default();
        let toolbox = Toolbox::from_checked(vec![Arc::clone(&self.checked)]).map_err(from_kinded)?;
        awaitable(py, move |scope| async move {
            let ctx = grants.enter(&call_ctx(&scope, Some(Deps(Arc::new(deps)))));
            let _end = ctx.cancel.clone().drop_guard();
            let returned = execute(&toolbox, &call, &ctx).await.result.map_err(|error| PyErr::from(Fault(error)))?;
            let value = serde_json::to_value(returned).map_err(|error| PyValueError::new_err(error.to_string()))?;
            Ok::<_, PyErr>(Json(value))
        })
    }

    fn __repr__(&self) -> String {
        format!("NativeTool({:?})", self.checked.tool().spec().name)
    }
}

#[pyclass(frozen, eq, from_py_object, module = "atomr_agents._native.tool")]
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Provider(tool::Provider);

#[pymethods]
impl Provider {
    #[new]
    fn new(name: &str) -> PyResult<Self> {
        name.parse().map(Self).map_err(from_kinded::<tool::ToolCallParserError>)
    }

    #[staticmethod]
    fn openai() -> Self {
        Self(tool::Provider::OpenAi)
    }

    #[staticmethod]
    fn openai_responses() -> Self {
        Self(tool::Provider::OpenAiResponses)
    }

    #[staticmethod]
    fn anthropic() -> Self {
        Self(tool::Provider::Anthropic)
    }

    #[staticmethod]
    fn gemini() -> Self {
        Self(tool::Provider::Gemini)
    }

    #[getter]
    fn name(&self) -> &'static str {
        self.0.as_str()
    }

    fn __repr__(&self) -> String {
        format!("Provider({:?})", self.0.as_str())
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.tool")]
#[derive(PartialEq)]
pub(crate) struct ParsedToolCall(tool::ParsedToolCall);

#[pymethods]
impl ParsedToolCall {
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn arguments_raw(&self) -> &str {
        &self.0.arguments_raw
    }

    fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = self.0.arguments().map_err(|error| {
            PyValueError::new_err(format!("the arguments of {} are not JSON: {error}", self.0.name))
        })?;
        json::to_py(py, &value)
    }

    fn __repr__(&self) -> String {
        format!("ParsedToolCall({:?}, {:?}, {})", self.0.id, self.0.name, self.0.arguments_raw)
    }
}

/// The parser, and the decoder in front of it for raw reads.
struct Reading {
    parser: tool::ToolCallParser,
    sse: SseDecoder,
}

#[pyclass(frozen, module = "atomr_agents._native.tool")]
pub(crate) struct ToolCallParser(Mutex<Reading>);

impl ToolCallParser {
    fn with<T>(&self, work: impl FnOnce(&mut Reading) -> Result<T, tool::ToolCallParserError>) -> PyResult<T> {
        let done = work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // Making an exception runs Python, which may let another thread run that waits for the lock.
        done.map_err(from_kinded)
    }
}

#[pymethods]
impl ToolCallParser {
    #[new]
    fn new(provider: Provider) -> Self {
        Self(Mutex::new(Reading { parser: tool::ToolCallParser::new(provider.0), sse: SseDecoder::new() }))
    }

    fn feed(&self, delta: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(text) = delta.extract::<&str>() {
            return self.with(|reading| reading.parser.feed(text));
        }
        if let Ok(bytes) = delta.cast::<PyBytes>() {
            let text = std::str::from_utf8(bytes.as_bytes())
                .map_err(|error| PyValueError::new_err(format!("the delta is not UTF-8: {error}")))?;
            return self.with(|reading| reading.parser.feed(text));
        }
        let value: Value = json::from_py(delta)?;
        self.with(|reading| reading.parser.feed(&value.to_string()))
    }

    fn feed_sse(&self, read: &[u8]) -> PyResult<()> {
        self.with(|Reading { parser, sse }| {
            let mut events = sse.feed(read);
            while let Some(event) = events.next_event()? {
                if event.data.trim_ascii() != "[DONE]" {
                    parser.feed(event.data)?;
                }
            }
            Ok(())
        })
    }

    fn finish(&self) -> PyResult<Vec<ParsedToolCall>> {
        self.with(|reading| {
            if let Some(event) = reading.sse.finish()?
                && event.data.trim_ascii() != "[DONE]"
            {
                reading.parser.feed(event.data)?;
            }
            reading.sse = SseDecoder::new();
            Ok(reading.parser.finish()?.into_iter().map(ParsedToolCall).collect())
        })
    }
}
