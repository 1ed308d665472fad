//! What of a run is worth an item.

use atomr_agents_core::{Message, Role};
use atomr_agents_strategy::MemoryChunk;
use serde_json::json;

use crate::MemoryItem;

/// An item for each message of a run that somebody can read: what was asked, and what was answered. Calls of tools and
/// their results are none.
pub(crate) fn items(messages: &[Message]) -> Vec<MemoryItem> {
    let readable = |message: &Message| {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System | Role::Tool => return None,
        };
        let text = message.text();
        (!text.trim().is_empty()).then(|| MemoryItem::new(json!({"role": role, "text": text})))
    };
    messages.iter().filter_map(readable).collect()
}

/// The line in which a model reads an item.
pub(crate) fn line(item: &MemoryItem) -> String {
    match item.content.get("role").and_then(|role| role.as_str()) {
        Some(role) => format!("{role}: {}", item.text()),
        None => item.text(),
    }
}

pub(crate) fn chunk(source: &str, item: &MemoryItem) -> MemoryChunk {
    MemoryChunk { source: source.to_owned(), text: line(item) }
}
