//! Dags put together in Python, and their runs.

use std::sync::Arc;

use atomr_agents_core::{RunId, Value};
use atomr_agents_py_bridge::{Json, json, stepping};
use atomr_agents_state::{EffectClass, MemoryStore, Store};
use atomr_agents_workflow::{
    Approval, Dag, InputMapping, JoinStrategy, RunOptions, RunnerOptions, Source, Step, StepOptions, WorkflowError,
    WorkflowOutcome, WorkflowRunner,
};
use pyo3::prelude::*;

use super::answer::commands;
use super::outcome::{Asked, asked};
use crate::callable::Callable;
use crate::context::{call_ctx, served};
use crate::errors::{Fault, config};
use crate::state::store_of;

#[pyclass(frozen, from_py_object, module = "atomr_agents._native.workflow")]
#[derive(Clone)]
pub(crate) struct DagStep(Step);

#[pymethods]
impl DagStep {
    #[staticmethod]
    fn invoke(callable: Callable, effect: &str) -> PyResult<Self> {
        Ok(Self(Step::Invoke { callable: callable.0, effect: effect_of(effect)? }))
    }

    #[staticmethod]
    fn branch(predicate: Callable, if_true: String, if_false: String) -> Self {
        Self(Step::Branch { predicate: predicate.0, if_true, if_false })
    }

    #[staticmethod]
    fn parallel(steps: Vec<(String, Self)>, any: bool) -> Self {
        let steps = steps.into_iter().map(|(name, step)| (name, step.0)).collect();
        Self(Step::Parallel { steps, join: join(any) })
    }

    #[staticmethod]
    fn repeat(body: Self, again: Callable, max_rounds: u32) -> Self {
        Self(Step::Loop { body: Box::new(body.0), again: again.0, max_rounds })
    }

    #[staticmethod]
    fn map(body: Self, concurrency: usize) -> Self {
        Self(Step::Map { body: Box::new(body.0), concurrency })
    }

    #[staticmethod]
    fn human(prompt: String, context: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Step::Human { approval: Approval { prompt, context: json::from_py(context)? } }))
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

fn join(any: bool) -> JoinStrategy {
    if any { JoinStrategy::Any } else { JoinStrategy::All }
}

/// What happens when something is done twice.
pub(super) fn effect_of(name: &str) -> PyResult<EffectClass> {
    match name {
        "none" => Ok(EffectClass::None),
        "idempotent" => Ok(EffectClass::Idempotent),
        "once" => Ok(EffectClass::Once),
        other => Err(config(format!("effect is none, idempotent or once, not {other:?}"))),
    }
}

/// A part of a step's input: its key, where it is from (`input`, `step`, `value`), the step, and the pointer or the value.
type Part<'py> = (Option<String>, String, String, Bound<'py, PyAny>);

fn mapping(parts: Vec<Part<'_>>) -> PyResult<InputMapping> {
    let mut all = Vec::new();
    for (key, from, step, rest) in parts {
        let source = match from.as_str() {
            "input" => Source::Input(rest.extract()?),
            "step" => Source::Step(step, rest.extract()?),
            _ => Source::Value(json::from_py(&rest)?),
        };
        match key {
            None => return Ok(InputMapping::One(source)),
            Some(key) => all.push((key, source)),
        }
    }
    Ok(InputMapping::Object(all))
}

/// Name, step, what it is given, whether the first of those before it is enough, and its version.
type StepPlan<'py> = (String, DagStep, Option<Vec<Part<'py>>>, bool, String);

/// A dag as Python describes it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct DagPlan<'py> {
    steps: Vec<StepPlan<'py>>,
    edges: Vec<(String, String)>,
    entry: Option<String>,
    store: Option<Bound<'py, PyAny>>,
    max_steps: Option<u64>,
}

#[pyclass(frozen, module = "atomr_agents._native.workflow")]
pub(crate) struct DagRunner(WorkflowRunner<Value>);

#[pymethods]
impl DagRunner {
    #[new]
    fn new(name: &str, plan: DagPlan<'_>) -> PyResult<Self> {
        let mut builder = Dag::<Value>::builder(name);
        for (name, step, input, any, version) in plan.steps {
            let mut options = StepOptions { join: join(any), ..StepOptions::default() };
            options.node.version = version;
            if let Some(parts) = input {
                options.input = mapping(parts)?;
            }
            builder = builder.step_with(&name, step.0, options);
        }
        for (from, to) in &plan.edges {
            builder = builder.edge(from, to);
        }
        if let Some(entry) = &plan.entry {
            builder = builder.entry(entry);
        }
        let dag = builder.build().map_err(|error| Fault(WorkflowError::Graph(error)))?;
        let store: Arc<dyn Store> = match &plan.store {
            Some(store) => store_of(store)?,
            None => Arc::new(MemoryStore::new()),
        };
        let mut options = RunnerOptions::default();
        options.max_steps = plan.max_steps.unwrap_or(options.max_steps);
        Ok(Self(WorkflowRunner::with_store(dag, store, options)))
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.dag().graph().name()
    }

    #[getter]
    fn version(&self) -> &str {
        self.0.dag().graph().version()
    }

    fn mermaid(&self) -> String {
        self.0.dag().graph().mermaid()
    }

    fn svg(&self) -> String {
        self.0.dag().graph().svg()
    }

    fn as_callable(&self) -> Callable {
        Callable(Arc::new(self.0.clone()))
    }

    fn run(&self, py: Python<'_>, input: &Bound<'_, PyAny>, run_id: Option<String>) -> PyResult<Py<PyAny>> {
        let (runner, input) = (self.0.clone(), json::from_py(input)?);
        let name = Some(run_id.unwrap_or_else(|| RunId::new().to_string()));
        start(py, move |options| async move { runner.run(input, RunOptions { name, ..options }).await })
    }

    /// Goes on with a run; `command` is a `Command`, or None to go on as it is.
    fn resume(&self, py: Python<'_>, run_id: String, command: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let said = command.map(commands).transpose().map_err(|bad| config(bad.message))?.unwrap_or_default();
        let runner = self.0.clone();
        start(py, move |options| async move { runner.resume(&run_id, said, options).await })
    }
}

fn start<W, F>(py: Python<'_>, work: W) -> PyResult<Py<PyAny>>
where
    W: FnOnce(RunOptions) -> F + Send + 'static,
    F: Future<Output = Result<WorkflowOutcome, WorkflowError>> + Send + 'static,
{
    let outer = served(py);
    stepping(py, move |scope| async move {
        let ctx = match outer {
            None => call_ctx(&scope, None),
            Some(outer) => outer.scoped().with(scope),
        };
        let end = ctx.cancel.clone().drop_guard();
        let outcome = work(RunOptions { ctx: Some(ctx), ..RunOptions::default() }).await.map_err(Fault)?;
        end.disarm();
        Ok::<_, Fault<WorkflowError>>(DagOutcome(outcome))
    })
}

#[pyclass(frozen, module = "atomr_agents._native.workflow")]
pub(crate) struct DagOutcome(WorkflowOutcome);

#[pymethods]
impl DagOutcome {
    #[getter]
    fn run_id(&self) -> &str {
        &self.0.run
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.0.status.as_str()
    }

    #[getter]
    fn output(&self) -> Option<Json> {
        self.0.output.clone().map(Json)
    }

    #[getter]
    fn outputs(&self) -> Json {
        Json(Value::Object(self.0.outputs.iter().map(|(name, value)| (name.clone(), value.clone())).collect()))
    }

    #[getter]
    fn ran(&self) -> Vec<String> {
        self.0.ran.clone()
    }

    fn interrupts<'py>(&self, py: Python<'py>) -> PyResult<Vec<Asked<'py>>> {
        asked(py, &self.0.interrupts)
    }
}
