//! Agents and how they are built.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use atomr_agents_core::{CallCtx, Money};
use atomr_agents_inference::InferenceClient;
use atomr_agents_observability::RunEvents;
use atomr_agents_strategy::{
    InstructionStrategy, MemoryStrategy, NoMemory, SkillStrategy, StaticInstructions, StaticSkills, StaticTools,
    ToolStrategy,
};

use crate::driver::Driver;
use crate::engine::Engine;
use crate::output::OutputCheck;
use crate::run::RunState;
use crate::{AgentError, AgentOptions, Machine, Run, RunError, RunInput, RunResult, Transcript};

/// Remembers the types of the strategies without holding any.
type Strategies<I, T, Ms, Sk> = PhantomData<fn() -> (I, T, Ms, Sk)>;

/// An agent whose strategies are known by type: `I` instructions, `T` tools, `Ms` memory, `Sk` skills. It runs on
/// the same engine as [`BoxedAgent`], to which it dereferences.
#[derive(Debug)]
pub struct Agent<I = StaticInstructions, T = StaticTools, Ms = NoMemory, Sk = StaticSkills> {
    inner: BoxedAgent,
    strategies: Strategies<I, T, Ms, Sk>,
}

impl<I, T, Ms, Sk> Clone for Agent<I, T, Ms, Sk> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), strategies: PhantomData }
    }
}

impl<I, T, Ms, Sk> Deref for Agent<I, T, Ms, Sk> {
    type Target = BoxedAgent;

    fn deref(&self) -> &BoxedAgent {
        &self.inner
    }
}

impl<I, T, Ms, Sk> From<Agent<I, T, Ms, Sk>> for BoxedAgent {
    fn from(agent: Agent<I, T, Ms, Sk>) -> Self {
        agent.inner
    }
}

/// An agent whose strategies are known by their traits only. Cheap to clone; runs share nothing but the client.
#[derive(Clone, Debug)]
pub struct BoxedAgent {
    pub(crate) engine: Arc<Engine>,
}

impl BoxedAgent {
    /// The agent's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.engine.options.name
    }

    /// The model it calls.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.engine.model
    }

    /// Begins a run without starting it. A context that has listeners of its own makes it a run inside another
    /// run: its events join the outer stream, one step deeper in the path.
    pub fn begin(&self, input: impl Into<RunInput>, ctx: CallCtx) -> Run {
        let input = input.into();
        let turn = input.turn();
        let (ctx, events) = if ctx.has_sink() {
            (ctx.child(self.name()), None)
        } else {
            let events = Arc::new(RunEvents::new(self.engine.options.buses.iter().cloned()));
            (ctx.scoped().with_sink(events.clone()), Some(events))
        };
        let machine = Machine::new(input.history, input.messages, self.engine.options.max_iterations);
        let state = RunState { machine, streaming: None, cost: Some(Money::default()) };
        let transcript = Transcript { run: ctx.run, state: Arc::new(Mutex::new(state)) };
        let driver = Driver {
            engine: Arc::clone(&self.engine),
            transcript: transcript.clone(),
            turn,
            ctx,
            events: events.clone(),
        };
        Run { transcript, events, future: Box::pin(driver.run()) }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// [`RunError`], which holds what had been produced.
    pub async fn run(&self, input: impl Into<RunInput>, ctx: CallCtx) -> Result<RunResult, RunError> {
        self.begin(input, ctx).await
    }
}

/// Builds an [`Agent`]. Without further words it has no instructions, no tools, no memory and no skills.
#[derive(Debug)]
pub struct AgentBuilder<I = StaticInstructions, T = StaticTools, Ms = NoMemory, Sk = StaticSkills> {
    client: ClientSlot,
    model: String,
    instructions: I,
    tools: T,
    memory: Ms,
    skills: Sk,
    options: AgentOptions,
}

struct ClientSlot(Arc<dyn InferenceClient>);

impl std::fmt::Debug for ClientSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.provider())
    }
}

impl AgentBuilder {
    /// An agent that calls `model` through `client`.
    pub fn new(client: Arc<dyn InferenceClient>, model: impl Into<String>) -> Self {
        Self {
            client: ClientSlot(client),
            model: model.into(),
            instructions: StaticInstructions::default(),
            tools: StaticTools::default(),
            memory: NoMemory,
            skills: StaticSkills::default(),
            options: AgentOptions::default(),
        }
    }

    /// What the model is told to be.
    #[must_use]
    pub fn instructions(mut self, text: &str) -> Self {
        self.instructions = StaticInstructions::new(text);
        self
    }
}

impl<I, T, Ms, Sk> AgentBuilder<I, T, Ms, Sk>
where
    I: InstructionStrategy,
    T: ToolStrategy,
    Ms: MemoryStrategy,
    Sk: SkillStrategy,
{
    /// The same agent with another instruction strategy.
    pub fn with_instructions<I2: InstructionStrategy>(self, instructions: I2) -> AgentBuilder<I2, T, Ms, Sk> {
        let Self { client, model, tools, memory, skills, options, .. } = self;
        AgentBuilder { client, model, instructions, tools, memory, skills, options }
    }

    /// The same agent with another tool strategy.
    pub fn with_tools<T2: ToolStrategy>(self, tools: T2) -> AgentBuilder<I, T2, Ms, Sk> {
        let Self { client, model, instructions, memory, skills, options, .. } = self;
        AgentBuilder { client, model, instructions, tools, memory, skills, options }
    }

    /// The same agent with another memory strategy.
    pub fn with_memory<M2: MemoryStrategy>(self, memory: M2) -> AgentBuilder<I, T, M2, Sk> {
        let Self { client, model, instructions, tools, skills, options, .. } = self;
        AgentBuilder { client, model, instructions, tools, memory, skills, options }
    }

    /// The same agent with another skill strategy.
    pub fn with_skills<S2: SkillStrategy>(self, skills: S2) -> AgentBuilder<I, T, Ms, S2> {
        let Self { client, model, instructions, tools, memory, options, .. } = self;
        AgentBuilder { client, model, instructions, tools, memory, skills, options }
    }

    /// The same agent, run another way.
    #[must_use]
    pub fn with_options(mut self, options: AgentOptions) -> Self {
        self.options = options;
        self
    }

    /// The agent.
    ///
    /// # Errors
    /// [`AgentError::Config`] for a setting that makes no sense.
    pub fn build(self) -> Result<Agent<I, T, Ms, Sk>, AgentError> {
        let engine = Engine {
            client: self.client.0,
            model: self.model,
            instructions: Arc::new(self.instructions),
            tools: Arc::new(self.tools),
            memory: Arc::new(self.memory),
            skills: Arc::new(self.skills),
            output: self.options.output.clone().map(OutputCheck::new),
            options: self.options,
        };
        engine.check()?;
        Ok(Agent { inner: BoxedAgent { engine: Arc::new(engine) }, strategies: PhantomData })
    }
}
