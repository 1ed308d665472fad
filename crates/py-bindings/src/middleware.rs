//! `_native.agent`, continued: what stands between the loop and what it does, ours and what is written in Python.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atomr_agents_agent::middleware::{
    NextModel, NextTool, RateLimit, Redaction, Retry, ToolErrorRecovery, ToolOutcome,
};
use atomr_agents_agent::{AgentError, AgentMiddleware, HookFuture, RunResult};
use atomr_agents_core::{CallCtx, Message, ModelRequest, ToolCall, ToolReturn, TurnInput, Value};
use atomr_agents_http::RetryPolicy;
use atomr_agents_inference::ModelReply;
use atomr_agents_py_bridge::{
    Args, BadShape, Guest, GuestError, GuestOptions, KindRow, MethodRow, Verb, arguments, json, to_serde,
};
use atomr_agents_tool::ToolError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use serde::{Deserialize, Serialize};

use crate::call_next::{CallNext, Stopped};
use crate::context::{run_context, serving};
use crate::errors::config;
use crate::seconds;

const fn hook(name: &'static str, params: &'static [&'static str]) -> MethodRow {
    MethodRow { name, verb: Verb::Call, required: false, itself: false, params }
}

/// What an object may have that stands in between; it must have one of them.
static HOOKS: KindRow = KindRow {
    kind: "middleware",
    decorator: "AgentMiddleware",
    adapter: "PythonMiddleware",
    methods: &[
        hook("before_agent", &["ctx", "messages"]),
        hook("after_agent", &["ctx", "output"]),
        hook("before_model", &["ctx", "request"]),
        hook("after_model", &["ctx", "reply"]),
        hook("before_tool", &["ctx", "call"]),
        hook("after_tool", &["ctx", "call", "outcome"]),
        hook("wrap_model", &["ctx", "request", "call_next"]),
        hook("wrap_tool", &["ctx", "call", "call_next"]),
    ],
};

/// A middleware of the core.
#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct NativeMiddleware(Arc<dyn AgentMiddleware>);

#[pymethods]
impl NativeMiddleware {
    #[staticmethod]
    fn retry(max_attempts: u32, initial: f64, longest: f64) -> PyResult<Self> {
        let policy = RetryPolicy {
            max_attempts: max_attempts.max(1),
            base: seconds::duration("wait", initial)?,
            cap: seconds::duration("max_wait", longest)?,
            ..RetryPolicy::default()
        };
        Ok(Self(Arc::new(Retry::new(policy))))
    }

    #[staticmethod]
    fn rate_limit(calls: usize, window: f64, max_waiting: usize) -> PyResult<Self> {
        let window: Duration = seconds::duration("per", window)?;
        let limiter = atomr_agents_agent::middleware::RateLimiter::new(calls, window).with_max_waiting(max_waiting);
        Ok(Self(Arc::new(RateLimit::from(Arc::new(limiter)))))
    }

    #[staticmethod]
    fn redaction(texts: Vec<String>, patterns: Vec<String>, replacement: String) -> PyResult<Self> {
        let redaction = Redaction::new(texts.iter().map(String::as_str), patterns.iter().map(String::as_str));
        let redaction = redaction.map_err(|error| config(error.to_string()))?;
        Ok(Self(Arc::new(redaction.with_replacement(replacement))))
    }

    #[staticmethod]
    fn tool_error_recovery(template: Option<String>) -> Self {
        let Some(template) = template else { return Self(Arc::new(ToolErrorRecovery::new())) };
        Self(Arc::new(ToolErrorRecovery::telling(move |call, error| {
            template.replace("{tool}", &call.name).replace("{error}", &error.to_string())
        })))
    }

    fn __repr__(&self) -> String {
        format!("<{:?}>", self.0)
    }
}

/// What was given as middleware.
pub(crate) fn read(given: &Bound<'_, PyAny>) -> PyResult<Arc<dyn AgentMiddleware>> {
    let native = given.getattr_opt("native")?.unwrap_or_else(|| given.clone());
    if let Ok(native) = native.cast::<NativeMiddleware>() {
        return Ok(Arc::clone(&native.get().0));
    }
    let class = given.get_type();
    let name = given.cast::<pyo3::types::PyType>().map_or_else(|_| class.name(), |class| class.name());
    let name = name.unwrap_or_else(|_| PyString::new(given.py(), "middleware")).to_string();
    let guest = Guest::wrap(given.py(), &HOOKS, &name, given, GuestOptions::default())?;
    if !HOOKS.methods.iter().any(|method| guest.has(method.name)) {
        let names: Vec<&str> = HOOKS.methods.iter().map(|method| method.name).collect();
        return Err(config(format!("{name} is no middleware: it has none of the methods {}", names.join(", "))));
    }
    Ok(Arc::new(PythonMiddleware { guest, name }))
}

/// A middleware written in Python.
struct PythonMiddleware {
    guest: Guest,
    name: String,
}

impl fmt::Debug for PythonMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A tool call as Python sees it.
#[derive(Clone, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct SeenCall {
    #[serde(default)]
    id: String,
    name: String,
    /// `None` where the model wrote no JSON.
    arguments: Value,
}

impl SeenCall {
    fn of(call: &ToolCall) -> Self {
        let arguments = call.arguments().unwrap_or(Value::Null);
        Self { id: call.id.clone(), name: call.name.clone(), arguments }
    }

    /// The call with what was changed; what was not stays as the model wrote it.
    fn onto(self, call: &mut ToolCall) {
        if self != Self::of(call) {
            call.raw = if self.arguments.is_null() { String::new() } else { self.arguments.to_string() };
            (call.id, call.name) = (self.id, self.name);
        }
    }
}

/// How a tool call ended, as Python sees it.
#[derive(Clone, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct SeenOutcome {
    ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl SeenOutcome {
    fn of(outcome: &ToolOutcome) -> Self {
        match outcome {
            Ok(ToolReturn::Content { parts }) if let [atomr_agents_core::Part::Text { text }] = parts.as_slice() => {
                Self { ok: true, content: Some(Value::from(text.as_str())), error: None }
            }
            Ok(returned) => Self { ok: true, content: serde_json::to_value(returned).ok(), error: None },
            Err(error) => Self { ok: false, content: None, error: Some(error.to_string()) },
        }
    }

    fn into_outcome(self) -> ToolOutcome {
        if !self.ok {
            let message = self.error.unwrap_or_else(|| "the call failed".to_owned());
            return Err(ToolError::Rejected { message, source: None });
        }
        let content = self.content.unwrap_or_default();
        Ok(serde_json::from_value(content.clone()).unwrap_or_else(|_| ToolReturn::json(content)))
    }
}

/// Makes the arguments of a hook behind the context.
type Build = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> + Send>;

fn values(values: Vec<Value>) -> Build {
    Box::new(move |py| values.iter().map(|value| json::to_py(py, value)).collect())
}

impl PythonMiddleware {
    /// Calls a hook, if it is there.
    async fn call<T: Send + 'static>(
        &self,
        hook: &'static str,
        ctx: &CallCtx,
        build: Build,
        decode: impl FnOnce(&Bound<'_, PyAny>) -> Result<T, BadShape> + Send + 'static,
    ) -> Result<T, AgentError> {
        let (scope, ctx) = (serving(ctx), ctx.clone());
        let args = arguments(move |py: Python<'_>| {
            let mut all = vec![run_context(py, &ctx, "", "")?];
            all.extend(build(py)?);
            Ok(Args::positional(PyTuple::new(py, all)?))
        });
        let called = self.guest.call(hook, args, decode, scope.as_ref());
        called.await.map_err(|error| self.failed(hook, error))
    }

    /// As [`Self::call`], for a wrap: an error of the rest of the chain that it lets through stays what it was, so that
    /// what stands further out sees a model's error, not one of a middleware.
    async fn wrap<T: Send + 'static>(
        &self,
        hook: &'static str,
        ctx: &CallCtx,
        given: Value,
        rest: CallNext,
        decode: impl FnOnce(&Bound<'_, PyAny>) -> Result<T, BadShape> + Send + 'static,
    ) -> Result<T, AgentError> {
        let passed = Arc::clone(&rest.passed);
        let build: Build = Box::new(move |py| Ok(vec![json::to_py(py, &given)?, Bound::new(py, rest)?.into_any()]));
        self.call(hook, ctx, build, decode).await.map_err(|error| {
            let passed = passed.lock().unwrap_or_else(PoisonError::into_inner).take();
            passed.and_then(|passed| passed.raised_as(&error)).unwrap_or(error)
        })
    }

    /// Calls a hook with a value that it may change by returning another one.
    async fn change<T>(&self, hook: &'static str, ctx: &CallCtx, given: Vec<Value>) -> Result<Option<T>, AgentError>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        if !self.guest.has(hook) {
            return Ok(None);
        }
        let decode =
            |answer: &Bound<'_, PyAny>| if answer.is_none() { Ok(None) } else { to_serde::<T>(answer).map(Some) };
        self.call(hook, ctx, values(given), decode).await
    }

    fn failed(&self, hook: &str, error: GuestError) -> AgentError {
        match error {
            GuestError::Cancelled => AgentError::Cancelled,
            error => AgentError::Middleware {
                hook: format!("{}.{hook}", self.name),
                message: error.to_string(),
                source: Some(Arc::new(error)),
            },
        }
    }
}

fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

impl AgentMiddleware for PythonMiddleware {
    fn before_agent<'a>(&'a self, turn: &'a mut TurnInput, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        Box::pin(async move {
            if let Some(input) = self.change::<Vec<Message>>("before_agent", ctx, vec![plain(&turn.input)]).await? {
                turn.input = input;
            }
            Ok(())
        })
    }

    fn after_agent<'a>(&'a self, result: &'a mut RunResult, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        Box::pin(async move {
            let given = vec![Value::from(result.output.as_str())];
            if let Some(output) = self.change::<String>("after_agent", ctx, given).await? {
                result.output = output;
            }
            Ok(())
        })
    }

    fn before_model<'a>(&'a self, request: &'a mut ModelRequest, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        Box::pin(async move {
            if self.guest.has("before_model")
                && let Some(changed) = self.change("before_model", ctx, vec![plain(request)]).await?
            {
                *request = changed;
            }
            Ok(())
        })
    }

    fn after_model<'a>(&'a self, reply: &'a mut ModelReply, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        Box::pin(async move {
            if self.guest.has("after_model")
                && let Some(changed) = self.change("after_model", ctx, vec![plain(reply)]).await?
            {
                *reply = changed;
            }
            Ok(())
        })
    }

    fn before_tool<'a>(&'a self, call: &'a mut ToolCall, ctx: &'a CallCtx) -> HookFuture<'a, ()> {
        Box::pin(async move {
            let given = vec![plain(&SeenCall::of(call))];
            if let Some(changed) = self.change::<SeenCall>("before_tool", ctx, given).await? {
                changed.onto(call);
            }
            Ok(())
        })
    }

    fn after_tool<'a>(
        &'a self,
        call: &'a ToolCall,
        outcome: &'a mut ToolOutcome,
        ctx: &'a CallCtx,
    ) -> HookFuture<'a, ()> {
        Box::pin(async move {
            let before = SeenOutcome::of(outcome);
            let given = vec![plain(&SeenCall::of(call)), plain(&before)];
            if let Some(changed) = self.change::<SeenOutcome>("after_tool", ctx, given).await?
                && changed != before
            {
                *outcome = changed.into_outcome();
            }
            Ok(())
        })
    }

    fn wrap_model<'a>(
        &'a self,
        request: Arc<ModelRequest>,
        ctx: CallCtx,
        next: NextModel,
    ) -> HookFuture<'a, ModelReply> {
        if !self.guest.has("wrap_model") {
            return next.run(request, ctx);
        }
        Box::pin(async move {
            let given = plain(&*request);
            let inner = ctx.clone();
            let rest = CallNext::new(move |value: Value| {
                let (next, ctx) = (next.clone(), inner.clone());
                Box::pin(async move {
                    let request = serde_json::from_value(value).map_err(Stopped::shape)?;
                    let reply = next.run(Arc::new(request), ctx).await;
                    reply.map(|reply| plain(&reply)).map_err(Stopped::Run)
                })
            });
            self.wrap("wrap_model", &ctx, given, rest, to_serde::<ModelReply>).await
        })
    }

    fn wrap_tool<'a>(&'a self, call: ToolCall, ctx: CallCtx, next: NextTool) -> HookFuture<'a, ToolOutcome> {
        if !self.guest.has("wrap_tool") {
            return next.run(call, ctx);
        }
        Box::pin(async move {
            let given = plain(&SeenCall::of(&call));
            let inner = ctx.clone();
            // What the tool really gave back, so that an outcome that is handed on loses nothing.
            let last: Arc<Mutex<Option<ToolOutcome>>> = Arc::default();
            let kept = Arc::clone(&last);
            let rest = CallNext::new(move |value: Value| {
                let (next, ctx, mut call, kept) = (next.clone(), inner.clone(), call.clone(), Arc::clone(&kept));
                Box::pin(async move {
                    let seen: SeenCall = serde_json::from_value(value).map_err(Stopped::shape)?;
                    seen.onto(&mut call);
                    let outcome = next.run(call, ctx).await.map_err(Stopped::Run)?;
                    let seen = plain(&SeenOutcome::of(&outcome));
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                    Ok(seen)
                })
            });
            let seen = self.wrap("wrap_tool", &ctx, given, rest, to_serde::<SeenOutcome>).await?;
            let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
            Ok(match last {
                Some(outcome) if SeenOutcome::of(&outcome) == seen => outcome,
                _ => seen.into_outcome(),
            })
        })
    }
}
