//! `_native.workflow`: graphs of steps over typed channels, and their runs.

mod answer;
mod ctx;
mod dag;
mod graph;
mod node;
mod outcome;
mod router;
mod runner;
mod shape;
mod stream;

use pyo3::prelude::*;

pub(crate) use ctx::NodeGuest;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<dag::DagOutcome>()?;
    module.add_class::<dag::DagRunner>()?;
    module.add_class::<dag::DagStep>()?;
    module.add_class::<graph::Graph>()?;
    module.add_class::<ctx::NodeContext>()?;
    module.add_class::<outcome::Outcome>()?;
    module.add_class::<outcome::RunSnapshot>()?;
    module.add_class::<runner::GraphRunner>()?;
    module.add_class::<stream::RunParts>()?;
    module.add_function(wrap_pyfunction!(ctx::current_node, module)?)
}
