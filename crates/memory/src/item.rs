//! What is remembered.

use atomr_agents_core::Value;
use serde::{Deserialize, Serialize};

use crate::Namespace;
use crate::clock::now_ms;
use crate::parts::text_of;

/// Something that was said or happened, in the order of such things.
///
/// ```
/// use atomr_agents_memory::MemoryItem;
/// use serde_json::json;
///
/// let (first, second) = (MemoryItem::new(json!({"text": "Oslo?"})), MemoryItem::new(json!({"text": "Rain."})));
/// assert!(first.id < second.id);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryItem {
    /// Its name. Items stand in the order of their names; those made by [`MemoryItem::new`] in the order in which they were made.
    pub id: String,
    /// What it is.
    pub content: Value,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl MemoryItem {
    /// An item of this content, made now.
    #[must_use]
    pub fn new(content: Value) -> Self {
        Self { id: uuid::Uuid::now_v7().to_string(), content, created_ms: now_ms() }
    }

    /// What a model reads of it: the text of a content that is one or has a `text`; anything else as JSON.
    #[must_use]
    pub fn text(&self) -> String {
        text_of(&self.content)
    }
}

/// Something that is kept for good, or for as long as it was said, under a key of its namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreItem {
    /// Whose it is.
    pub namespace: Namespace,
    /// Its name there.
    pub key: String,
    /// What it is.
    pub value: Value,
    /// When it was written first, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// When it was written last.
    pub updated_ms: u64,
    /// When it will be forgotten; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// How well it fits what was looked for: higher is better. `None` where nothing was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl StoreItem {
    /// What a model reads of it; see [`MemoryItem::text`].
    #[must_use]
    pub fn text(&self) -> String {
        text_of(&self.value)
    }
}
