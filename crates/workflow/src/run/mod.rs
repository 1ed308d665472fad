//! Running a graph.

mod attempt;
mod call;
mod checkpoints;
mod commands;
mod engine;
mod frame;
mod hot;
mod open;
mod options;
pub(crate) mod parts;
mod runner;
pub(crate) mod shared;
mod snapshot;
mod stored;
mod stream;
mod subgraph;
mod super_step;
mod version;

pub use call::RunOutcome;
pub use options::{Existing, OnChange, RunOptions, RunnerOptions};
pub use parts::Part;
pub use runner::StatefulRunner;
pub use snapshot::Snapshot;
pub use stream::RunStream;
pub use subgraph::{InputMap, OutputMap, Subgraph};
