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
//!
//! What an agent, a harness or a graph does is kept in a store, and a run that was stopped goes on by its name. [`state`] has
//! the store in memory; the feature `state-sqlite` (on by default) has the one in a file, `state-postgres` the one that
//! machines share.
//!
//! ```
//! use std::sync::Arc;
//! use atomr_agents::prelude::*;
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let schema = StateSchema::builder().add("log", AppendList).build()?;
//! let graph = Graph::builder("greeting", schema)
//!     .node("ask", |call: NodeCall| async move {
//!         let name = call.ctx.interrupt(json!("Who are you?")).await?;
//!         Ok(Update::new().write("log", json!([format!("hello {}", name.as_str().unwrap_or("you"))])))
//!     })
//!     .edge(START, "ask")
//!     .edge("ask", END)
//!     .build()?;
//! let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! let runner = StatefulRunner::with_store(graph.clone(), store.clone(), RunnerOptions::default());
//! let asked = runner.run(json!({}), RunOptions::named("visit-1")).await?;
//! assert_eq!(asked.interrupts[0].value, json!("Who are you?"));
//! drop(runner);
//!
//! // Whoever has the store and the graph can answer.
//! let runner = StatefulRunner::with_store(graph, store, RunnerOptions::default());
//! let done = runner.resume("visit-1", [Command::Answer(json!("Ada"))], RunOptions::default()).await?;
//! assert_eq!(done.state.get::<Vec<String>>("log")?, ["hello Ada"]);
//! # Ok(()) }
//! ```

pub use atomr_agents_agent as agent;
pub use atomr_agents_cache as cache;
pub use atomr_agents_callable as callable;
pub use atomr_agents_core as core;
pub use atomr_agents_embed as embed;
#[cfg(feature = "embed-onnx")]
pub use atomr_agents_embed_onnx as embed_onnx;
pub use atomr_agents_embed_remote as embed_remote;
pub use atomr_agents_embed_tools as embed_tools;
pub use atomr_agents_harness as harness;
pub use atomr_agents_inference as inference;
pub use atomr_agents_ingest as ingest;
pub use atomr_agents_memory as memory;
pub use atomr_agents_observability as observability;
pub use atomr_agents_parser as parser;
pub use atomr_agents_retriever as retriever;
pub use atomr_agents_state as state;
pub use atomr_agents_strategy as strategy;
pub use atomr_agents_tokens as tokens;
pub use atomr_agents_tool as tool;
pub use atomr_agents_workflow as workflow;

#[cfg(feature = "cache-redis")]
pub use atomr_agents_cache_redis as cache_redis;
#[cfg(feature = "memory-postgres")]
pub use atomr_agents_memory_postgres as memory_postgres;
#[cfg(feature = "provider-anthropic")]
pub use atomr_agents_provider_anthropic as provider_anthropic;
#[cfg(feature = "provider-gemini")]
pub use atomr_agents_provider_gemini as provider_gemini;
#[cfg(feature = "provider-local")]
pub use atomr_agents_provider_local as provider_local;
#[cfg(feature = "provider-openai")]
pub use atomr_agents_provider_openai as provider_openai;
#[cfg(feature = "state-postgres")]
pub use atomr_agents_state_postgres as state_postgres;
#[cfg(feature = "state-sqlite")]
pub use atomr_agents_state_sqlite as state_sqlite;
#[cfg(feature = "testkit")]
pub use atomr_agents_testkit as testkit;

/// What most programs need. It is the common path, not the whole house.
pub mod prelude {
    pub use atomr_agents_agent::{Agent, AgentBuilder, AgentOptions, BoxedAgent, Durable, RunError, RunResult};
    pub use atomr_agents_callable::{Callable, Pipeline};
    pub use atomr_agents_core::{CallCtx, Document, Event, EventKind, Kind, Message, Part, Role};
    pub use atomr_agents_inference::InferenceClient;
    pub use atomr_agents_observability::EventBus;
    pub use atomr_agents_state::{AppendList, MemoryStore, StateSchema, Store};
    pub use atomr_agents_strategy::{StaticInstructions, StaticTools};
    pub use atomr_agents_tool::{FnTool, Tool, ToolError, ToolOptions};
    pub use atomr_agents_workflow::{
        Command, END, Graph, NodeCall, RunOptions, RunnerOptions, START, StatefulRunner, Update,
    };

    #[cfg(feature = "memory-postgres")]
    pub use atomr_agents_memory_postgres::{PgVectorLong, PgVectorOptions};
    #[cfg(feature = "provider-anthropic")]
    pub use atomr_agents_provider_anthropic::{AnthropicClient, AnthropicConfig};
    #[cfg(feature = "provider-gemini")]
    pub use atomr_agents_provider_gemini::{GeminiClient, GeminiConfig};
    #[cfg(feature = "provider-openai")]
    pub use atomr_agents_provider_openai::{OpenAiClient, OpenAiConfig, OpenAiResponsesClient, OpenAiResponsesConfig};
    #[cfg(feature = "state-postgres")]
    pub use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
    #[cfg(feature = "state-sqlite")]
    pub use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
}
