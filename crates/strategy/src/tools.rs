//! What the agent may call.

use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx};
use atomr_agents_tool::{Tool, ToolDefinitionError, Toolbox};

use crate::StrategyFuture;

/// Selects the tools of a run.
pub trait ToolStrategy: Send + Sync + 'static {
    /// The tools the model is offered.
    fn select<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Arc<Toolbox>>;
}

/// The same tools for every run.
#[derive(Clone, Debug, Default)]
pub struct StaticTools(Arc<Toolbox>);

impl StaticTools {
    /// These tools.
    ///
    /// # Errors
    /// A [`ToolDefinitionError`] for a name or schema that cannot be used and for a name used twice.
    pub fn new(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Result<Self, ToolDefinitionError> {
        Ok(Self(Arc::new(Toolbox::new(tools)?)))
    }
}

impl From<Toolbox> for StaticTools {
    fn from(toolbox: Toolbox) -> Self {
        Self(Arc::new(toolbox))
    }
}

impl ToolStrategy for StaticTools {
    fn select<'a>(&'a self, _context: &'a AgentContext, _ctx: &'a CallCtx) -> StrategyFuture<'a, Arc<Toolbox>> {
        Box::pin(async move { Ok(Arc::clone(&self.0)) })
    }
}

impl<S: ToolStrategy + ?Sized> ToolStrategy for Arc<S> {
    fn select<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Arc<Toolbox>> {
        (**self).select(context, ctx)
    }
}
