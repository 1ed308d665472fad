//! The extension module `atomr_agents._native`: thin classes over the crates, one file per submodule. Nothing is
//! decided here; what users see is `python/atomr_agents`.
#![allow(missing_docs)] // the documentation of these classes is in the stubs, where users and tools read it

mod agent;
mod approval;
mod budget;
mod cache;
mod call_next;
mod callable;
mod cli;
mod context;
mod core;
mod document;
mod durable;
mod embed;
mod errors;
mod event;
mod guest;
mod harness;
mod harness_state;
mod inference;
mod ingest;
mod memory;
mod middleware;
mod observability;
mod parser;
mod permission;
mod reconcile;
mod retriever;
mod run;
mod seconds;
mod session;
mod shared_events;
mod state;
mod strategy;
mod termination;
mod testkit;
mod tool;
mod tool_return;
mod toolset;
mod tracers;
mod workflow;

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Makes the submodule `_native.<name>`, importable by its path.
fn submodule(parent: &Bound<'_, PyModule>, name: &str, fill: fn(&Bound<'_, PyModule>) -> PyResult<()>) -> PyResult<()> {
    let py = parent.py();
    let path = format!("{}.{name}", parent.name()?);
    let module = PyModule::new(py, &path)?;
    fill(&module)?;
    parent.add(name, &module)?;
    py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.set_item(path, module)
}

#[pymodule(gil_used = true)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // As Python writes it: 1.0.0a1, not 1.0.0-alpha.1.
    module.add("__version__", env!("CARGO_PKG_VERSION").replace("-alpha.", "a"))?;
    module.add("__path__", Vec::<String>::new())?;
    // The exceptions are Python's, so that they can have fields; from here on the bridge raises them.
    atomr_agents_py_bridge::faults::install(&module.py().import("atomr_agents.errors")?)?;
    submodule(module, "errors", errors::fill)?;
    submodule(module, "core", core::fill)?;
    submodule(module, "tool", tool::fill)?;
    submodule(module, "embed", embed::fill)?;
    submodule(module, "guest", guest::fill)?;
    submodule(module, "strategy", strategy::fill)?;
    submodule(module, "memory", memory::fill)?;
    submodule(module, "observability", observability::fill)?;
    submodule(module, "ingest", ingest::fill)?;
    submodule(module, "parser", parser::fill)?;
    submodule(module, "retriever", retriever::fill)?;
    submodule(module, "callable_", callable::fill)?;
    submodule(module, "cache", cache::fill)?;
    submodule(module, "cli", cli::fill)?;
    submodule(module, "agent", agent::fill)?;
    submodule(module, "harness", harness::fill)?;
    submodule(module, "state", state::fill)?;
    submodule(module, "workflow", workflow::fill)?;
    submodule(module, "testkit", testkit::fill)?;
    submodule(module, "_bridge_test", atomr_agents_py_bridge::selftest::register)
}
