//! The Rust door of atomr-agents: every crate of the workspace under one name, and nothing of its own.
//!
//! ```
//! use std::sync::Arc;
//! use atomr_agents::prelude::*;
//! use atomr_agents_testkit::ScriptedModel;
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
//! let forecast = FnTool::new("forecast", "Tomorrow's weather.", parameters, |arguments, _ctx| async move {
//!     Ok(json!(format!("Rain in {}", arguments["city"].as_str().unwrap_or("?"))))
//! });
//! let model = ScriptedModel::new().tool_calls([("forecast", json!({"city": "Oslo"}))]).text("Take an umbrella.");
//! let agent = AgentBuilder::new(Arc::new(model), "scripted")
//!     .instructions("Answer in one line.")
//!     .with_tools(StaticTools::new([Arc::new(forecast) as Arc<dyn Tool>])?)
//!     .build()?;
//! assert_eq!(agent.run("Oslo?", CallCtx::new()).await?.output, "Take an umbrella.");
//! # Ok(()) }
//! ```

pub use atomr_agents_agent as agent;
pub use atomr_agents_cache as cache;
pub use atomr_agents_callable as callable;
pub use atomr_agents_core as core;
pub use atomr_agents_harness as harness;
pub use atomr_agents_inference as inference;
pub use atomr_agents_observability as observability;
pub use atomr_agents_state as state;
pub use atomr_agents_strategy as strategy;
pub use atomr_agents_tokens as tokens;
pub use atomr_agents_tool as tool;
pub use atomr_agents_workflow as workflow;

#[cfg(feature = "provider-anthropic")]
pub use atomr_agents_provider_anthropic as provider_anthropic;
#[cfg(feature = "provider-gemini")]
pub use atomr_agents_provider_gemini as provider_gemini;
#[cfg(feature = "provider-local")]
pub use atomr_agents_provider_local as provider_local;
#[cfg(feature = "provider-openai")]
pub use atomr_agents_provider_openai as provider_openai;
#[cfg(feature = "testkit")]
pub use atomr_agents_testkit as testkit;

/// What most programs need. It is the common path, not the whole house.
pub mod prelude {
    pub use atomr_agents_agent::{Agent, AgentBuilder, AgentOptions, BoxedAgent, RunError, RunResult};
    pub use atomr_agents_callable::{Callable, Pipeline};
    pub use atomr_agents_core::{CallCtx, Event, EventKind, Kind, Message, Part, Role};
    pub use atomr_agents_inference::InferenceClient;
    pub use atomr_agents_observability::EventBus;
    pub use atomr_agents_strategy::{StaticInstructions, StaticTools};
    pub use atomr_agents_tool::{FnTool, Tool, ToolError, ToolOptions};

    #[cfg(feature = "provider-anthropic")]
    pub use atomr_agents_provider_anthropic::{AnthropicClient, AnthropicConfig};
    #[cfg(feature = "provider-gemini")]
    pub use atomr_agents_provider_gemini::{GeminiClient, GeminiConfig};
    #[cfg(feature = "provider-openai")]
    pub use atomr_agents_provider_openai::{OpenAiClient, OpenAiConfig, OpenAiResponsesClient, OpenAiResponsesConfig};
}
