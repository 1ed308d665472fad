//! The agent: a run is a serialisable state machine without I/O ([`Machine`]) that is fed outcomes and asks for
//! the next effect, and a driver that performs the effects: calls the model, streams its deltas, fans the tool
//! calls of a turn out and puts their results back in the order of the calls.
//!
//! This crate knows no wire format and no Python. One engine serves both the typed [`Agent`] and [`BoxedAgent`].
//!
//! ```
//! use std::sync::Arc;
//! use atomr_agents_agent::AgentBuilder;
//! use atomr_agents_core::CallCtx;
//! use atomr_agents_testkit::ScriptedModel;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let model = Arc::new(ScriptedModel::new().text("Rain."));
//! let agent = AgentBuilder::new(model, "scripted").instructions("Answer in one word.").build().unwrap();
//! let result = agent.run("Oslo tomorrow?", CallCtx::new()).await.unwrap();
//! assert_eq!(result.output, "Rain.");
//! # }
//! ```

mod agent;
mod agent_tool;
mod approval;
mod bill;
mod budget;
mod callable;
pub mod conformance;
mod driver;
mod durable;
mod effect;
mod engine;
mod error;
mod failure;
mod handoff;
mod input;
mod ledger;
mod limit;
mod machine;
pub mod middleware;
mod model_call;
mod options;
mod output;
mod partial_output;
pub mod providers;
mod run;
mod session;
mod tool_calls;
mod turn;
mod untold;

pub use agent::{Agent, AgentBuilder, BoxedAgent};
pub use agent_tool::AgentTool;
pub use approval::{ApprovalError, Decision, PendingCall, PendingRun};
pub use atomr_agents_core::EffectClass;
pub use atomr_agents_state::Found;
pub use driver::ONCE_WITHIN;
pub use durable::{Divergence, Durable, Edits, OnChange, Replay, StoreLedger, fork_run, resolve};
pub use effect::{AnswerRule, Effect, ToolTask, Verdict};
pub use error::{AgentError, RunError};
pub use failure::{Failure, MachineError};
pub use handoff::Handoff;
pub use input::RunInput;
pub use ledger::{ApprovalLedger, DirLedger, MemoryLedger};
pub use machine::Machine;
pub use middleware::{AgentMiddleware, HookFuture};
pub use options::AgentOptions;
pub use output::OutputValidator;
pub use partial_output::PartialOutput;
pub use run::{Partial, Run, RunResult, Transcript};
pub use session::{
    Compaction, HistoryLimit, OnUnfinished, Policy, Sending, Session, SessionError, SessionOptions, Sessions,
};
pub use turn::{CallResult, Then};
