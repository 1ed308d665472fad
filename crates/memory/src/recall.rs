//! What fits the question.

use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx, Message};
use atomr_agents_strategy::{MemoryChunk, MemoryStrategy, StrategyFuture};

use crate::{By, LongStore, Room, Search, Whose};

/// Reminds an agent of those items of a [`LongStore`] that fit what is asked. It keeps nothing: items are written by
/// [tools](crate::memory_tools) or by the host.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{AgentContext, CallCtx, RunId, TurnInput};
/// use atomr_agents_memory::{By, Fixed, LongOptions, LongStore, Namespace, NewItem, RecallMemory, Room, StoredLong};
/// use atomr_agents_strategy::MemoryStrategy;
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, ctx) = (Arc::new(StoredLong::in_memory(LongOptions::default())), CallCtx::new());
/// let ada = Namespace::new(["ada"])?;
/// store.put(NewItem::new(ada.clone(), "food", json!("likes fish")), &ctx).await?;
/// store.put(NewItem::new(ada.clone(), "home", json!("lives in Oslo")), &ctx).await?;
/// let memory = RecallMemory::new(store, Fixed(ada), 1, Room::default()).by(By::Words);
/// let context = AgentContext { agent: "a".into(), run: RunId::new(), turn: TurnInput::user("Does it rain in Oslo?") };
/// assert_eq!(memory.retrieve(&context, &ctx).await?[0].text, "lives in Oslo");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RecallMemory {
    store: Arc<dyn LongStore>,
    whose: Arc<dyn Whose>,
    by: By,
    top_k: usize,
    min_score: Option<f64>,
    room: Room,
}

impl RecallMemory {
    /// Up to `top_k` items that there is room for, the best first.
    #[must_use]
    pub fn new(store: Arc<dyn LongStore>, whose: impl Whose, top_k: usize, room: Room) -> Self {
        Self { store, whose: Arc::new(whose), by: By::Best, top_k, min_score: None, room }
    }

    /// Compared so.
    #[must_use]
    pub fn by(mut self, by: By) -> Self {
        self.by = by;
        self
    }

    /// Only items with at least this score.
    #[must_use]
    pub fn min_score(mut self, score: f64) -> Self {
        self.min_score = Some(score);
        self
    }
}

impl MemoryStrategy for RecallMemory {
    fn retrieve<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Vec<MemoryChunk>> {
        Box::pin(async move {
            let asked = context.turn.text();
            if asked.trim().is_empty() {
                return Ok(Vec::new());
            }
            let namespace = self.whose.namespace(ctx).await?;
            let search = Search::below(namespace).query(asked).by(self.by).top_k(self.top_k);
            let found = self.store.search(&search, ctx).await?.into_iter();
            let enough =
                found.filter(|item| self.min_score.is_none_or(|least| item.score.is_some_and(|has| has >= least)));
            Ok(self
                .room
                .fill(enough.map(|item| MemoryChunk { source: format!("recall:{}", item.key), text: item.text() })))
        })
    }

    fn store<'a>(&'a self, _: &'a AgentContext, _: &'a [Message], _: &'a CallCtx) -> StrategyFuture<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
