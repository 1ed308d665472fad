//! How much of what is remembered a model is given.

use std::sync::Arc;

use atomr_agents_strategy::MemoryChunk;
use atomr_agents_tokens::{EstimatingCounter, TokenCounter};

/// How many tokens of memories a model is given, and who counts them.
///
/// ```
/// use atomr_agents_memory::Room;
/// use atomr_agents_strategy::MemoryChunk;
///
/// let chunk = |text: &str| MemoryChunk { source: "notes".into(), text: text.into() };
/// let kept = Room::tokens(12).fill([chunk("lives in Oslo"), chunk(&"x ".repeat(100)), chunk("likes rain")]);
/// assert_eq!(kept, [chunk("lives in Oslo"), chunk("likes rain")]);
/// ```
#[derive(Clone, Debug)]
pub struct Room {
    /// At most so many tokens together; 1,000 without another word.
    pub max_tokens: u64,
    /// For which model they are counted; the counter says what it makes of the name.
    pub model: String,
    /// Who counts: without another word [`EstimatingCounter`], which is never below what there is.
    pub counter: Arc<dyn TokenCounter>,
}

impl Default for Room {
    fn default() -> Self {
        Self { max_tokens: 1_000, model: String::new(), counter: Arc::new(EstimatingCounter) }
    }
}

impl Room {
    /// Room for so many tokens.
    #[must_use]
    pub fn tokens(max_tokens: u64) -> Self {
        Self { max_tokens, ..Self::default() }
    }

    /// How many tokens a text is.
    #[must_use]
    pub fn count(&self, text: &str) -> u64 {
        self.counter.count_text(&self.model, text)
    }

    /// Those that there is room for, the first ones first; one that is too large for what is left is passed over.
    #[must_use]
    pub fn fill(&self, chunks: impl IntoIterator<Item = MemoryChunk>) -> Vec<MemoryChunk> {
        let mut left = self.max_tokens;
        let fits = |chunk: &MemoryChunk| {
            // Each stands in a line of its own.
            let needs = self.count(&chunk.text).saturating_add(1);
            let fits = needs <= left;
            left = if fits { left - needs } else { left };
            fits
        };
        chunks.into_iter().filter(fits).collect()
    }
}
