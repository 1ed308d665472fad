//! What is asked of a model and what it answers.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Citation, Message, ToolCall, ToolSpec, Usage};

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
    /// After which parts of the prompt the provider shall keep what it has read, where that must be asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<CachePoint>,
    /// Words about the request for the provider's records, such as `user_id`; each provider takes those it knows.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Fields put into the provider's request body as they are; they win over everything else.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra_body: Map<String, Value>,
}

/// A place in the prompt up to which the provider shall keep what it has read. The prompt is read in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CachePoint {
    /// After the tools.
    Tools,
    /// After the system messages.
    System,
    /// After the last message of the request.
    Messages,
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
    /// The most tokens a reasoning model may think, where the provider counts them apart; 0 turns thinking off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<u32>,
}

/// What a model says, piece by piece. A stream of these ends with [`ModelEvent::Finish`]
/// or with an error; a stream that just stops was interrupted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelEvent {
    /// The provider has begun to answer.
    Started {
        /// The provider's id of the response.
        id: Option<String>,
        /// The model that really answers.
        model: Option<String>,
    },
    /// This provider answers, not the one the client names: one client may speak for several. Comes first.
    AnsweredBy(String),
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
    /// A thought that the provider keeps to itself: only its proof.
    RedactedThinking(String),
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
    /// A tool that the provider itself runs was asked for or answered; kept as [`crate::Part::ServerTool`].
    ServerTool {
        /// The tool and which side of it this is, in the provider's word.
        name: String,
        /// The provider's own JSON.
        data: Value,
    },
    /// Where the text so far comes from.
    Citation(Citation),
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
    /// The provider paused in the middle of its own work: asked again with the transcript as it is, it goes on.
    Paused,
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
            cache: Vec::new(),
            metadata: Map::new(),
            extra_body: Map::new(),
        }
    }
}
