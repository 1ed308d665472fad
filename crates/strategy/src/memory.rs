//! What the agent remembers.

use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx, Message};
use serde::{Deserialize, Serialize};

use crate::StrategyFuture;

/// Something remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryChunk {
    /// Where it comes from.
    pub source: String,
    /// The text the model reads.
    pub text: String,
}

/// Finds what is worth remembering in a run and keeps what the run said.
pub trait MemoryStrategy: Send + Sync + 'static {
    /// What the model shall be reminded of, the most important first.
    fn retrieve<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<MemoryChunk>>;

    /// Keeps the messages of a run that ended well, the input included.
    fn store<'a>(
        &'a self,
        context: &'a AgentContext,
        messages: &'a [Message],
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, ()>;
}

/// Remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMemory;

impl MemoryStrategy for NoMemory {
    fn retrieve<'a>(&'a self, _context: &'a AgentContext, _ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<MemoryChunk>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn store<'a>(&'a self, _: &'a AgentContext, _: &'a [Message], _: &'a CallCtx) -> StrategyFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Always remembers the same and learns nothing.
#[derive(Clone, Debug, Default)]
pub struct StaticMemory(Vec<MemoryChunk>);

impl StaticMemory {
    /// These memories.
    #[must_use]
    pub fn new(chunks: Vec<MemoryChunk>) -> Self {
        Self(chunks)
    }
}

impl MemoryStrategy for StaticMemory {
    fn retrieve<'a>(&'a self, _context: &'a AgentContext, _ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<MemoryChunk>> {
        Box::pin(async move { Ok(self.0.clone()) })
    }

    fn store<'a>(&'a self, _: &'a AgentContext, _: &'a [Message], _: &'a CallCtx) -> StrategyFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl<S: MemoryStrategy + ?Sized> MemoryStrategy for Arc<S> {
    fn retrieve<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<MemoryChunk>> {
        (**self).retrieve(context, ctx)
    }

    fn store<'a>(
        &'a self,
        context: &'a AgentContext,
        messages: &'a [Message],
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, ()> {
        (**self).store(context, messages, ctx)
    }
}
