//! Several memories as one.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx, Message};
use atomr_agents_strategy::{MemoryChunk, MemoryStrategy, StrategyFuture};
use futures_util::future::{join_all, try_join_all};

use crate::Room;

/// Asks several memories at once and gives what they remember in their order, each text once, as far as there is room. What
/// is said is given to each of them to keep.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{AgentContext, CallCtx, RunId, TurnInput};
/// use atomr_agents_memory::{ChainedMemory, Room};
/// use atomr_agents_strategy::{MemoryChunk, MemoryStrategy, StaticMemory};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fixed = |text: &str| -> Arc<dyn MemoryStrategy> {
///     Arc::new(StaticMemory::new(vec![MemoryChunk { source: "notes".into(), text: text.into() }]))
/// };
/// let memory = ChainedMemory::new([fixed("likes rain"), fixed("lives in Oslo"), fixed("likes rain")], Room::default());
/// let context = AgentContext { agent: "a".into(), run: RunId::new(), turn: TurnInput::user("?") };
/// assert_eq!(memory.retrieve(&context, &CallCtx::new()).await?.len(), 2);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ChainedMemory {
    members: Vec<Arc<dyn MemoryStrategy>>,
    room: Room,
}

impl fmt::Debug for ChainedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainedMemory").field("members", &self.members.len()).field("room", &self.room).finish()
    }
}

impl ChainedMemory {
    /// These memories, the most important first.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = Arc<dyn MemoryStrategy>>, room: Room) -> Self {
        Self { members: members.into_iter().collect(), room }
    }
}

impl MemoryStrategy for ChainedMemory {
    fn retrieve<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<MemoryChunk>> {
        Box::pin(async move {
            let all = try_join_all(self.members.iter().map(|member| member.retrieve(context, ctx))).await?;
            let mut seen = HashSet::new();
            Ok(self.room.fill(all.into_iter().flatten().filter(|chunk| seen.insert(chunk.text.clone()))))
        })
    }

    fn store<'a>(
        &'a self,
        context: &'a AgentContext,
        messages: &'a [Message],
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, ()> {
        Box::pin(async move {
            // One that fails does not keep the others from keeping.
            let kept = join_all(self.members.iter().map(|member| member.store(context, messages, ctx))).await;
            kept.into_iter().collect()
        })
    }
}
