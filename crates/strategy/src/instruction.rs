//! What the agent is told to be.

use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx};

use crate::StrategyFuture;

/// Writes the system message of a run.
pub trait InstructionStrategy: Send + Sync + 'static {
    /// The system message; empty for none.
    fn render<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, String>;

    /// The text, where it is the same for every run: what a stored run is compared with before it goes on.
    fn fixed(&self) -> Option<&str> {
        None
    }
}

/// The same text for every run.
#[derive(Clone, Debug, Default)]
pub struct StaticInstructions(Arc<str>);

impl StaticInstructions {
    /// Instructions of that text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

impl InstructionStrategy for StaticInstructions {
    fn render<'a>(&'a self, _context: &'a AgentContext, _ctx: &'a CallCtx) -> StrategyFuture<'a, String> {
        Box::pin(async move { Ok(self.0.to_string()) })
    }

    fn fixed(&self) -> Option<&str> {
        Some(&self.0)
    }
}

impl<S: InstructionStrategy + ?Sized> InstructionStrategy for Arc<S> {
    fn render<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, String> {
        (**self).render(context, ctx)
    }

    fn fixed(&self) -> Option<&str> {
        (**self).fixed()
    }
}
