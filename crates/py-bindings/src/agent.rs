//! `_native.agent`: the engine behind an agent, and its runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atomr_agents_agent::{
    self as agent, AgentBuilder, AgentOptions, BoxedAgent, Run, RunError, RunInput, RunResult, Transcript,
};
use atomr_agents_core::{CancellationToken, Money, OutputSchema, Sampling, ToolChoice, Value};
use atomr_agents_py_bridge::{Scope, awaitable, json, runtime, watched};
use atomr_agents_strategy::StaticTools;
use atomr_agents_tokens::{Price, PriceTable};
use atomr_agents_tool::Toolbox;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::callable::Callable;
use crate::context::{Deps, call_ctx};
use crate::core::{Message, Usage, messages};
use crate::errors::{Fault, config, from_kinded};
use crate::inference::InferenceClient;
use crate::observability::{EventBus, Subscription};
use crate::seconds;
use crate::tool::NativeTool;

/// USD per million input, cached input and output tokens, by model.
type Prices = Vec<(String, (f64, f64, f64))>;

/// How long the end of a run may take once it was cancelled.
const SETTLE: Duration = Duration::from_secs(1);

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<InferenceClient>()?;
    module.add_class::<AgentCore>()?;
    module.add_class::<RunHandle>()?;
    module.add_class::<RunOutcome>()?;
    module.add_class::<Partial>()
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct AgentCore(BoxedAgent);

#[pymethods]
impl AgentCore {
    #[new]
    #[pyo3(signature = (client, model, *, name, instructions, tools, buses, max_iterations, max_parallel_tools, timeout,
        temperature, top_p, max_tokens, stop, seed, reasoning_effort, tool_choice, output, extra_body, prices))]
    #[allow(clippy::too_many_arguments)] // called from one place, by keyword
    fn new(
        client: &InferenceClient,
        model: String,
        name: String,
        instructions: &str,
        tools: Vec<PyRef<'_, NativeTool>>,
        buses: Vec<PyRef<'_, EventBus>>,
        max_iterations: u32,
        max_parallel_tools: usize,
        timeout: Option<f64>,
        temperature: Option<f64>,
        top_p: Option<f64>,
        max_tokens: Option<u32>,
        stop: Vec<String>,
        seed: Option<i64>,
        reasoning_effort: Option<String>,
        tool_choice: &str,
        output: Option<(String, Bound<'_, PyAny>, bool)>,
        extra_body: Option<Bound<'_, PyAny>>,
        prices: Option<Prices>,
    ) -> PyResult<Self> {
        let toolbox = Toolbox::from_checked(tools.iter().map(|tool| Arc::clone(&tool.checked)).collect());
        let tools = StaticTools::from(toolbox.map_err(from_kinded)?);
        let output = output
            .map(|(name, schema, strict)| {
                Ok::<_, PyErr>(OutputSchema { name, schema: json::from_py(&schema)?, strict })
            })
            .transpose()?;
        let options = AgentOptions {
            name,
            max_iterations,
            max_parallel_tools,
            timeout: seconds::optional("timeout", timeout)?,
            sampling: Sampling { temperature, top_p, max_tokens, stop, seed, reasoning_effort, thinking_budget: None },
            tool_choice: match tool_choice {
                "auto" => ToolChoice::Auto,
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                tool => ToolChoice::Tool(tool.to_owned()),
            },
            output,
            extra_body: match extra_body.map(|body| json::from_py(&body)).transpose()? {
                None => serde_json::Map::new(),
                Some(Value::Object(body)) => body,
                Some(_) => return Err(config("extra_body must be a dict")),
            },
            prices: price_table(prices)?,
            buses: buses.iter().map(|bus| bus.0.clone()).collect(),
        };
        let built = AgentBuilder::new(Arc::clone(&client.0), model)
            .instructions(instructions)
            .with_tools(tools)
            .with_options(options)
            .build();
        Ok(Self(built.map_err(from_kinded)?.into()))
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn model(&self) -> &str {
        self.0.model()
    }

    fn begin(
        &self,
        input: Vec<PyRef<'_, Message>>,
        history: Vec<PyRef<'_, Message>>,
        deps: Py<PyAny>,
        py: Python<'_>,
    ) -> RunHandle {
        let copied = |messages: Vec<PyRef<'_, Message>>| messages.iter().map(|message| message.0.clone()).collect();
        let deps = (!deps.is_none(py)).then(|| Deps(Arc::new(deps)));
        RunHandle::new(self.0.clone(), RunInput { messages: copied(input), history: copied(history) }, deps)
    }

    fn as_callable(&self) -> Callable {
        Callable(self.0.as_callable())
    }
}

fn price_table(prices: Option<Prices>) -> PyResult<Arc<PriceTable>> {
    let mut table = PriceTable::builtin();
    for (model, (input, cached, output)) in prices.into_iter().flatten() {
        let micro = |usd: f64| {
            if usd.is_finite() && (0.0..1e9).contains(&usd) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
                Ok((usd * 1e6).round() as u64)
            } else {
                Err(config(format!("the price {usd} of {model} is no amount in USD per million tokens")))
            }
        };
        let price = Price::new(micro(input)?, micro(cached)?, micro(output)?);
        table = table.with_price(&model, price);
    }
    Ok(Arc::new(table))
}

type Outcome = Result<RunResult, RunError>;

/// Where a run is in its life.
enum State {
    /// Nothing was asked of it yet.
    Begun(Box<(BoxedAgent, RunInput, Option<Deps>)>),
    /// It runs inside the coroutine of [`RunHandle::run`].
    Direct,
    /// It runs in the background; dropping the set stops it.
    Started { _task: JoinSet<()>, ended: watch::Receiver<Option<Arc<Outcome>>>, scope: Scope },
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct RunHandle {
    state: Mutex<State>,
    ctx: atomr_agents_core::CallCtx,
    cancel: CancellationToken,
    transcript: Arc<Mutex<Option<Transcript>>>,
}

impl RunHandle {
    fn new(agent: BoxedAgent, input: RunInput, deps: Option<Deps>) -> Self {
        let ctx = atomr_agents_core::CallCtx::new();
        let cancel = ctx.cancel.clone();
        Self {
            state: Mutex::new(State::Begun(Box::new((agent, input, deps)))),
            ctx,
            cancel,
            transcript: Arc::new(Mutex::new(None)),
        }
    }

    /// Takes what is needed to run, once.
    fn take(&self, next: impl FnOnce() -> State) -> PyResult<(BoxedAgent, RunInput, Option<Deps>)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Direct) {
            State::Begun(parts) => {
                *state = next();
                Ok(*parts)
            }
            other => {
                *state = other;
                Err(PyRuntimeError::new_err("this run was started before; begin another one"))
            }
        }
    }

    fn ended(&self) -> PyResult<(watch::Receiver<Option<Arc<Outcome>>>, Scope)> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Started { ended, scope, .. } => Ok((ended.clone(), scope.clone())),
            _ => Err(PyRuntimeError::new_err("this run was not started")),
        }
    }
}

/// Begins the run in the context of its caller's loop, and keeps its transcript within reach.
fn begin(
    ctx: &atomr_agents_core::CallCtx,
    slot: &Mutex<Option<Transcript>>,
    scope: &Scope,
    (agent, input, deps): (BoxedAgent, RunInput, Option<Deps>),
) -> Run {
    let mut own = call_ctx(scope, deps);
    own.run = ctx.run;
    own.cancel = ctx.cancel.clone();
    let run = agent.begin(input, own);
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.transcript());
    run
}

#[pymethods]
impl RunHandle {
    #[getter]
    fn run_id(&self) -> String {
        self.ctx.run.to_string()
    }

    fn run(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let this = slf.get();
        let parts = this.take(|| State::Direct)?;
        let (ctx, slot) = (this.ctx.clone(), Arc::clone(&this.transcript));
        awaitable(slf.py(), move |scope| {
            let run = begin(&ctx, &slot, &scope, parts);
            async move { run.await.map(RunOutcome).map_err(Fault) }
        })
    }

    fn start(&self, py: Python<'_>) -> PyResult<Subscription> {
        let scope = Scope::current(py)?;
        let runtime = runtime::handle(py)?;
        let (tell, ended) = watch::channel(None);
        let parts = self.take(|| State::Direct)?;
        let run = begin(&self.ctx, &self.transcript, &scope, parts);
        let subscription = run.subscribe().ok_or_else(|| PyRuntimeError::new_err("this run has no events"))?;
        let mut task = JoinSet::new();
        let work = async move {
            let outcome = run.await;
            tell.send_replace(Some(Arc::new(outcome)));
        };
        task.spawn_on(scope.corked(work), runtime);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Started { _task: task, ended, scope };
        Ok(Subscription::new(subscription))
    }

    fn outcome(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (mut ended, _) = self.ended()?;
        watched(py, async move {
            let outcome = ended.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
            match outcome.as_deref() {
                Some(Ok(result)) => Ok(RunOutcome(result.clone())),
                Some(Err(error)) => Err(from_kinded(error.clone())),
                None => Err(PyRuntimeError::new_err("the run was stopped")),
            }
        })
    }

    fn cancel(&self) {
        self.cancel.cancel();
    }

    fn settled(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (mut ended, scope) = self.ended()?;
        awaitable(py, move |_scope| async move {
            let settle = async {
                let _ = ended.wait_for(Option::is_some).await;
                scope.settled().await;
            };
            let _ = tokio::time::timeout(SETTLE, settle).await;
            Ok::<_, PyErr>(())
        })
    }

    fn partial(&self) -> Partial {
        let transcript = self.transcript.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transcript) = &*transcript {
            return Partial::new(transcript.partial());
        }
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = match &*state {
            State::Begun(parts) => parts.1.history.iter().chain(&parts.1.messages).cloned().collect(),
            _ => Vec::new(),
        };
        let usage = atomr_agents_core::Usage::default();
        Partial::new(agent::Partial { run: self.ctx.run, messages, usage, cost: Some(Money::default()) })
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        if !matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Direct) {
            self.cancel.cancel();
        }
    }
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct RunOutcome(RunResult);

#[pymethods]
impl RunOutcome {
    #[getter]
    fn run_id(&self) -> String {
        self.0.run.to_string()
    }

    #[getter]
    fn text(&self) -> &str {
        &self.0.output
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.value.as_ref().map(|value| json::to_py(py, value)).transpose()
    }

    #[getter]
    fn messages(&self) -> Vec<Message> {
        messages(&self.0.messages)
    }

    #[getter]
    fn new_messages(&self) -> Vec<Message> {
        messages(&self.0.messages[self.0.history.min(self.0.messages.len())..])
    }

    #[getter]
    fn usage(&self) -> Usage {
        Usage(self.0.usage.clone())
    }

    #[getter]
    fn cost(&self) -> Option<f64> {
        self.0.cost.map(Money::usd)
    }

    #[getter]
    fn finish_reason<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        crate::core::to_py(py, &self.0.finish)
    }

    #[getter]
    fn iterations(&self) -> u32 {
        self.0.iterations
    }

    #[getter]
    fn event_count(&self) -> u64 {
        self.0.events
    }
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct Partial(agent::Partial);

impl Partial {
    pub(crate) fn new(partial: agent::Partial) -> Self {
        Self(partial)
    }
}

#[pymethods]
impl Partial {
    fn __repr__(&self) -> String {
        format!("Partial(run_id={:?}, {} messages)", self.0.run.to_string(), self.0.messages.len())
    }

    #[getter]
    fn run_id(&self) -> String {
        self.0.run.to_string()
    }

    #[getter]
    fn messages(&self) -> Vec<Message> {
        messages(&self.0.messages)
    }

    #[getter]
    fn usage(&self) -> Usage {
        Usage(self.0.usage.clone())
    }

    #[getter]
    fn cost(&self) -> Option<f64> {
        self.0.cost.map(Money::usd)
    }
}
