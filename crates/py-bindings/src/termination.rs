//! `_native.harness`, continued: when a loop is ended.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Value};
use atomr_agents_harness::{
    All, Any, CostLimit, HarnessState, IterationCap, NoProgress, Not, TimeLimit, TokenLimit, Verdict,
};
use atomr_agents_py_bridge::{
    Args, BadShape, Guest, GuestOptions, GuestTerminationStrategy, KindRow, MethodRow, Verb, arguments, json, to_json,
};
use atomr_agents_strategy::{self as strategy, StrategyFuture, TerminationStrategy as _};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};

use crate::budget::money;
use crate::context::serving;
use crate::harness::{shown, unless_cancelled};
use crate::seconds;
use crate::strategy::{answer, shape};

/// A termination written in Python.
struct PythonTermination {
    guest: GuestTerminationStrategy,
    takes_context: bool,
}

impl strategy::TerminationStrategy for PythonTermination {
    fn should_terminate<'a>(
        &'a self,
        state: &'a HarnessState,
        _notes: &'a mut Value,
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, Verdict> {
        let key = self.guest.key().to_owned();
        let read = move |value: &Bound<'_, PyAny>| verdict(value, &key);
        let running = self.guest.should_terminate(shown(state, ctx, self.takes_context), read, serving(ctx).as_ref());
        Box::pin(unless_cancelled("termination", ctx, answer("termination", &self.guest, running)))
    }
}

/// What was answered; `key` is the reason where none is given.
fn verdict(value: &Bound<'_, PyAny>, key: &str) -> Result<Verdict, BadShape> {
    if let Ok(stop) = value.cast::<PyBool>() {
        return Ok(Verdict::stop_if(stop.is_true(), key));
    }
    if let Ok(reason) = value.cast::<PyString>() {
        return match reason.to_str()?.trim() {
            "" => Err(BadShape::new("a reason has words; answer False to go on")),
            reason => Ok(Verdict::Stop(reason.to_owned())),
        };
    }
    if let Ok(fields) = value.cast::<PyDict>()
        && let Some(done) = fields.get_item("done")?
        && !done.is_instance_of::<PyDict>()
    {
        return verdict(&done, key);
    }
    if value.hasattr("is_done")? {
        let reason = value.getattr("reason")?;
        return if value.call_method0("is_done")?.is_truthy()? { verdict(&reason, key) } else { Ok(Verdict::Continue) };
    }
    Err(shape("True or False, the reason to end it as text, {\"done\": ...} or a Termination", value))
}

/// What makes the key of a state, where progress is measured by one.
static PROGRESS: KindRow = KindRow {
    kind: "no_progress",
    decorator: "no_progress(key=...)",
    adapter: "TerminationStrategy",
    methods: &[MethodRow { name: "key", verb: Verb::Call, required: true, itself: true, params: &["working_memory"] }],
};

#[pyclass(frozen, from_py_object, module = "atomr_agents._native.harness")]
#[derive(Clone)]
pub(crate) struct TerminationStrategy {
    pub(crate) inner: Arc<dyn strategy::TerminationStrategy>,
    text: String,
}

impl TerminationStrategy {
    fn of(inner: impl strategy::TerminationStrategy, text: String) -> Self {
        Self { inner: Arc::new(inner), text }
    }

    fn texts(parts: &[Self]) -> String {
        parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(", ")
    }
}

#[pymethods]
impl TerminationStrategy {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str, takes_context: bool) -> PyResult<Self> {
        let guest = GuestTerminationStrategy::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self::of(PythonTermination { guest, takes_context }, key.to_owned()))
    }

    #[staticmethod]
    fn iteration_cap(cap: u64) -> Self {
        Self::of(IterationCap(cap), format!("iteration_cap({cap})"))
    }

    #[staticmethod]
    fn token_limit(tokens: u64) -> Self {
        Self::of(TokenLimit(tokens), format!("token_limit({tokens})"))
    }

    #[staticmethod]
    fn cost_limit(usd: f64) -> PyResult<Self> {
        Ok(Self::of(CostLimit(money("usd", usd)?), format!("cost_limit({usd})")))
    }

    #[staticmethod]
    fn time_limit(seconds: f64) -> PyResult<Self> {
        let limit: Duration = seconds::duration("seconds", seconds)?;
        Ok(Self::of(TimeLimit(limit), format!("time_limit({seconds})")))
    }

    #[staticmethod]
    fn no_progress(iterations: u64, key: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let text = format!("no_progress({iterations})");
        let Some(key) = key else { return Ok(Self::of(NoProgress::new(iterations), text)) };
        let guest = Guest::wrap(key.py(), &PROGRESS, "key", key, GuestOptions::default())?;
        let by_key = NoProgress::by_async(iterations, move |state, ctx| {
            let memory = Arc::clone(&state.working_memory);
            let args =
                arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, [json::to_py(py, &memory)?])?)));
            let (guest, running) = (guest.clone(), guest.call("key", args, to_json, serving(ctx).as_ref()));
            Box::pin(unless_cancelled("termination", ctx, async move { answer("termination", &guest, running).await }))
        });
        Ok(Self::of(by_key, text))
    }

    #[staticmethod]
    fn any_of(parts: Vec<Self>) -> Self {
        let text = format!("any_of({})", Self::texts(&parts));
        Self::of(parts.into_iter().fold(Any::new(), |any, part| any.with(part.inner)), text)
    }

    #[staticmethod]
    fn all_of(parts: Vec<Self>) -> Self {
        let text = format!("all_of({})", Self::texts(&parts));
        Self::of(parts.into_iter().fold(All::new(), |all, part| all.with(part.inner)), text)
    }

    #[staticmethod]
    fn not_(part: Self, reason: &str) -> Self {
        let text = format!("not_({})", part.text);
        Self::of(Not::new(reason, part.inner), text)
    }

    #[getter]
    fn ends_every_loop(&self) -> bool {
        self.inner.ends_every_loop()
    }

    fn __or__(&self, other: Self) -> Self {
        Self::any_of(vec![self.clone(), other])
    }

    fn __and__(&self, other: Self) -> Self {
        Self::all_of(vec![self.clone(), other])
    }

    fn __repr__(&self) -> String {
        format!("<TerminationStrategy {}>", self.text)
    }
}
