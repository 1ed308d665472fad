//! The parts of an agent, erased, and what a run gathers from them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::{AgentContext, CallCtx, EventKind, Message, ModelRequest, RunId, ToolChoice, ToolSpec};
use atomr_agents_inference::{InferenceClient, PromptPrefix};
use atomr_agents_strategy::{InstructionStrategy, MemoryStrategy, SkillStrategy, ToolStrategy};
use atomr_agents_tool::{CheckedTool, Toolbox};

use crate::output::OutputCheck;
use crate::{AgentError, AgentOptions, AnswerRule};

/// The parts of an agent, erased.
pub(crate) struct Engine {
    pub(crate) client: Arc<dyn InferenceClient>,
    pub(crate) model: String,
    pub(crate) instructions: Arc<dyn InstructionStrategy>,
    pub(crate) tools: Arc<dyn ToolStrategy>,
    pub(crate) memory: Arc<dyn MemoryStrategy>,
    pub(crate) skills: Arc<dyn SkillStrategy>,
    pub(crate) options: AgentOptions,
    /// Boxed: most agents have none, and it is large.
    pub(crate) output: Option<Box<OutputCheck>>,
    /// The tools that hand over to others.
    pub(crate) handoff_tools: Vec<Arc<CheckedTool>>,
    /// The beginning of the last prompt, where it is watched.
    pub(crate) last_prompt: Mutex<Option<(RunId, PromptPrefix)>>,
}

/// What a run gathers before it starts, and again when another agent takes over.
pub(crate) struct Prepared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) context: AgentContext,
    pub(crate) system: Option<Message>,
    pub(crate) toolbox: Arc<Toolbox>,
    /// The tool whose call is the answer.
    pub(crate) answer: Option<Arc<ToolSpec>>,
}

impl Engine {
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        if self.model.is_empty() {
            let message = "it is empty; name a model".into();
            return Err(AgentError::Config { setting: "model", message });
        }
        self.options.check()
    }

    /// Resolves the strategies, all at once.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        context: AgentContext,
        ctx: &CallCtx,
    ) -> Result<Prepared, AgentError> {
        let (instructions, tools, chunks, skills) = futures_util::try_join!(
            self.instructions.render(&context, ctx),
            self.tools.select(&context, ctx),
            self.memory.retrieve(&context, ctx),
            self.skills.applicable(&context, ctx),
        )?;
        let mut sections = vec![instructions];
        sections.extend(skills.iter().map(|skill| skill.instructions.clone()));
        if !chunks.is_empty() {
            let lines: Vec<String> = chunks.iter().map(|chunk| format!("- {}", chunk.text)).collect();
            sections.push(format!("What you remember:\n{}", lines.join("\n")));
        }
        sections.retain(|section| !section.is_empty());
        let system = (!sections.is_empty()).then(|| Message::system(sections.join("\n\n")));
        let mut overlay: Vec<Arc<CheckedTool>> = Vec::new();
        for tool in skills.iter().flat_map(|skill| &skill.tools) {
            let same = |there: &Arc<CheckedTool>| Arc::ptr_eq(there.tool(), tool.tool());
            if !tools.tools().iter().chain(&overlay).any(same) {
                overlay.push(Arc::clone(tool));
            }
        }
        overlay.extend(self.handoff_tools.iter().cloned());
        let toolbox = if overlay.is_empty() {
            tools
        } else {
            Arc::new(Toolbox::from_checked(tools.tools().iter().cloned().chain(overlay).collect())?)
        };
        if let ToolChoice::Tool(name) = &self.options.tool_choice
            && toolbox.find(name).is_err()
        {
            let message = format!("there is no tool named {name:?} among the agent's tools");
            return Err(AgentError::Config { setting: "tool_choice", message });
        }
        let answer = self.output.as_ref().and_then(|output| output.tool(&toolbox));
        Ok(Prepared { engine: Arc::clone(self), context, system, toolbox, answer })
    }
}

impl Prepared {
    /// Which answers end the run.
    pub(crate) fn rule(&self) -> AnswerRule<'_> {
        let tool = self.answer.as_ref().map(|spec| spec.name.as_str());
        AnswerRule { tool, checked: self.engine.output.is_some() }
    }

    /// The request for the next model call.
    pub(crate) fn request(&self, messages: &[Message], iteration: u32) -> ModelRequest {
        let options = &self.engine.options;
        let mut all = Vec::with_capacity(messages.len() + 1);
        all.extend(self.system.clone());
        all.extend(messages.iter().cloned());
        let mut request = ModelRequest {
            tools: self.toolbox.specs(),
            tool_choice: if iteration == 1 { options.tool_choice.clone() } else { ToolChoice::Auto },
            sampling: options.sampling.clone(),
            cache: options.cache.clone(),
            metadata: options.metadata.clone(),
            extra_body: options.extra_body.clone(),
            ..ModelRequest::new(self.engine.model.clone(), all)
        };
        if let Some(output) = &self.engine.output {
            output.ask(self.answer.as_ref(), &mut request);
        }
        request
    }

    /// Tells when the beginning of this prompt is not that of the last one, and gives its hash.
    pub(crate) fn watch(&self, request: &ModelRequest, ctx: &CallCtx) -> Result<Option<String>, AgentError> {
        if !self.engine.options.watch_prompt {
            return Ok(None);
        }
        let lowered = self.engine.client.lower(request)?;
        let prefix = lowered.prefix();
        let hash = format!("{:016x}", prefix.hash());
        // Replacing a value cannot leave it half changed.
        let mut last = self.engine.last_prompt.lock().unwrap_or_else(PoisonError::into_inner);
        let (run, broken) = match &*last {
            Some((run, last)) => (Some(*run), last.broken_by(&prefix)),
            None => (None, None),
        };
        *last = Some((ctx.run, prefix));
        drop(last);
        // Two runs are about different things; what they should share are the tools and the system message.
        if let Some(broken) = broken.filter(|broken| run == Some(ctx.run) || !lowered.in_transcript(&broken.owner)) {
            ctx.emit(EventKind::PromptPrefixChanged { byte: broken.byte, owner: broken.owner });
        }
        Ok(Some(hash))
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
