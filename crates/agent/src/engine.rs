//! The one engine behind every agent: its parts and its settings, and what a run gathers before it starts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{AgentContext, CallCtx, Message, ModelRequest, OutputSchema, Sampling, ToolChoice, Value};
use atomr_agents_inference::InferenceClient;
use atomr_agents_observability::EventBus;
use atomr_agents_strategy::{InstructionStrategy, MemoryStrategy, SkillStrategy, ToolStrategy};
use atomr_agents_tokens::PriceTable;
use atomr_agents_tool::Toolbox;

use crate::AgentError;
use crate::output::OutputCheck;

/// How an agent runs. All durations are wall time.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The agent's name, in events and paths. Default `agent`.
    pub name: String,
    /// How many times a run may call the model. Default 32.
    pub max_iterations: u32,
    /// How many tool calls of one turn run at once; the others wait. Default 128.
    pub max_parallel_tools: usize,
    /// How long a run may take; a deadline of its context counts too. Default: no limit.
    pub timeout: Option<Duration>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Which tool the model must call in its first answer; afterwards it decides itself.
    pub tool_choice: ToolChoice,
    /// The shape the final text must have.
    pub output: Option<OutputSchema>,
    /// Fields put into the provider's request body as they are.
    pub extra_body: serde_json::Map<String, Value>,
    /// What models cost.
    pub prices: Arc<PriceTable>,
    /// Buses that see the events of every run.
    pub buses: Vec<EventBus>,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            name: "agent".into(),
            max_iterations: 32,
            max_parallel_tools: 128,
            timeout: None,
            sampling: Sampling::default(),
            tool_choice: ToolChoice::default(),
            output: None,
            extra_body: serde_json::Map::new(),
            prices: Arc::new(PriceTable::builtin()),
            buses: Vec::new(),
        }
    }
}

/// The parts of an agent, erased.
pub(crate) struct Engine {
    pub(crate) client: Arc<dyn InferenceClient>,
    pub(crate) model: String,
    pub(crate) instructions: Arc<dyn InstructionStrategy>,
    pub(crate) tools: Arc<dyn ToolStrategy>,
    pub(crate) memory: Arc<dyn MemoryStrategy>,
    pub(crate) skills: Arc<dyn SkillStrategy>,
    pub(crate) options: AgentOptions,
    pub(crate) output: Option<OutputCheck>,
}

/// What a run gathers before it starts.
pub(crate) struct Prepared {
    pub(crate) system: Option<Message>,
    pub(crate) toolbox: Arc<Toolbox>,
}

impl Engine {
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let wrong = |setting, message: &str| Err(AgentError::Config { setting, message: message.into() });
        if self.options.max_iterations == 0 {
            return wrong("max_iterations", "it is 0, so the model could never be called; use at least 1");
        }
        if self.options.max_parallel_tools == 0 {
            return wrong("max_parallel_tools", "it is 0, so no tool could ever run; use at least 1");
        }
        let Sampling { temperature, top_p, max_tokens, .. } = &self.options.sampling;
        if temperature.is_some_and(|value| !value.is_finite() || value < 0.0) {
            return wrong("temperature", "it must be a number, 0 or above");
        }
        if top_p.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            return wrong("top_p", "it must lie between 0 and 1");
        }
        if *max_tokens == Some(0) {
            return wrong("max_tokens", "it is 0, so the model could say nothing; use at least 1");
        }
        if self.model.is_empty() {
            return wrong("model", "it is empty; name a model");
        }
        Ok(())
    }

    /// Resolves the strategies, all at once.
    pub(crate) async fn prepare(&self, context: &AgentContext, ctx: &CallCtx) -> Result<Prepared, AgentError> {
        let (instructions, tools, chunks, skills) = futures_util::try_join!(
            self.instructions.render(context, ctx),
            self.tools.select(context, ctx),
            self.memory.retrieve(context, ctx),
            self.skills.applicable(context, ctx),
        )?;
        let mut sections = vec![instructions];
        sections.extend(skills.iter().map(|skill| skill.instructions.clone()));
        if !chunks.is_empty() {
            let lines: Vec<String> = chunks.iter().map(|chunk| format!("- {}", chunk.text)).collect();
            sections.push(format!("What you remember:\n{}", lines.join("\n")));
        }
        sections.retain(|section| !section.is_empty());
        let system = (!sections.is_empty()).then(|| Message::system(sections.join("\n\n")));
        let overlay: Vec<_> = skills.iter().flat_map(|skill| skill.tools.iter().cloned()).collect();
        let toolbox = if overlay.is_empty() {
            tools
        } else {
            let own = tools.tools().iter().map(|tool| Arc::clone(tool.tool()));
            Arc::new(Toolbox::new(own.chain(overlay))?)
        };
        if let ToolChoice::Tool(name) = &self.options.tool_choice
            && toolbox.find(name).is_err()
        {
            let message = format!("there is no tool named {name:?} among the agent's tools");
            return Err(AgentError::Config { setting: "tool_choice", message });
        }
        Ok(Prepared { system, toolbox })
    }

    /// The request for the next model call.
    pub(crate) fn request(&self, prepared: &Prepared, messages: &[Message], iteration: u32) -> ModelRequest {
        let mut all = Vec::with_capacity(messages.len() + 1);
        all.extend(prepared.system.clone());
        all.extend(messages.iter().cloned());
        ModelRequest {
            tools: prepared.toolbox.specs(),
            tool_choice: if iteration == 1 { self.options.tool_choice.clone() } else { ToolChoice::Auto },
            output: self.options.output.clone(),
            sampling: self.options.sampling.clone(),
            extra_body: self.options.extra_body.clone(),
            ..ModelRequest::new(self.model.clone(), all)
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("name", &self.options.name)
            .field("provider", &self.client.provider())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}
