//! The tracers of the house as Python sees them: run trees, lines for people, lines of JSON.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atomr_agents_core::Money;
use atomr_agents_observability::{self as obs, FlushPolicy, OutputOptions, RunTreeLimits, Tracer};
use atomr_agents_py_bridge::{detached, json};
use pyo3::prelude::*;

use crate::core::{Reduced, Usage, reduced, to_py};
use crate::errors::{Fault, config};
use crate::event::Event;

/// The tracer that needs no Python, if `target` is one.
pub(crate) fn native_tracer(target: &Bound<'_, PyAny>) -> Option<Arc<dyn Tracer>> {
    if let Ok(tree) = target.cast::<RunTree>() {
        return Some(Arc::new(tree.get().0.clone()));
    }
    let jsonl = target.cast::<JsonlTracer>().ok()?;
    Some(Arc::clone(&jsonl.get().0) as Arc<dyn Tracer>)
}

#[pyclass(frozen, module = "atomr_agents._native.observability")]
pub(crate) struct JsonlTracer(Arc<obs::JsonlTracer>);

#[pymethods]
impl JsonlTracer {
    #[new]
    fn new(path: PathBuf, capacity: usize, flush: &Bound<'_, PyAny>, deadline: f64, redact: bool) -> PyResult<Self> {
        let options = OutputOptions {
            capacity,
            flush: policy(flush)?,
            deadline: Duration::try_from_secs_f64(deadline).map_err(|error| config(error.to_string()))?,
            redact,
        };
        let tracer = obs::JsonlTracer::open_with(path, options).map_err(Fault)?;
        Ok(Self(Arc::new(tracer)))
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    #[getter]
    fn written(&self) -> u64 {
        self.0.written()
    }

    #[getter]
    fn lost(&self) -> u64 {
        self.0.lost()
    }

    fn close(&self, py: Python<'_>, deadline: f64) -> PyResult<()> {
        let deadline = Duration::try_from_secs_f64(deadline).map_err(|error| config(error.to_string()))?;
        let tracer = Arc::clone(&self.0);
        detached(py, move || tracer.close(deadline))?.map_err(|error| Fault(error).into())
    }
}

fn policy(flush: &Bound<'_, PyAny>) -> PyResult<FlushPolicy> {
    if let Ok(seconds) = flush.extract::<f64>() {
        let interval = Duration::try_from_secs_f64(seconds).map_err(|error| config(format!("flush: {error}")))?;
        return Ok(FlushPolicy::Every(interval));
    }
    match flush.extract::<String>().as_deref() {
        Ok("idle") => Ok(FlushPolicy::Idle),
        Ok("event") => Ok(FlushPolicy::Event),
        _ => Err(config("flush must be \"idle\", \"event\" or a number of seconds")),
    }
}

#[pyclass(frozen, module = "atomr_agents._native.observability")]
pub(crate) struct LineFormatter(Mutex<obs::LineFormatter>);

#[pymethods]
impl LineFormatter {
    #[new]
    #[pyo3(signature = (*, colors = false, redact = true))]
    fn new(colors: bool, redact: bool) -> Self {
        Self(Mutex::new(obs::LineFormatter::new(colors, redact)))
    }

    fn event(&self, event: &Event) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).event(&event.0)
    }

    fn rest(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rest()
    }
}

#[pyclass(frozen, module = "atomr_agents._native.observability")]
pub(crate) struct RunTree(obs::RunTree);

#[pymethods]
impl RunTree {
    #[new]
    #[pyo3(signature = (*, runs = 100, nodes = 10_000, text = 1_000))]
    fn new(runs: usize, nodes: usize, text: usize) -> PyResult<Self> {
        if runs == 0 || nodes == 0 {
            return Err(config("runs and nodes must be at least 1"));
        }
        Ok(Self(obs::RunTree::with_limits(RunTreeLimits { runs, nodes, text })))
    }

    fn ingest(&self, event: &Event) {
        self.0.ingest(&event.0);
    }

    fn roots(&self) -> Vec<RunNode> {
        self.0.roots().into_iter().map(|node| RunNode(Arc::new(node))).collect()
    }

    fn get(&self, run_id: &str) -> Option<RunNode> {
        let run = atomr_agents_core::RunId::parse(run_id)?;
        self.0.get(run).map(|node| RunNode(Arc::new(node)))
    }

    #[getter]
    fn forgotten(&self) -> u64 {
        self.0.forgotten()
    }

    #[getter]
    fn missed(&self) -> u64 {
        self.0.missed()
    }

    fn clear(&self) {
        self.0.clear();
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("RunTree({} nodes)", self.0.len())
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.observability")]
#[derive(PartialEq)]
pub(crate) struct RunNode(Arc<obs::RunNode>);

/// The class's methods: those written out, and a getter for each line of the table.
macro_rules! node_class {
    ({ $($methods:tt)* } $($field:ident: $type:ty = $get:expr;)+) => {
        #[pymethods]
        impl RunNode {
            $($methods)*

            $(
                #[getter]
                fn $field(&self) -> $type {
                    let get: fn(&obs::RunNode) -> $type = $get;
                    get(&self.0)
                }
            )+
        }
    };
}

node_class! {
    {
        #[staticmethod]
        fn from_dict(value: &Bound<'_, PyAny>) -> PyResult<Self> {
            serde_json::from_value(json::from_py(value)?)
                .map(|node| Self(Arc::new(node)))
                .map_err(|error| config(format!("this is no node of a run tree: {error}")))
        }

        #[getter]
        fn children(&self) -> Vec<Self> {
            self.0.children.iter().map(|child| Self(Arc::clone(child))).collect()
        }

        fn walk(&self) -> Vec<Self> {
            fn add(node: &Arc<obs::RunNode>, nodes: &mut Vec<RunNode>) {
                nodes.push(RunNode(Arc::clone(node)));
                node.children.iter().for_each(|child| add(child, nodes));
            }
            let mut nodes = Vec::new();
            add(&self.0, &mut nodes);
            nodes
        }

        fn total_usage(&self) -> Usage {
            Usage(self.0.total_usage())
        }

        fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            to_py(py, &*self.0)
        }

        fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
            reduced(slf.as_any())
        }

        fn __str__(&self) -> String {
            self.0.to_string()
        }

        fn __repr__(&self) -> String {
            format!("RunNode({}, {:?}, {})", self.0.kind.as_str(), self.0.name, self.0.status.as_str())
        }
    }
    arguments: Option<&str> = |node| node.arguments.as_deref();
    cached: bool = |node| node.cached;
    call_id: Option<&str> = |node| node.call_id.as_deref();
    cost: Option<f64> = |node| node.cost.map(Money::usd);
    elapsed_ms: Option<u64> = |node| node.elapsed_ms;
    error: Option<&'static str> = |node| node.error.map(|error| error.as_str());
    events: u64 = |node| node.events;
    finish: Option<&str> = |node| node.finish.as_deref();
    kind: &'static str = |node| node.kind.as_str();
    message: Option<&str> = |node| node.message.as_deref();
    missed: u64 = |node| node.missed;
    name: &str = |node| &node.name;
    omitted: u64 = |node| node.omitted;
    parent_run_id: Option<String> = |node| node.parent.map(|run| run.to_string());
    path: &str = |node| &node.path;
    result: Option<&str> = |node| node.result.as_deref();
    retries: u32 = |node| node.retries;
    run_id: String = |node| node.run.to_string();
    started_ms: u64 = |node| node.started_ms;
    status: &'static str = |node| node.status.as_str();
    usage: Option<Usage> = |node| node.usage.clone().map(Usage);
}
