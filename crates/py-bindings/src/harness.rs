//! `_native.harness`: loops under a budget and a termination.

use std::future::Future;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Kind, Value};
use atomr_agents_harness::{
    self as harness, BoxedHarness, CallableLoop, HarnessOptions, HarnessSpec, IdempotencyKey, LoopStep, Settlement,
    StepEffect,
};
use atomr_agents_py_bridge::{
    Args, BadShape, GuestLoopStrategy, GuestOptions, Json, Scope, arguments, awaitable, json, to_json,
};
use atomr_agents_state::JournalOptions;
use atomr_agents_strategy::{self as strategy, StrategyError, StrategyFuture};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use crate::budget::Budget;
use crate::callable::Callable;
use crate::context::{Deps, call_ctx, config_of, deps_of, served, serving};
use crate::errors::{Fault, config, from_kinded};
use crate::harness_state::{HarnessState, Spent, StepEvent};
use crate::observability::EventBus;
use crate::state::store_of;
use crate::strategy::{answer, shape};
use crate::termination::TerminationStrategy;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<HarnessCore>()?;
    module.add_class::<HarnessOutcome>()?;
    module.add_class::<HarnessState>()?;
    module.add_class::<LoopStrategy>()?;
    module.add_class::<Spent>()?;
    module.add_class::<StepEvent>()?;
    module.add_class::<TerminationStrategy>()
}

/// The Python object `LoopContext` of a call.
fn loop_context<'py>(py: Python<'py>, ctx: &CallCtx) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class =
        CLASS.get_or_try_init(py, || py.import("atomr_agents._context")?.getattr("LoopContext").map(Bound::unbind))?;
    let key = ctx.get::<IdempotencyKey>().map_or_else(String::new, |key| key.to_string());
    class.bind(py).call1((deps_of(py, ctx), ctx.run.to_string(), ctx.path(), key, config_of(py, ctx)?))
}

/// Makes the arguments of a strategy: the state, and the context for one that takes it.
pub(crate) fn shown(
    state: &harness::HarnessState,
    ctx: &CallCtx,
    takes_context: bool,
) -> impl for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static {
    let (state, ctx) = (state.clone(), takes_context.then(|| ctx.clone()));
    arguments(move |py: Python<'_>| {
        let mut all = vec![Bound::new(py, HarnessState::new(state))?.into_any()];
        if let Some(ctx) = ctx {
            all.push(loop_context(py, &ctx)?);
        }
        Ok(Args::positional(PyTuple::new(py, all)?))
    })
}

/// Gives up waiting for a guest when the run is cancelled: dropping the wait ends the guest.
pub(crate) async fn unless_cancelled<T>(
    family: &'static str,
    ctx: &CallCtx,
    running: impl Future<Output = Result<T, StrategyError>>,
) -> Result<T, StrategyError> {
    tokio::select! {
        biased;
        result = running => result,
        () = ctx.cancel.cancelled() => {
            Err(StrategyError::Failed { family, kind: Kind::Cancelled, message: "it was cancelled".into(), source: None })
        }
    }
}

/// A loop strategy written in Python.
struct PythonLoop {
    guest: GuestLoopStrategy,
    takes_context: bool,
    effect: StepEffect,
}

impl strategy::LoopStrategy for PythonLoop {
    fn step<'a>(&'a self, state: &'a harness::HarnessState, ctx: &'a CallCtx) -> StrategyFuture<'a, LoopStep> {
        let running = self.guest.step(shown(state, ctx, self.takes_context), step, serving(ctx).as_ref());
        Box::pin(unless_cancelled("loop", ctx, answer("loop", &self.guest, running)))
    }

    fn effect(&self) -> StepEffect {
        self.effect
    }
}

const STEP: &str = "{\"kind\": \"continue\", \"working_memory\": ..., \"label\": ...} or {\"kind\": \"done\", \"output\": ..., \
                    \"label\": ...}";

/// What an iteration answered.
fn step(value: &Bound<'_, PyAny>) -> Result<LoopStep, BadShape> {
    let Value::Object(mut fields) = to_json(value)? else { return Err(shape(STEP, value)) };
    let kind = fields.get("kind").map_or_else(
        || if fields.contains_key("done") { "done" } else { "continue" }.to_owned(),
        |kind| kind.as_str().unwrap_or_default().to_owned(),
    );
    let label = match fields.remove("label") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(label)) => label,
        Some(_) => return Err(BadShape::new("the label of an iteration is text")),
    };
    let mut take = |name: &str| fields.remove(name);
    let step = match kind.as_str() {
        "continue" => take("working_memory").map(|working_memory| LoopStep::Continue { working_memory, label }),
        "done" => take("output").or_else(|| take("done")).map(|output| LoopStep::Done { output, label }),
        _ => None,
    };
    step.ok_or_else(|| {
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        BadShape::new(format!("expected {STEP}, got a dict of {}", names.join(", ")))
    })
}

#[pyclass(frozen, from_py_object, module = "atomr_agents._native.harness")]
#[derive(Clone)]
pub(crate) struct LoopStrategy(Arc<dyn strategy::LoopStrategy>);

fn effect_of(name: Option<&str>) -> PyResult<StepEffect> {
    name.map_or(Ok(StepEffect::default()), |name| name.parse().map_err(config))
}

#[pymethods]
impl LoopStrategy {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str, takes_context: bool, effect: Option<&str>) -> PyResult<Self> {
        let guest = GuestLoopStrategy::wrap(target.py(), key, target, GuestOptions::default())?;
        let own = guest.effect().and_then(Value::as_str).map(str::to_owned);
        let effect = effect_of(effect.or(own.as_deref()))?;
        Ok(Self(Arc::new(PythonLoop { guest, takes_context, effect })))
    }

    #[staticmethod]
    fn callable(body: &Callable, of_agent: bool, effect: Option<&str>) -> PyResult<Self> {
        let body = Arc::clone(&body.0);
        let body = if of_agent { CallableLoop::of_agent(body) } else { CallableLoop::new(body) };
        Ok(Self(Arc::new(body.with_effect(effect_of(effect)?))))
    }

    #[getter]
    fn effect(&self) -> &'static str {
        self.0.effect().as_str()
    }
}

#[pyclass(frozen, module = "atomr_agents._native.harness")]
pub(crate) struct HarnessCore(BoxedHarness);

#[pymethods]
impl HarnessCore {
    #[new]
    #[pyo3(signature = (spec, budget, body, termination, buses, store, durability))]
    fn new(
        spec: (String, String),
        budget: Option<&Budget>,
        body: &LoopStrategy,
        termination: &TerminationStrategy,
        buses: Vec<PyRef<'_, EventBus>>,
        store: Option<&Bound<'_, PyAny>>,
        durability: &str,
    ) -> PyResult<Self> {
        let (id, version) = spec;
        let spec = HarnessSpec::new(id, version).with_budget(budget.map(|budget| budget.0).unwrap_or_default());
        let made = BoxedHarness::new(spec, Arc::clone(&body.0), Arc::clone(&termination.inner)).map_err(from_kinded)?;
        let store = store.map(store_of).transpose()?;
        let durability = durability.parse().map_err(config)?;
        let journal = JournalOptions { durability, ..JournalOptions::default() };
        let buses = buses.iter().map(|bus| bus.0.clone()).collect();
        let options = HarnessOptions { buses, store, journal };
        Ok(Self(made.with_options(options)))
    }

    #[getter]
    fn id(&self) -> &str {
        &self.0.spec().id
    }

    #[getter]
    fn version(&self) -> &str {
        &self.0.spec().version
    }

    fn run(
        &self,
        py: Python<'_>,
        input: &Bound<'_, PyAny>,
        run_id: Option<String>,
        deps: Py<PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let (harness, input) = (self.0.clone(), json::from_py(input)?);
        start(py, deps, move |ctx| async move {
            match run_id {
                Some(name) => harness.run_as(&name, input, ctx).await,
                None => harness.run(input, ctx).await,
            }
        })
    }

    /// `settle` is what is known of the iteration whose outcome is not: `again`, or what came of it.
    fn resume(
        &self,
        py: Python<'_>,
        run_id: String,
        settle: Option<&Bound<'_, PyAny>>,
        deps: Py<PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let settlement = match settle {
            None => Settlement::Unknown,
            Some(word) if word.eq("again")? => Settlement::RunAgain,
            Some(known) => Settlement::Was(step(known).map_err(|bad| config(format!("settle: {}", bad.message)))?),
        };
        let harness = self.0.clone();
        start(py, deps, move |ctx| async move { harness.resume_with(&run_id, settlement, ctx).await })
    }

    fn as_callable(&self) -> Callable {
        Callable(self.0.as_callable())
    }
}

/// A coroutine that runs a harness: on its own, or as a part of the run in whose call it is begun.
fn start<W, F>(py: Python<'_>, deps: Py<PyAny>, work: W) -> PyResult<Py<PyAny>>
where
    W: FnOnce(CallCtx) -> F + Send + 'static,
    F: Future<Output = Result<harness::HarnessOutcome, harness::HarnessFailure>> + Send + 'static,
{
    let deps = (!deps.is_none(py)).then(|| Deps(Arc::new(deps)));
    let outer = served(py);
    awaitable(py, move |scope: Scope| async move {
        let ctx = match (outer, deps) {
            (None, deps) => call_ctx(&scope, deps),
            (Some(outer), None) => outer.scoped().with(scope),
            (Some(outer), Some(deps)) => outer.scoped().with(scope).with(deps),
        };
        let _end = ctx.cancel.clone().drop_guard();
        work(ctx).await.map(HarnessOutcome).map_err(Fault)
    })
}

#[pyclass(frozen, module = "atomr_agents._native.harness")]
pub(crate) struct HarnessOutcome(harness::HarnessOutcome);

#[pymethods]
impl HarnessOutcome {
    #[getter]
    fn run_id(&self) -> &str {
        &self.0.run
    }

    #[getter]
    fn output<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_py(py, &self.0.output)
    }

    #[getter]
    fn done(&self) -> bool {
        self.0.ended.is_done()
    }

    #[getter]
    fn label(&self) -> Option<&str> {
        match &self.0.ended {
            harness::Ended::Done { label } => Some(label),
            harness::Ended::Terminated { .. } => None,
        }
    }

    #[getter]
    fn reason(&self) -> Option<&str> {
        self.0.ended.reason()
    }

    #[getter]
    fn iterations(&self) -> u64 {
        self.0.iterations
    }

    #[getter]
    fn spent(&self) -> Spent {
        Spent(self.0.spent)
    }

    #[getter]
    fn elapsed(&self) -> f64 {
        self.0.elapsed.as_secs_f64()
    }

    fn to_dict(&self) -> PyResult<Json> {
        serde_json::to_value(&self.0).map(Json).map_err(|error| config(error.to_string()))
    }

    fn __repr__(&self) -> String {
        let how = self.0.ended.reason().unwrap_or("done");
        format!("<HarnessOutcome {how} after {} iterations>", self.0.iterations)
    }
}
