//! `_native.agent`: the engine behind an agent.

use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_agent::{
    self as agent, AgentBuilder, AgentOptions, BoxedAgent, Edits, Handoff, OutputValidator, RunInput,
};
use atomr_agents_core::{CachePoint, CallCtx, OutputSchema, Sampling, ToolChoice, Value};
use atomr_agents_inference::OutputMode;
use atomr_agents_py_bridge::{
    Args, Guest, GuestError, GuestOptions, KindRow, MethodRow, Verb, arguments, awaitable, json, to_object, to_serde,
};
use atomr_agents_state::{ForkAt, ForkOptions, Store};
use atomr_agents_strategy::{MemoryStrategy, NoMemory, SkillStrategy, StaticSkills};
use atomr_agents_tokens::{Price, PriceTable};
use atomr_agents_tool::{CheckedTool, ToolOptions};
use futures_util::future::BoxFuture;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use serde::Deserialize;
use serde_json::Map;

use crate::approval::{ApprovalLedger, Decision, PendingRun};
use crate::budget::{Budget, money};
use crate::call_next::CallNext;
use crate::callable::Callable;
use crate::context::{Deps, call_ctx, served, serving};
use crate::core::Message;
use crate::durable::{Durable, Replay, Resolution};
use crate::errors::{Fault, config, from_kinded};
use crate::inference::InferenceClient;
use crate::middleware::{self, NativeMiddleware};
use crate::observability::EventBus;
use crate::permission::Grants;
use crate::run::{self, RunHandle, Start, What};
use crate::state::key_of;
use crate::strategy::{Instructions, MemoryStrategyHandle, SkillStrategyHandle, Tools};
use crate::tool::NativeTool;
use crate::{approval, durable, seconds, session};

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<InferenceClient>()?;
    module.add_class::<AgentCore>()?;
    module.add_class::<NativeMiddleware>()?;
    module.add_class::<CallNext>()?;
    module.add_class::<PartialOutput>()?;
    durable::fill(module)?;
    run::fill(module)?;
    session::fill(module)?;
    approval::fill(module)
}

/// USD per million input, cached input and output tokens, by model.
type Prices = Vec<(String, (f64, f64, f64))>;

/// The plain settings of an agent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
    max_iterations: u32,
    max_parallel_tools: usize,
    timeout: Option<f64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_tokens: Option<u32>,
    stop: Vec<String>,
    seed: Option<i64>,
    reasoning_effort: Option<String>,
    thinking_budget: Option<u32>,
    tool_choice: String,
    /// Name, schema, whether it shall be forced.
    output: Option<(String, Value, bool)>,
    output_mode: Option<String>,
    output_retries: u32,
    extra_body: Option<Map<String, Value>>,
    metadata: Option<Map<String, Value>>,
    prices: Option<Prices>,
    prompt_cache: Vec<CachePoint>,
    watch_prompt: bool,
}

/// Somebody who may take over: an agent or a name, and what it is good for.
type HandoffTo<'py> = (Option<PyRef<'py, AgentCore>>, String, String);

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct AgentCore(pub(crate) BoxedAgent);

#[pymethods]
impl AgentCore {
    #[new]
    #[pyo3(signature = (client, model, *, settings, instructions, tools, memory, skills, buses, budget, handoffs, middleware, ledger,
        durable, grants, validate))]
    #[allow(clippy::too_many_arguments)] // called from one place, by keyword
    fn new(
        client: &InferenceClient,
        model: String,
        settings: &Bound<'_, PyAny>,
        instructions: Instructions<'_>,
        tools: Tools<'_>,
        memory: Option<&MemoryStrategyHandle>,
        skills: Option<&SkillStrategyHandle>,
        buses: Vec<PyRef<'_, EventBus>>,
        budget: Option<&Budget>,
        handoffs: Vec<HandoffTo<'_>>,
        middleware: Vec<Bound<'_, PyAny>>,
        ledger: Option<&ApprovalLedger>,
        durable: Option<&Durable>,
        grants: Option<Grants>,
        validate: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let settings: Settings = to_serde(settings).map_err(|error| config(error.to_string()))?;
        let mut options = settings.into_options()?;
        options.buses = buses.iter().map(|bus| bus.0.clone()).collect();
        options.budget = budget.map(|budget| budget.0).unwrap_or_default();
        options.handoffs = handoffs.into_iter().map(handoff).collect();
        options.middleware = middleware.iter().map(middleware::read).collect::<PyResult<_>>()?;
        if let Some(ledger) = ledger {
            options.ledger = Arc::clone(&ledger.0);
        }
        options.durable = durable.map(|durable| durable.0.clone());
        options.grants = grants.map(|grants| grants.0);
        if let Some(validate) = validate {
            let guest = Guest::wrap(validate.py(), &VALIDATOR, "output_type", validate, GuestOptions { inline: true })?;
            options.output_validator = Some(Arc::new(PythonValidator(guest)));
        }
        let built = AgentBuilder::new(Arc::clone(&client.0), model)
            .with_instructions(instructions.strategy())
            .with_tools(tools.strategy()?)
            .with_memory(
                memory.map_or_else(|| Arc::new(NoMemory) as Arc<dyn MemoryStrategy>, |given| Arc::clone(&given.0)),
            )
            .with_skills(skills.map_or_else(
                || Arc::new(StaticSkills::default()) as Arc<dyn SkillStrategy>,
                |given| Arc::clone(&given.0),
            ))
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
        run_id: Option<String>,
        py: Python<'_>,
    ) -> RunHandle {
        let copied = |messages: Vec<PyRef<'_, Message>>| messages.iter().map(|message| message.0.clone()).collect();
        let input = RunInput { messages: copied(input), history: copied(history) };
        self.start(What::New(input, run_id), deps, py)
    }

    fn resume(
        &self,
        pending: &PendingRun,
        decisions: Vec<PyRef<'_, Decision>>,
        deps: Py<PyAny>,
        py: Python<'_>,
    ) -> RunHandle {
        let decisions = decisions.iter().map(|decision| decision.0.clone()).collect();
        self.start(What::Resumed(Box::new(pending.0.clone()), decisions), deps, py)
    }

    fn resume_run(
        &self,
        run_id: String,
        decisions: Vec<PyRef<'_, Decision>>,
        deps: Py<PyAny>,
        py: Python<'_>,
    ) -> RunHandle {
        let decisions = decisions.iter().map(|decision| decision.0.clone()).collect();
        self.start(What::Kept(run_id, decisions), deps, py)
    }

    #[getter]
    fn durable(&self) -> Option<Durable> {
        self.0.durable().cloned().map(Durable)
    }

    fn replay(&self, py: Python<'_>, run_id: String, deps: Py<PyAny>) -> PyResult<Py<PyAny>> {
        let (agent, store) = (self.0.clone(), self.store()?);
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, Some(Deps(Arc::new(deps))));
            let _end = ctx.cancel.clone().drop_guard();
            agent.replay(&store, &run_id, &ctx).await.map(Replay).map_err(Fault)
        })
    }

    fn fork(
        &self,
        py: Python<'_>,
        run_id: String,
        at: Option<u64>,
        name: String,
        messages: Option<Vec<PyRef<'_, Message>>>,
        instructions: Option<String>,
    ) -> PyResult<Py<PyAny>> {
        let store = self.store()?;
        let messages = messages.map(|all| all.iter().map(|message| message.0.clone()).collect());
        let (edits, options) = (Edits { messages, instructions }, ForkOptions { name, ..ForkOptions::default() });
        let at = at.map_or(ForkAt::End, ForkAt::Seq);
        awaitable(py, move |_scope| async move {
            agent::fork_run(&store, &run_id, at, &options, &edits).await.map_err(Fault)
        })
    }

    fn resolve(&self, py: Python<'_>, run_id: String, key: &str, found: Resolution<'_>) -> PyResult<Py<PyAny>> {
        let (store, key, found) = (self.store()?, key_of(key)?, found.read()?);
        awaitable(py, move |_scope| async move { agent::resolve(&store, &run_id, &key, found).await.map_err(Fault) })
    }

    fn as_callable(&self) -> Callable {
        Callable(self.0.as_callable())
    }

    #[pyo3(signature = (*, name, description, timeout, requires_approval, max_concurrency))]
    fn as_tool(
        &self,
        name: &str,
        description: &str,
        timeout: Option<f64>,
        requires_approval: bool,
        max_concurrency: u32,
    ) -> PyResult<NativeTool> {
        let timeout = seconds::optional("timeout", timeout)?;
        let options = ToolOptions { timeout, retries: 0, requires_approval, max_concurrency };
        let tool = self.0.as_tool(description).with_name(name).with_options(options);
        Ok(NativeTool::of(Arc::new(CheckedTool::new(Arc::new(tool)).map_err(from_kinded)?)))
    }
}

impl AgentCore {
    fn store(&self) -> PyResult<Arc<dyn Store>> {
        let durable = self.0.durable().map(|durable| Arc::clone(&durable.store));
        durable.ok_or_else(|| config("the agent has no store; give it one with Agent(..., store=...)"))
    }

    fn start(&self, what: What, deps: Py<PyAny>, py: Python<'_>) -> RunHandle {
        let deps = (!deps.is_none(py)).then(|| Deps(Arc::new(deps)));
        RunHandle::new(Start { agent: self.0.clone(), what, deps, outer: served(py) })
    }
}

fn handoff((agent, name, description): HandoffTo<'_>) -> Handoff {
    match agent {
        Some(agent) => Handoff::to(agent.0.clone(), &description),
        None => Handoff::to_name(&name, &description),
    }
}

impl Settings {
    fn into_options(self) -> PyResult<AgentOptions> {
        let mode = |name: String| {
            let known = OutputMode::ALL.iter().copied().find(|mode| mode.as_str() == name);
            known.ok_or_else(|| config(format!("output_mode must be native, tool or prompted, not {name:?}")))
        };
        Ok(AgentOptions {
            name: self.name,
            max_iterations: self.max_iterations,
            max_parallel_tools: self.max_parallel_tools,
            timeout: seconds::optional("timeout", self.timeout)?,
            sampling: Sampling {
                temperature: self.temperature,
                top_p: self.top_p,
                max_tokens: self.max_tokens,
                stop: self.stop,
                seed: self.seed,
                reasoning_effort: self.reasoning_effort,
                thinking_budget: self.thinking_budget,
            },
            tool_choice: match self.tool_choice.as_str() {
                "auto" => ToolChoice::Auto,
                "none" => ToolChoice::None,
                "required" => ToolChoice::Required,
                tool => ToolChoice::Tool(tool.to_owned()),
            },
            output: self.output.map(|(name, schema, strict)| OutputSchema { name, schema, strict }),
            output_mode: self.output_mode.map(mode).transpose()?,
            output_retries: self.output_retries,
            extra_body: self.extra_body.unwrap_or_default(),
            metadata: self.metadata.unwrap_or_default(),
            cache: self.prompt_cache,
            watch_prompt: self.watch_prompt,
            ..match self.prices {
                None => AgentOptions::default(),
                Some(prices) => AgentOptions { prices: price_table(prices)?, ..AgentOptions::default() },
            }
        })
    }
}

fn price_table(prices: Prices) -> PyResult<Arc<PriceTable>> {
    let mut table = PriceTable::builtin();
    for (model, (input, cached, output)) in prices {
        let micro = |usd: f64| money(&format!("the price of {model} per million tokens"), usd);
        let (input, cached, output) = (micro(input)?, micro(cached)?, micro(output)?);
        let price = Price::new(input.micro_usd(), cached.micro_usd(), output.micro_usd());
        table = table.with_price(&model, price);
    }
    Ok(Arc::new(table))
}

/// What turns an answer into a value of the output type, and says what is wrong with it.
static VALIDATOR: KindRow = KindRow {
    kind: "output",
    decorator: "output_type",
    adapter: "PythonValidator",
    methods: &[MethodRow { name: "decode", verb: Verb::Call, required: true, itself: true, params: &["value"] }],
};

#[derive(Debug)]
struct PythonValidator(Guest);

impl OutputValidator for PythonValidator {
    fn validate<'a>(&'a self, value: &'a Value, ctx: &'a CallCtx) -> BoxFuture<'a, Result<(), String>> {
        let given = value.clone();
        let args = arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, [json::to_py(py, &given)?])?)));
        let called = self.0.call("decode", args, to_object, serving(ctx).as_ref());
        Box::pin(async move {
            match called.await {
                Ok(_) => Ok(()),
                Err(GuestError::Raised(raised)) => Err(raised.message().to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

/// Reads a structured answer while it is being written.
#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct PartialOutput(Mutex<agent::PartialOutput>);

#[pymethods]
impl PartialOutput {
    #[new]
    fn new(schema: &Bound<'_, PyAny>) -> PyResult<Self> {
        let schema: Value = json::from_py(schema)?;
        Ok(Self(Mutex::new(agent::PartialOutput::new(&schema).map_err(from_kinded)?)))
    }

    fn feed<'py>(&self, py: Python<'py>, text: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        // Making the Python object may let another thread run that waits for the lock.
        let value = self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text).cloned();
        value.map(|value| json::to_py(py, &value)).transpose()
    }

    fn restart(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).restart();
    }
}
