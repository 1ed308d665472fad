//! A request that a server received.

use bytes::Bytes;
use serde_json::Value;

/// A request that a server received.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers as they came; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as JSON; null where it is none.
    pub body: Value,
    /// The body as it came.
    pub raw: Bytes,
}

impl Received {
    /// The first header of this name, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// How often the assistant has spoken in the conversation that was sent (`messages` of chat completions and of
    /// Anthropic).
    #[must_use]
    pub fn assistant_turns(&self) -> usize {
        let messages = self.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        messages.iter().filter(|message| message["role"] == "assistant").count()
    }
}
