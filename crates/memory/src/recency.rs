//! The last things that were said.

use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx, Message};
use atomr_agents_strategy::{MemoryChunk, MemoryStrategy, StrategyFuture};

use crate::transcript::{chunk, items};
use crate::{MemoryError, MemoryStore, Room, Whose};

/// Reminds an agent of the last things that were said in its namespace, and keeps what is said: each message of the user and
/// each answer is an item.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{AgentContext, CallCtx, Message, RunId, TurnInput};
/// use atomr_agents_memory::{Fixed, Namespace, RecencyMemory, Room, StoredMemory};
/// use atomr_agents_strategy::MemoryStrategy;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, ctx) = (Arc::new(StoredMemory::in_memory()), CallCtx::new());
/// let memory = RecencyMemory::new(store, Fixed(Namespace::new(["ada"])?), 10, Room::tokens(500));
/// let context = AgentContext { agent: "a".into(), run: RunId::new(), turn: TurnInput::user("Who am I?") };
/// memory.store(&context, &[Message::user("I am Ada."), Message::assistant("Hello Ada.")], &ctx).await?;
/// let told: Vec<String> = memory.retrieve(&context, &ctx).await?.into_iter().map(|chunk| chunk.text).collect();
/// assert_eq!(told, ["user: I am Ada.", "assistant: Hello Ada."]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RecencyMemory {
    store: Arc<dyn MemoryStore>,
    whose: Arc<dyn Whose>,
    limit: usize,
    room: Room,
}

impl RecencyMemory {
    /// The last `limit` items that there is room for: the newest count first, the model reads them from the oldest on.
    #[must_use]
    pub fn new(store: Arc<dyn MemoryStore>, whose: impl Whose, limit: usize, room: Room) -> Self {
        Self { store, whose: Arc::new(whose), limit, room }
    }
}

impl MemoryStrategy for RecencyMemory {
    fn retrieve<'a>(&'a self, _context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<MemoryChunk>> {
        Box::pin(async move {
            let namespace = self.whose.namespace(ctx).await?;
            let items = self.store.list(&namespace, self.limit, None, ctx).await?;
            let mut kept = self.room.fill(items.iter().map(|item| chunk("recency", item)));
            kept.reverse();
            Ok(kept)
        })
    }

    fn store<'a>(
        &'a self,
        _context: &'a AgentContext,
        messages: &'a [Message],
        ctx: &'a CallCtx,
    ) -> StrategyFuture<'a, ()> {
        Box::pin(async move { Ok(keep(self.store.as_ref(), self.whose.as_ref(), messages, ctx).await?) })
    }
}

/// Keeps what was said in a run.
pub(crate) async fn keep(
    store: &dyn MemoryStore,
    whose: &dyn Whose,
    messages: &[Message],
    ctx: &CallCtx,
) -> Result<(), MemoryError> {
    let namespace = whose.namespace(ctx).await?;
    for item in items(messages) {
        store.put(&namespace, &item, ctx).await?;
    }
    Ok(())
}
