//! What is asked of a model and what it answers.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Message, ToolCall, ToolSpec, Usage};

/// One call of a model. Providers lower it to their own wire format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// The model's name as the provider knows it.
    pub model: String,
    /// The transcript so far.
    pub messages: Vec<Message>,
    /// The tools the model may call.
    #[serde(default)]
    pub tools: Vec<Arc<ToolSpec>>,
    /// Which of them it must call.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// The shape the final text must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSchema>,
    /// How tokens are drawn.
    #[serde(default)]
    pub sampling: Sampling,
    /// Fields put into the provider's request body as they are; they win over everything else.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra_body: Map<String, Value>,
}

/// Which tool the model must call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool.
    None,
    /// At least one tool.
    Required,
    /// This tool.
    Tool(String),
}

/// The shape the final text must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputSchema {
    /// A name for the shape, `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// JSON Schema.
    pub schema: Value,
    /// Whether the provider shall force it, where it can.
    #[serde(default)]
    pub strict: bool,
}

/// How tokens are drawn. `None` leaves the provider's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// 0 is nearly deterministic; providers accept up to 1 or 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: the probability mass considered, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens the model may write, thoughts included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Texts at which the model stops.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// For repeatable output, where the provider supports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How hard a reasoning model shall think, in the provider's own word (`low`, `medium`, `high`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
}

/// What a model says, piece by piece. A stream of these ends with [`ModelEvent::Finish`]
/// or with an error; a stream that just stops was interrupted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ModelEvent {
    /// The provider has begun to answer.
    Started {
        /// The provider's id of the response.
        id: Option<String>,
        /// The model that really answers.
        model: Option<String>,
    },
    /// The call is made again from the start: whatever came before it is void.
    Retrying {
        /// The attempt that begins after the wait; the first call was attempt 1.
        attempt: u32,
        /// How long until then.
        wait: Duration,
        /// Why.
        reason: String,
    },
    /// Visible text.
    Text(String),
    /// A thought.
    Thinking(String),
    /// The proof that goes with the thoughts so far.
    ThinkingSignature(String),
    /// A refusal.
    Refusal(String),
    /// A tool call begins.
    ToolCallStarted {
        /// Position among the calls of this answer, from 0.
        index: u32,
        /// The provider's id for the call.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A piece of a tool call's arguments.
    ToolCallDelta {
        /// Position among the calls of this answer.
        index: u32,
        /// JSON text, cut anywhere.
        arguments: String,
    },
    /// A tool call is written to its end. It may be run only after [`ModelEvent::Finish`].
    ToolCallFinished {
        /// Position among the calls of this answer.
        index: u32,
        /// The whole call.
        call: ToolCall,
    },
    /// Something only this provider understands; kept in the transcript as [`crate::Part::Opaque`].
    Opaque(Value),
    /// Tokens used; a later one replaces an earlier one.
    Usage(Usage),
    /// The answer is complete.
    Finish {
        /// Why it ended, normalised.
        reason: FinishReason,
        /// Why it ended, in the provider's own word.
        raw: String,
    },
    /// An event of another choice than the first, when the provider was asked for several.
    Alternative {
        /// The choice's position, from 1.
        choice: u32,
        /// What it says.
        event: Box<ModelEvent>,
    },
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// The limit of output tokens or the context window was reached.
    Length,
    /// The model waits for tools.
    ToolCalls,
    /// The provider's safety system cut the answer.
    ContentFilter,
    /// Anything else; see the provider's own word.
    Other,
}

impl ModelRequest {
    /// A request without tools, with the provider's defaults.
    #[must_use]
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self {
            model: model.into(),
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::default(),
            output: None,
            sampling: Sampling::default(),
            extra_body: Map::new(),
        }
    }
}
