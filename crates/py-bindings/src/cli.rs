//! `_native.cli`: the command line.

use std::io;

use atomr_agents_cli::{AgentReplay, Exit};
use atomr_agents_py_bridge::block_on;
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;

use crate::state::Store;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run, module)?)
}

/// Does what a command line says; gives its exit code, or what only Python can do: a replay by an agent, as its store, the
/// run, the agent's name and whether JSON is wanted.
#[pyfunction]
fn run(py: Python<'_>, argv: Vec<String>) -> PyResult<Py<PyAny>> {
    match block_on(py, atomr_agents_cli::run(argv, Box::new(io::stdout()), Box::new(io::stderr())))? {
        Exit::Code(code) => code.into_py_any(py),
        Exit::Replay(AgentReplay { store, run, agent, json }) => (Store(store), run, agent, json).into_py_any(py),
    }
}
