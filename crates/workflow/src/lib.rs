//! Graphs of steps over typed channels, and runs of them that go on after a crash.
//!
//! A [`Graph`] is made of steps ([`Node`]) and edges; a [`StatefulRunner`] runs it in super-steps: what is due runs at the same
//! time, what it writes goes through the reducers of the state's channels, and a checkpoint is written. A [`Dag`] is
//! another way to say the same, for steps that hand their results on; both are run by one engine.
//!
//! A step may ask somebody and wait ([`NodeCtx::interrupt`]), have effects that happen once ([`NodeCtx::effect`]), send the
//! run wherever it likes ([`Update::goto`], [`Update::send`]). While the process lives, a step that waits goes on in the
//! very frame in which it stood; after a crash it is run again, and everything that it did is served from the log.
//!
//! This crate knows no database, no model, no tool and no Python.

mod cache;
mod ctx;
mod dag;
mod error;
mod graph;
mod interrupt;
mod life;
mod node;
mod plan;
mod question;
mod render;
mod router;
mod run;
mod update;

pub use atomr_agents_callable::RetryPolicy;
pub use cache::{CacheKey, CachePolicy};
pub use ctx::{EffectCall, NodeCtx};
pub use dag::{
    Approval, Dag, DagBuilder, InputMapping, JoinStrategy, Source, Step, StepOptions, WorkflowOutcome, WorkflowRunner,
};
pub use error::{NodeError, WorkflowError};
pub use graph::{
    END, EdgeKind, EdgeShape, Graph, GraphBuilder, GraphDifference, GraphError, GraphFault, GraphShape, NodeShape,
    START,
};
pub use interrupt::{Command, Interrupt, InterruptKind};
pub use node::{Destinations, Node, NodeCall, NodeOptions, RetryWhen};
pub use question::Question;
pub use router::Router;
pub use run::{
    Existing, InputMap, OnChange, OutputMap, Part, RunOptions, RunOutcome, RunStream, RunnerOptions, Snapshot,
    StatefulRunner, Subgraph,
};
pub use update::{Target, Update, dispatch_fan_out};
