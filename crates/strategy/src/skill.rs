//! What the agent knows how to do.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx};
use atomr_agents_tool::CheckedTool;

use crate::StrategyFuture;

/// Something the agent knows how to do: words for the model and the tools that go with them.
#[derive(Clone)]
pub struct Skill {
    /// Its name.
    pub name: String,
    /// What the model is told; becomes part of the system message.
    pub instructions: String,
    /// Tools the model is offered while the skill applies. One that the agent or another skill has too is offered once.
    pub tools: Vec<Arc<CheckedTool>>,
}

impl fmt::Debug for Skill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools: Vec<&str> = self.tools.iter().map(|tool| tool.tool().spec().name.as_str()).collect();
        f.debug_struct("Skill").field("name", &self.name).field("tools", &tools).finish_non_exhaustive()
    }
}

/// Decides which skills apply to a run.
pub trait SkillStrategy: Send + Sync + 'static {
    /// The skills that apply, in the order their instructions shall be read.
    fn applicable<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<Arc<Skill>>>;
}

/// The same skills for every run; none by default.
#[derive(Clone, Debug, Default)]
pub struct StaticSkills(Vec<Arc<Skill>>);

impl StaticSkills {
    /// These skills.
    #[must_use]
    pub fn new(skills: Vec<Skill>) -> Self {
        Self(skills.into_iter().map(Arc::new).collect())
    }
}

impl SkillStrategy for StaticSkills {
    fn applicable<'a>(&'a self, _context: &'a AgentContext, _ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<Arc<Skill>>> {
        Box::pin(async move { Ok(self.0.clone()) })
    }
}

impl<S: SkillStrategy + ?Sized> SkillStrategy for Arc<S> {
    fn applicable<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<Arc<Skill>>> {
        (**self).applicable(context, ctx)
    }
}
