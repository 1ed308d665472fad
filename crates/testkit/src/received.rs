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

    /// How often the assistant has spoken in the conversation that was sent: `messages` of chat completions and of
    /// Anthropic, `contents` of Gemini, `input` of OpenAI's Responses.
    #[must_use]
    pub fn assistant_turns(&self) -> usize {
        let list = |field: &str| self.body[field].as_array().map(Vec::as_slice).unwrap_or_default();
        let said = |entries: &[Value], role: &str| entries.iter().filter(|entry| entry["role"] == role).count();
        // There one turn may be several items in a row.
        let speaks = |item: &Value| {
            let kind = item["type"].as_str().unwrap_or_default();
            item["role"] == "assistant" || matches!(kind, "function_call" | "reasoning" | "custom_tool_call")
        };
        let turns = list("input").chunk_by(|one, next| speaks(one) == speaks(next)).filter(|items| speaks(&items[0]));
        said(list("messages"), "assistant") + said(list("contents"), "model") + turns.count()
    }

    /// Whether a stream was asked for.
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        self.body["stream"] == true || self.path.contains(":stream")
    }
}
