//! The provider-neutral transcript.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ToolCall;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions to the model.
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// Results of tools; its parts are [`Part::ToolResult`].
    Tool,
}

/// One entry of a transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Visible text.
    Text {
        /// The text.
        text: String,
    },
    /// An image, sound, video or document.
    Media(Media),
    /// What a reasoning model thought.
    Thinking {
        /// The visible thought; empty when the provider hides it.
        text: String,
        /// The provider's proof that the thought is its own; must be sent back unchanged, and to nobody else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        /// Whether the provider keeps the thought to itself: then the signature is all there is of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        redacted: bool,
        /// Whose thought it is; set where there is a signature, which means something to its owner alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
    },
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolResult {
        /// The id of the call this answers.
        call_id: String,
        /// The content that the model sees.
        parts: Vec<Part>,
        /// Whether the tool failed.
        #[serde(default)]
        is_error: bool,
        /// Data for the caller that the model does not see.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        artifact: Option<Value>,
    },
    /// The model refused, in its words.
    Refusal {
        /// The refusal.
        text: String,
    },
    /// A tool that the provider itself ran, asked for or answered; sent back to that provider and to no other.
    ServerTool {
        /// Whose it is.
        provider: String,
        /// The tool and which side of it this is, in the provider's word, e.g. `web_search_tool_result`.
        name: String,
        /// The provider's own JSON.
        data: Value,
    },
    /// Where the text before it comes from.
    Citation(Citation),
    /// Something only one provider understands; sent back to that provider and to no other, never shown as text.
    Opaque {
        /// Whose it is, e.g. `openai-chat`.
        provider: String,
        /// The provider's own JSON.
        data: Value,
    },
}

/// Where a piece of text comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Citation {
    /// Whose citation it is.
    pub provider: String,
    /// The title of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The address of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The words of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// The provider's own JSON.
    pub data: Value,
}

/// An image, sound, video or document inside a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// Where its bytes are.
    pub source: MediaSource,
    /// IANA media type, e.g. `image/png`; may be empty for URLs.
    #[serde(default)]
    pub media_type: String,
}

/// What a medium is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// A document such as a PDF.
    Document,
}

/// Where the bytes of a medium are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// Base64 (standard alphabet, padded) of the bytes.
    Base64(String),
    /// Somewhere the provider can fetch it.
    Url(String),
    /// The id the provider gave when it was uploaded.
    FileId(String),
}

impl Message {
    /// A message of one text part.
    #[must_use]
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text { text: text.into() }] }
    }

    /// A system message.
    #[must_use]
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, text)
    }

    /// A user message.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, text)
    }

    /// An assistant message.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, text)
    }

    /// The answer to one tool call.
    #[must_use]
    pub fn tool_result(call_id: impl Into<String>, text: impl Into<String>, is_error: bool) -> Self {
        Self {
            role: Role::Tool,
            parts: vec![Part::ToolResult {
                call_id: call_id.into(),
                parts: vec![Part::Text { text: text.into() }],
                is_error,
                artifact: None,
            }],
        }
    }

    /// All visible text, joined.
    #[must_use]
    pub fn text(&self) -> String {
        joined_text(&self.parts)
    }

    /// The refusal, if the model refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Refusal { text } => Some(text.as_str()),
            _ => None,
        })
    }

    /// The tool calls of an assistant message, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

impl Part {
    /// A thought without a proof.
    #[must_use]
    pub fn thinking(text: impl Into<String>) -> Self {
        Part::Thinking { text: text.into(), signature: None, redacted: false, provider: None }
    }

    /// A text part.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text { text: text.into() }
    }
}

/// Joins the visible text of `parts`.
pub(crate) fn joined_text(parts: &[Part]) -> String {
    parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_survives_json() {
        let message = Message {
            role: Role::Assistant,
            parts: vec![
                Part::Thinking {
                    text: "hm".into(),
                    signature: Some("s".into()),
                    redacted: false,
                    provider: Some("p".into()),
                },
                Part::text("Hello"),
                Part::ToolCall(ToolCall::new("c1", "add", "{\"a\": 1}")),
            ],
        };
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
        assert!(json.contains(r#""type":"tool_call""#), "{json}");
    }

    #[test]
    fn text_leaves_thoughts_out() {
        let message =
            Message { role: Role::Assistant, parts: vec![Part::thinking("secret"), Part::text("a"), Part::text("b")] };
        assert_eq!(message.text(), "ab");
    }
}
