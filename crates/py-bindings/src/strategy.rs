//! `_native.strategy`: strategies written in Python, and those that always answer the same.

use std::future::Future;
use std::sync::Arc;

use atomr_agents_core::{self as core, AgentContext, CallCtx, TurnInput};
use atomr_agents_py_bridge::{
    Args, BadShape, Guest, GuestError, GuestInstructionStrategy, GuestMemoryStrategy, GuestOptions, GuestSkillStrategy,
    GuestToolStrategy, IntoReply, Json, arguments, awaitable, to_json,
};
use atomr_agents_strategy::{
    InstructionStrategy, KeywordTools, MemoryChunk, MemoryStrategy, Skill, SkillStrategy, StaticInstructions,
    StaticSkills, StaticTools, StrategyError, StrategyFuture, ToolStrategy,
};
use atomr_agents_tool::{CheckedTool, Toolbox};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::{Deps, call_ctx, serving, strategy_context};
use crate::core::{Message, messages};
use crate::errors::{Fault, from_kinded, guest_kind};
use crate::tool::NativeTool;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<InstructionStrategyHandle>()?;
    module.add_class::<ToolStrategyHandle>()?;
    module.add_class::<MemoryStrategyHandle>()?;
    module.add_class::<SkillStrategyHandle>()
}

/// Makes the arguments of a method: what it is asked about, and for `store` the messages.
fn asked(
    about: &AgentContext,
    ctx: &CallCtx,
    said: Option<&[core::Message]>,
) -> impl for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static {
    let (about, ctx, said) = (about.clone(), ctx.clone(), said.map(messages));
    arguments(move |py: Python<'_>| {
        let mut all = vec![strategy_context(py, about, &ctx)?];
        if let Some(said) = said {
            all.push(said.into_pyobject(py)?.into_any());
        }
        Ok(Args::positional(PyTuple::new(py, all)?))
    })
}

/// Waits for a guest's answer; its failure is that of the strategy.
pub(crate) async fn answer<T>(
    family: &'static str,
    guest: &Guest,
    running: impl Future<Output = Result<T, GuestError>>,
) -> Result<T, StrategyError> {
    running.await.map_err(|error| StrategyError::Failed {
        family,
        kind: guest_kind(&error),
        message: format!("{:?}: {error}", guest.key()),
        source: Some(Arc::new(error)),
    })
}

/// What Python makes of an answer that may be written in several ways.
fn read<'py>(value: &Bound<'py, PyAny>, reader: &str) -> Result<Bound<'py, PyAny>, BadShape> {
    let py = value.py();
    let read = py.import("atomr_agents._strategies").and_then(|module| module.call_method1(reader, (value,)));
    read.map_err(|error| match error.value(py).str() {
        Ok(text) => BadShape::new(text.to_string()),
        Err(_) => BadShape::from(error),
    })
}

pub(crate) fn shape(wanted: &str, value: &Bound<'_, PyAny>) -> BadShape {
    let class = value.get_type().qualname().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    BadShape::new(format!("expected {wanted}, got {class}"))
}

struct PythonInstructions(GuestInstructionStrategy);

impl InstructionStrategy for PythonInstructions {
    fn render<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, String> {
        let text = |value: &Bound<'_, PyAny>| match value.cast::<PyString>() {
            Ok(text) => Ok(text.to_str()?.to_owned()),
            Err(_) => Err(shape("text (empty for no instructions)", value)),
        };
        let running = self.0.render(asked(context, ctx, None), text, serving(ctx).as_ref());
        Box::pin(answer("instruction", &self.0, running))
    }
}

struct PythonTools(GuestToolStrategy);

impl ToolStrategy for PythonTools {
    fn select<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Arc<Toolbox>> {
        let tools = |value: &Bound<'_, PyAny>| {
            let tools: Vec<PyRef<'_, NativeTool>> = read(value, "tools_of")?.extract()?;
            Ok(checked(&tools))
        };
        let running = self.0.select(asked(context, ctx, None), tools, serving(ctx).as_ref());
        Box::pin(async move { Ok(Arc::new(Toolbox::from_checked(answer("tool", &self.0, running).await?)?)) })
    }
}

pub(crate) fn checked(tools: &[PyRef<'_, NativeTool>]) -> Vec<Arc<CheckedTool>> {
    tools.iter().map(|tool| Arc::clone(&tool.checked)).collect()
}

struct PythonMemory(GuestMemoryStrategy);

/// Something remembered, as Python may write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Remembered {
    Text(String),
    Chunk {
        text: String,
        #[serde(default, alias = "source_id")]
        source: String,
    },
}

impl MemoryStrategy for PythonMemory {
    fn retrieve<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<MemoryChunk>> {
        let chunks = |value: &Bound<'_, PyAny>| {
            let wrong = |_| shape("a list of texts, or of dicts with `text` and perhaps `source`", value);
            let all: Vec<Remembered> = serde_json::from_value(to_json(value)?).map_err(wrong)?;
            let chunk = |one| match one {
                Remembered::Text(text) => MemoryChunk { source: String::new(), text },
                Remembered::Chunk { text, source } => MemoryChunk { source, text },
            };
            Ok(all.into_iter().map(chunk).collect())
        };
        let running = self.0.retrieve(asked(context, ctx, None), chunks, serving(ctx).as_ref());
        Box::pin(answer("memory", &self.0, running))
    }

    fn store<'a>(
        &'a self,
        context: &'a AgentContext,
        messages: &'a [core::Message],
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, ()> {
        if !self.0.has("store") {
            return Box::pin(async { Ok(()) });
        }
        // What it returns says nothing: a function of one line often returns something.
        let running = self.0.store(asked(context, ctx, Some(messages)), |_| Ok(()), serving(ctx).as_ref());
        Box::pin(answer("memory", &self.0, running))
    }
}

struct PythonSkills(GuestSkillStrategy);

/// Name, instructions and tools of a skill.
type SkillParts<'py> = (String, String, Vec<PyRef<'py, NativeTool>>);

fn skill((name, instructions, tools): SkillParts<'_>) -> Skill {
    Skill { name, instructions, tools: checked(&tools) }
}

impl SkillStrategy for PythonSkills {
    fn applicable<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<Arc<Skill>>> {
        let skills = |value: &Bound<'_, PyAny>| {
            let parts: Vec<SkillParts<'_>> = read(value, "skills_of")?.extract()?;
            Ok(parts.into_iter().map(|parts| Arc::new(skill(parts))).collect())
        };
        let running = self.0.applicable(asked(context, ctx, None), skills, serving(ctx).as_ref());
        Box::pin(answer("skill", &self.0, running))
    }
}

/// One message or several, or the text of one.
#[derive(FromPyObject)]
enum Prompt<'py> {
    Text(String),
    One(PyRef<'py, Message>),
    Several(Vec<PyRef<'py, Message>>),
}

impl Prompt<'_> {
    fn messages(self) -> Vec<core::Message> {
        match self {
            Self::Text(text) => vec![core::Message::user(text)],
            Self::One(message) => vec![message.0.clone()],
            Self::Several(all) => all.iter().map(|message| message.0.clone()).collect(),
        }
    }
}

/// What a strategy is asked outside of a run.
struct Question {
    turn: TurnInput,
    deps: Option<Deps>,
}

impl Question {
    fn new(prompt: Prompt<'_>, history: Option<Vec<PyRef<'_, Message>>>, deps: Option<Py<PyAny>>) -> Self {
        let history = history.iter().flatten().map(|message| message.0.clone()).collect();
        Self { turn: TurnInput { input: prompt.messages(), history }, deps: deps.map(|deps| Deps(Arc::new(deps))) }
    }

    /// A coroutine that asks it.
    fn ask<W, F, T>(self, py: Python<'_>, work: W) -> PyResult<Py<PyAny>>
    where
        W: FnOnce(AgentContext, CallCtx) -> F + Send + 'static,
        F: Future<Output = Result<T, StrategyError>> + Send + 'static,
        T: IntoReply,
    {
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, self.deps);
            let _end = ctx.cancel.clone().drop_guard();
            let about = AgentContext { agent: String::new(), run: ctx.run, turn: self.turn };
            work(about, ctx).await.map_err(Fault)
        })
    }
}

#[pyclass(frozen, module = "atomr_agents._native.strategy")]
pub(crate) struct InstructionStrategyHandle(Arc<dyn InstructionStrategy>);

#[pymethods]
impl InstructionStrategyHandle {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestInstructionStrategy::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self(Arc::new(PythonInstructions(guest))))
    }

    #[pyo3(signature = (prompt, *, history = None, deps = None))]
    fn render(
        &self,
        py: Python<'_>,
        prompt: Prompt<'_>,
        history: Option<Vec<PyRef<'_, Message>>>,
        deps: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let strategy = Arc::clone(&self.0);
        Question::new(prompt, history, deps)
            .ask(py, move |about, ctx| async move { strategy.render(&about, &ctx).await })
    }
}

#[pyclass(frozen, module = "atomr_agents._native.strategy")]
pub(crate) struct ToolStrategyHandle(pub(crate) Arc<dyn ToolStrategy>);

#[pymethods]
impl ToolStrategyHandle {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestToolStrategy::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self(Arc::new(PythonTools(guest))))
    }

    /// The same tools for every run, or those that the keywords call for.
    #[staticmethod]
    fn fixed(tools: Vec<PyRef<'_, NativeTool>>, keywords: Option<Vec<(String, Vec<String>)>>) -> PyResult<Self> {
        let fixed = StaticTools::from(Toolbox::from_checked(checked(&tools)).map_err(from_kinded)?);
        let Some(keywords) = keywords else { return Ok(Self(Arc::new(fixed))) };
        Ok(Self(Arc::new(KeywordTools::new(fixed, keywords).map_err(from_kinded)?)))
    }

    #[pyo3(signature = (prompt, *, history = None, deps = None))]
    fn select(
        &self,
        py: Python<'_>,
        prompt: Prompt<'_>,
        history: Option<Vec<PyRef<'_, Message>>>,
        deps: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let strategy = Arc::clone(&self.0);
        Question::new(prompt, history, deps).ask(py, move |about, ctx| async move {
            let chosen = strategy.select(&about, &ctx).await?;
            Ok(chosen.specs().iter().map(|spec| spec.name.clone()).collect::<Vec<_>>())
        })
    }
}

#[pyclass(frozen, module = "atomr_agents._native.strategy")]
pub(crate) struct MemoryStrategyHandle(pub(crate) Arc<dyn MemoryStrategy>);

#[pymethods]
impl MemoryStrategyHandle {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestMemoryStrategy::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self(Arc::new(PythonMemory(guest))))
    }

    #[pyo3(signature = (prompt, *, history = None, deps = None))]
    fn retrieve(
        &self,
        py: Python<'_>,
        prompt: Prompt<'_>,
        history: Option<Vec<PyRef<'_, Message>>>,
        deps: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let strategy = Arc::clone(&self.0);
        Question::new(prompt, history, deps).ask(py, move |about, ctx| async move {
            let chunks = strategy.retrieve(&about, &ctx).await?;
            Ok(Json(chunks.iter().map(|chunk| json!({"source": chunk.source, "text": chunk.text})).collect()))
        })
    }

    #[pyo3(signature = (prompt, messages, *, history = None, deps = None))]
    fn store(
        &self,
        py: Python<'_>,
        prompt: Prompt<'_>,
        messages: Vec<PyRef<'_, Message>>,
        history: Option<Vec<PyRef<'_, Message>>>,
        deps: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let strategy = Arc::clone(&self.0);
        let said: Vec<core::Message> = messages.iter().map(|message| message.0.clone()).collect();
        Question::new(prompt, history, deps)
            .ask(py, move |about, ctx| async move { strategy.store(&about, &said, &ctx).await })
    }
}

#[pyclass(frozen, module = "atomr_agents._native.strategy")]
pub(crate) struct SkillStrategyHandle(pub(crate) Arc<dyn SkillStrategy>);

#[pymethods]
impl SkillStrategyHandle {
    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestSkillStrategy::wrap(target.py(), key, target, GuestOptions::default())?;
        Ok(Self(Arc::new(PythonSkills(guest))))
    }

    /// The same skills for every run.
    #[staticmethod]
    fn fixed(skills: Vec<SkillParts<'_>>) -> Self {
        Self(Arc::new(StaticSkills::new(skills.into_iter().map(skill).collect())))
    }

    #[pyo3(signature = (prompt, *, history = None, deps = None))]
    fn applicable(
        &self,
        py: Python<'_>,
        prompt: Prompt<'_>,
        history: Option<Vec<PyRef<'_, Message>>>,
        deps: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let strategy = Arc::clone(&self.0);
        Question::new(prompt, history, deps).ask(py, move |about, ctx| async move {
            let skills = strategy.applicable(&about, &ctx).await?;
            let told = |skill: &Arc<Skill>| {
                let tools: Vec<&str> = skill.tools.iter().map(|tool| tool.tool().spec().name.as_str()).collect();
                json!({"name": skill.name, "instructions": skill.instructions, "tools": tools})
            };
            Ok(Json(skills.iter().map(told).collect::<Value>()))
        })
    }
}

/// The instructions of an agent: a text, or what writes one.
#[derive(FromPyObject)]
pub(crate) enum Instructions<'py> {
    Strategy(PyRef<'py, InstructionStrategyHandle>),
    Text(String),
}

impl Instructions<'_> {
    pub(crate) fn strategy(self) -> Arc<dyn InstructionStrategy> {
        match self {
            Self::Strategy(given) => Arc::clone(&given.0),
            Self::Text(text) => Arc::new(StaticInstructions::new(text)),
        }
    }
}

/// The tools of an agent: some, or what selects some.
#[derive(FromPyObject)]
pub(crate) enum Tools<'py> {
    Strategy(PyRef<'py, ToolStrategyHandle>),
    Fixed(Vec<PyRef<'py, NativeTool>>),
}

impl Tools<'_> {
    pub(crate) fn strategy(self) -> PyResult<Arc<dyn ToolStrategy>> {
        match self {
            Self::Strategy(given) => Ok(Arc::clone(&given.0)),
            Self::Fixed(tools) => {
                let toolbox = Toolbox::from_checked(checked(&tools)).map_err(from_kinded)?;
                Ok(Arc::new(StaticTools::from(toolbox)))
            }
        }
    }
}
