//! What happens in a run, told to whoever listens.
//!
//! [`RunEvents`] numbers what a run emits and publishes it to the run's own [`EventBus`] and to any others;
//! a [`Subscription`] takes many events per wake-up and is told exactly how many it missed; a [`Tracer`] is a
//! subscriber written as a trait, driven by a task that its [`TracerHandle`] owns. Three tracers are here: [`RunTree`]
//! keeps what runs did as trees to be asked and printed, [`StdoutTracer`] writes lines for people, [`JsonlTracer`]
//! lines of JSON into a file.
//!
//! Producers never wait for a subscriber, and no code of a subscriber runs inside [`EventBus::publish`]: a consumer may
//! publish, subscribe and unsubscribe as it likes. Memory is bounded by the bus's capacity.
//!
//! This crate knows no agent, no store and no network; it holds what is in flight and a bounded part of what was.
//!
//! ```
//! use std::sync::Arc;
//! use atomr_agents_core::{CallCtx, EventKind};
//! use atomr_agents_observability::RunEvents;
//!
//! let events = Arc::new(RunEvents::new([]));
//! let mut stream = events.subscribe();
//! let ctx = CallCtx::new().with_sink(events.clone());
//! ctx.emit(EventKind::RunStarted { agent: "a".into(), model: "m".into() });
//! ctx.emit(EventKind::TextDelta { text: "Hi".into() });
//! events.close();
//!
//! let batch = stream.try_recv_batch(100).unwrap();
//! let numbers: Vec<_> = batch.events.iter().map(|event| (event.seq, event.index)).collect();
//! assert_eq!((numbers, batch.missed), (vec![(1, 0), (1, 1)], 0));
//! assert!(stream.try_recv_batch(100).is_err()); // the run is over
//! ```

use std::future::Future;
use std::pin::Pin;

mod batch;
mod bus;
pub mod conformance;
mod error;
mod handle;
mod jsonl;
mod lines;
mod output;
mod recording;
mod redact;
mod ring;
mod run_events;
mod run_node;
mod run_tree;
mod stdout;
mod subscription;
mod text;
mod tracer;

pub use batch::Batch;
pub use bus::{DEFAULT_CAPACITY, EventBus};
pub use error::{TracerError, TryRecvError};
pub use handle::TracerHandle;
pub use jsonl::JsonlTracer;
pub use lines::LineFormatter;
pub use output::{FlushPolicy, OutputOptions};
pub use recording::RecordingTracer;
pub use redact::{redact, redact_event};
pub use run_events::{Hold, Recorder, RunEvents};
pub use run_node::{NodeKind, NodeStatus, RunNode};
pub use run_tree::{RunTree, RunTreeLimits};
pub use stdout::StdoutTracer;
pub use subscription::Subscription;
pub use tracer::Tracer;

/// A future that a trait object returns; the same type that `futures` calls so.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[cfg(test)]
mod samples;
