//! Agents and how they are built.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};

use atomr_agents_core::{CallCtx, EventKind, EventSink, Money, Role, RunId, TurnInput};
use atomr_agents_inference::InferenceClient;
use atomr_agents_observability::RunEvents;
use atomr_agents_state::Journal;
use atomr_agents_strategy::{
    InstructionStrategy, MemoryStrategy, NoMemory, SkillStrategy, StaticInstructions, StaticSkills, StaticTools,
    ToolStrategy,
};
use atomr_agents_tool::CheckedTool;

use crate::bill::Bill;
use crate::driver::{Driver, Resumed};
use crate::durable::{Kept, Where, recorder, scope_of};
use crate::engine::Engine;
use crate::handoff;
use crate::output::OutputCheck;
use crate::run::RunState;
use crate::{
    AgentError, AgentOptions, Decision, Durable, Machine, OnChange, PendingRun, Run, RunError, RunInput, RunResult,
    Transcript,
};

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

    /// Where its runs are kept, if they are.
    #[must_use]
    pub fn durable(&self) -> Option<&Durable> {
        self.engine.options.durable.as_ref()
    }

    /// Begins a run without starting it. A context that has listeners of its own makes it a run inside another
    /// run: its events join the outer stream, one step deeper in the path.
    ///
    /// With [`AgentOptions::durable`] it is kept, under the text of its id; inside a run that is kept it is recorded there.
    pub fn begin(&self, input: impl Into<RunInput>, ctx: CallCtx) -> Run {
        let kept = match (scope_of(&ctx), &self.engine.options.durable) {
            (Some(scope), _) => Kept::Scope(scope),
            (None, Some(durable)) => Kept::New(Where::Named(Box::new(durable.clone()), String::new())),
            (None, None) => Kept::No,
        };
        self.begin_kept(input.into(), kept, ctx)
    }

    /// As [`BoxedAgent::begin`], kept under this name: [`BoxedAgent::resume_run`] goes on with it. A name that is used ends
    /// the run with [`atomr_agents_state::RunLogError::Exists`] before anything happens.
    pub fn begin_as(&self, name: &str, input: impl Into<RunInput>, ctx: CallCtx) -> Run {
        self.begin_kept(input.into(), self.named(name).map_or(Kept::Nowhere, Kept::New), ctx)
    }

    /// The next turn of a run whose log is open, which is let go by whoever opened it. The history of the input is what the
    /// log has already; where its transcript was changed since, the log has a checkpoint that says so.
    pub fn begin_in(&self, journal: Journal, input: impl Into<RunInput>, ctx: CallCtx) -> Run {
        self.begin_kept(input.into(), Kept::New(Where::Open(journal, OnChange::default())), ctx)
    }

    /// Goes on with a run that was begun under this name, in whatever process: one that was killed, cancelled, failed or
    /// put away. What is recorded is not done again; what has no outcome is, unless it must not happen twice. Where calls wait
    /// for somebody's word, `decisions` may say what is to be done with them; without any the run is suspended again.
    ///
    /// It ends with [`AgentError::Log`] where it cannot go on: there is no such run, it is over, somebody else is at it, it
    /// was begun by another version of the agent, or nobody knows whether a call happened ([`crate::resolve`]).
    pub fn resume_run(&self, name: &str, decisions: &[Decision], ctx: CallCtx) -> Run {
        let kept = self.named(name).map_or(Kept::Nowhere, |place| Kept::GoOn(place, decisions.to_vec()));
        self.begin_kept(RunInput::default(), kept, ctx)
    }

    /// As [`BoxedAgent::resume_run`], with the last turn of a run whose log is open; whoever opened it lets it go.
    pub fn resume_in(&self, journal: Journal, on_change: OnChange, decisions: &[Decision], ctx: CallCtx) -> Run {
        let kept = Kept::GoOn(Where::Open(journal, on_change), decisions.to_vec());
        self.begin_kept(RunInput::default(), kept, ctx)
    }

    fn named(&self, name: &str) -> Option<Where> {
        let durable = self.engine.options.durable.clone()?;
        Some(Where::Named(Box::new(durable), name.to_owned()))
    }

    pub(crate) fn begin_kept(&self, input: RunInput, kept: Kept, ctx: CallCtx) -> Run {
        let turn = input.turn();
        let machine = Machine::new(input.history, input.messages, self.engine.options.max_iterations);
        let state = RunState { run: ctx.run, machine, bill: Bill::new(Some(Money::default())) };
        // Not the id of the run: runs inside another one share that.
        self.start(state, turn, RunId::new(), None, kept, ctx)
    }

    /// The same context, in which a run inside another one has events of its own as well: they can be subscribed to, and
    /// join the outer stream all the same.
    #[must_use]
    pub fn heard(ctx: CallCtx) -> CallCtx {
        ctx.with(Heard(true))
    }

    /// Takes a suspended run up again, in whatever process, with decisions about the calls that wait. Calls that nobody
    /// decided about go on waiting: the run is suspended again after the others have run. The run is begun without
    /// being started, as by [`BoxedAgent::begin`]; decisions that fit no call, or that were used before, end it with
    /// [`crate::ApprovalError`] before anything is run.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use atomr_agents_agent::{AgentBuilder, PendingRun};
    /// use atomr_agents_core::CallCtx;
    /// use atomr_agents_strategy::StaticTools;
    /// use atomr_agents_testkit::ScriptedModel;
    /// use atomr_agents_tool::{FnTool, Tool, ToolOptions};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let pay = FnTool::new("pay", "Pays.", json!({"type": "object"}), |_, _| async { Ok(json!("paid")) })
    ///     .with_options(ToolOptions { requires_approval: true, ..ToolOptions::default() });
    /// let model = ScriptedModel::new().tool_calls([("pay", json!({"usd": 5}))]).text("Done.");
    /// let tools = StaticTools::new([Arc::new(pay) as Arc<dyn Tool>]).unwrap();
    /// let agent = AgentBuilder::new(Arc::new(model), "scripted").with_tools(tools).build().unwrap();
    /// let waiting = agent.run("Pay 5 dollars.", CallCtx::new()).await.unwrap().pending.unwrap();
    ///
    /// let stored = serde_json::to_string(&waiting).unwrap();
    /// let waiting: PendingRun = serde_json::from_str(&stored).unwrap();
    /// let decisions = [waiting.calls()[0].approve()];
    /// let result = agent.resume(waiting, &decisions, CallCtx::new()).await.unwrap();
    /// assert_eq!(result.output, "Done.");
    /// # }
    /// ```
    ///
    /// A run that is kept goes on in its log, and the agent must have the store.
    pub fn resume(&self, pending: PendingRun, decisions: &[Decision], mut ctx: CallCtx) -> Run {
        if let Some(name) = pending.kept() {
            return self.resume_run(name, decisions, ctx);
        }
        ctx.run = pending.run();
        let (before, key, cost, spent) = (pending.machine().clone(), pending.key(), pending.cost(), pending.spent());
        let holder = before.agent().map(str::to_owned);
        let (machine, used) = match pending.decided(self.name(), decisions) {
            Ok(decided) => (decided.machine, Ok(decided.used)),
            Err(error) => (before, Err(error)),
        };
        let (history, rest) = machine.messages().split_at(machine.history_len().min(machine.messages().len()));
        let asked = rest.iter().take_while(|message| message.role != Role::Assistant);
        let turn = TurnInput { input: asked.cloned().collect(), history: history.to_vec() };
        let state = RunState { run: ctx.run, machine, bill: Bill::new(cost) };
        self.start(state, turn, key, Some(Resumed { used, spent, holder }), Kept::No, ctx)
    }

    fn start(
        &self,
        state: RunState,
        turn: TurnInput,
        key: RunId,
        resumed: Option<Resumed>,
        kept: Kept,
        ctx: CallCtx,
    ) -> Run {
        let slot = kept.has_events().then(Arc::<OnceLock<Journal>>::default);
        let own = || {
            let events = RunEvents::new(self.engine.options.buses.iter().cloned());
            Arc::new(match &slot {
                Some(slot) => events.recorded(1, recorder(slot)),
                None => events,
            })
        };
        let (ctx, events) = match ctx.sink().cloned() {
            None => {
                let events = own();
                (ctx.scoped().with_sink(events.clone()), Some(events))
            }
            Some(outer) if slot.is_some() || ctx.get::<Heard>().is_some_and(|heard| heard.0) => {
                let events = own();
                let both = Both { own: events.clone(), outer };
                (ctx.child(self.name()).with(Heard(false)).with_sink(Arc::new(both)), Some(events))
            }
            Some(_) => (ctx.child(self.name()), None),
        };
        let transcript = Transcript { state: Arc::new(Mutex::new(state)) };
        let driver = Driver {
            engine: Arc::clone(&self.engine),
            transcript: transcript.clone(),
            turn,
            ctx,
            events: events.clone(),
            key,
            resumed,
            kept,
            log: None,
            recorder: slot,
            session: None,
            joined: None,
            again: false,
            decisions: Vec::new(),
            once: AtomicUsize::new(0),
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

/// Whether a run inside another one shall have events of its own; those below it have none again.
struct Heard(bool);

/// The events of a run that is heard on its own and as a part of another one.
struct Both {
    own: Arc<RunEvents>,
    outer: Arc<dyn EventSink>,
}

impl EventSink for Both {
    fn emit(&self, ctx: &CallCtx, kind: EventKind) {
        self.own.emit(ctx, kind.clone());
        self.outer.emit(ctx, kind);
    }

    fn listening(&self) -> bool {
        self.own.listening() || self.outer.listening()
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
        let output = self.options.output.clone().map(|schema| {
            let capabilities = self.client.0.capabilities(&self.model);
            let (mode, own) = (self.options.output_mode, self.options.output_validator.clone());
            Box::new(OutputCheck::new(schema, mode, capabilities, own))
        });
        let handoff_tools = self.options.handoffs.iter().map(|each| CheckedTool::new(each.tool()).map(Arc::new));
        let engine = Engine {
            client: self.client.0,
            model: self.model,
            instructions: Arc::new(self.instructions),
            tools: Arc::new(self.tools),
            memory: Arc::new(self.memory),
            skills: Arc::new(self.skills),
            output,
            handoff_tools: handoff_tools.collect::<Result<_, _>>()?,
            last_prompt: Mutex::new(None),
            options: self.options,
        };
        engine.check()?;
        let engine = Arc::new(engine);
        handoff::check(&engine)?;
        Ok(Agent { inner: BoxedAgent { engine }, strategies: PhantomData })
    }
}
