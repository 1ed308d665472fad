//! The harness: a loop of iterations that ends when its [`LoopStrategy`] is done, when its [`TerminationStrategy`] says
//! so, or when its budget is used up, and whose result says which of these it was.
//!
//! What iterations hand on is the working memory, any JSON value; it begins as the input. An iteration is charged to the
//! budget before it runs, and whatever runs below draws on the same budget through `ctx.meter()`. Where a store is given,
//! each iteration is kept when it has ended, and another process goes on after the last one.
//!
//! This crate knows no agent, no model and no Python. One engine serves the typed [`Harness`] and [`BoxedHarness`].
//!
//! ```
//! use atomr_agents_core::CallCtx;
//! use atomr_agents_harness::{Ended, FnLoop, Harness, HarnessSpec, IterationCap, LoopStep};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let halve = FnLoop::new(|state, _ctx| async move {
//!     let half = state.working_memory.as_u64().unwrap_or(0) / 2;
//!     Ok(if half == 1 { LoopStep::done(json!("a power of two, or so")) } else { LoopStep::proceed(json!(half)) })
//! });
//! let harness = Harness::new(HarnessSpec::new("halve", "1"), halve, IterationCap(5))?;
//! assert_eq!(harness.run(json!(16), CallCtx::new()).await?.iterations, 4);
//! let ended = harness.run(json!(1_000_000), CallCtx::new()).await?;
//! assert_eq!((ended.output, ended.ended), (json!(31_250), Ended::terminated("iteration_cap")));
//! # Ok(()) }
//! ```

mod callable;
mod callable_loop;
mod driver;
mod engine;
mod error;
mod harness;
mod kept;
mod limit;
mod log;
mod memory;
mod outcome;
mod settlement;
mod spec;
mod within;

pub use atomr_agents_strategy::{
    All, Any, CostLimit, FnLoop, HarnessState, IdempotencyKey, IterationCap, LoopStep, LoopStrategy, Never, NoProgress,
    Not, Predicate, StaticLoop, StepEffect, StepEvent, TerminationStrategy, TimeLimit, TokenLimit, Verdict,
};
pub use callable_loop::CallableLoop;
pub use error::{HarnessError, HarnessFailure};
pub use harness::{BoxedHarness, Harness, HarnessOptions};
pub use outcome::{Ended, HarnessOutcome};
pub use settlement::Settlement;
pub use spec::HarnessSpec;
