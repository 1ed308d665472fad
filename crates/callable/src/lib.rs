//! Everything that can be called with a value is a [`Callable`]: a closure, an agent, a guest written in Python, and
//! any composition of them. [`Pipeline`] and [`FanOut`] compose; [`Retry`], [`Fallbacks`], [`Timeout`], [`Branch`] and
//! [`WithConfig`] decorate; each of them is a callable again.
//!
//! **Cancelling.** Dropping the future of a call stops everything below it: no composition spawns a task. A cancelled
//! context starts nothing new and cuts every wait of a decorator short; a call that is under way sees the same token,
//! or a child of it, and ends by itself, so that it can put its things in order. [`FnCallable`] ends a closure that does
//! not look at the token.
//!
//! **Panics** of a closure, and of a branch of a fan-out, come back as [`CallableError::Panicked`].
//!
//! This crate knows no model, no tool and no agent.
//!
//! ```
//! use std::time::Duration;
//! use atomr_agents_callable::{Callable, FnCallable, Pipeline, Retry, RetryPolicy};
//! use atomr_agents_core::CallCtx;
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let double = FnCallable::new("double", |n, _ctx| async move { Ok(json!(n.as_i64().unwrap_or(0) * 2)) });
//! let patient = Retry::new(double, RetryPolicy { max_attempts: 5, ..RetryPolicy::default() })?;
//! let pipeline = Pipeline::from(patient).assign("twice", FnCallable::new("keep", |v, _| async { Ok(v) })).build()?;
//! assert_eq!(pipeline.call(json!(21), CallCtx::new()).await?, json!({"input": 42, "twice": 42}));
//! # Ok(()) })}
//! ```

mod branch;
mod callable;
mod config;
pub mod conformance;
mod error;
mod fallbacks;
mod fan_out;
mod function;
mod pipeline;
mod retry;
mod timeout;

pub use branch::{Branch, predicate};
pub use callable::{Callable, CallableHandle, Passthrough};
pub use config::{RunConfig, WithConfig};
pub use error::CallableError;
pub use fallbacks::Fallbacks;
pub use fan_out::FanOut;
pub use function::FnCallable;
pub use futures_util::future::BoxFuture;
pub use pipeline::{Pipeline, PipelineBuilder};
pub use retry::{Retry, RetryPolicy};
pub use timeout::Timeout;
