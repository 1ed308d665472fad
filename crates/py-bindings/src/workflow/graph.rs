//! Graphs put together in Python.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_py_bridge::{GuestError, original};
use atomr_agents_workflow::{
    self as workflow, CachePolicy, Destinations, NodeOptions, RetryPolicy, RetryWhen, Subgraph, WorkflowError,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::node::{PythonNode, Takes};
use super::router::router;
use super::shape::Shape;
use crate::callable::may_pass;
use crate::errors::{Fault, config};
use crate::seconds::optional;
use crate::state::schema_of;

#[pyclass(frozen, module = "atomr_agents._native.workflow")]
pub(crate) struct Graph {
    pub(super) graph: workflow::Graph,
    pub(super) shape: Arc<Shape>,
}

/// A step as Python describes it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Step<'py> {
    name: String,
    body: Bound<'py, PyAny>,
    takes: String,
    /// Where it may send the run; the word `*` for anywhere.
    goes: Option<Vec<String>>,
    retry: Option<Retry<'py>>,
    timeout: Option<f64>,
    idle_timeout: Option<f64>,
    /// How long answers are kept: 0 for as long as there is room.
    cache: Option<f64>,
    version: String,
}

/// How often, the first wait, by what it grows, the longest wait, and which errors may pass.
type Retry<'py> = (u32, f64, f64, f64, Option<Bound<'py, PyAny>>);

/// A router as Python describes it: after which step, the function, its mapping, the targets with their labels, whether it
/// takes the config.
type Branch<'py> = (String, Bound<'py, PyAny>, Option<Bound<'py, PyDict>>, Option<Vec<(String, String)>>, bool);

impl Step<'_> {
    fn options(&self) -> PyResult<NodeOptions> {
        let goes = match &self.goes {
            None => Destinations::Edges,
            Some(names) if names.iter().any(|name| name == "*") => Destinations::Any,
            Some(names) => Destinations::To(names.clone()),
        };
        let retry = match &self.retry {
            None => None,
            Some((max_attempts, initial, multiplier, longest, _)) => Some(RetryPolicy {
                max_attempts: *max_attempts,
                initial_backoff: span("initial_interval", *initial)?,
                multiplier: *multiplier,
                max_backoff: span("max_interval", *longest)?,
            }),
        };
        let retry_when = self.retry.as_ref().map(|retry| retry_when(retry.4.clone().map(Bound::unbind)));
        let ttl = self.cache.map(|ttl| span("ttl", ttl)).transpose()?;
        Ok(NodeOptions {
            goes,
            retry,
            retry_when,
            cache: ttl.map(|ttl| CachePolicy { ttl: Some(ttl).filter(|ttl| *ttl > Duration::ZERO), key: None }),
            timeout: optional("timeout", self.timeout)?,
            idle_timeout: optional("idle_timeout", self.idle_timeout)?,
            version: self.version.clone(),
            ..NodeOptions::default()
        })
    }
}

/// A wait, which may be nothing.
fn span(setting: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| config(format!("{setting} must be a number of seconds from 0 on, not {seconds}")))
}

/// Which errors may pass: those that the user's function says, or what is no mistake in the program.
fn retry_when(says: Option<Py<PyAny>>) -> RetryWhen {
    let says = says.map(Arc::new);
    Arc::new(move |error| {
        let (Some(says), Some(GuestError::Raised(raised))) = (&says, original(error)) else {
            return error.kind().retryable() || may_pass(error);
        };
        Python::attach(|py| {
            let said = says.bind(py).call1((raised.exception(py),)).and_then(|said| said.is_truthy());
            said.unwrap_or(false)
        })
    })
}

/// A graph as Python describes it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Plan<'py> {
    values: Bound<'py, PyAny>,
    make: Option<Bound<'py, PyAny>>,
    steps: Vec<Step<'py>>,
    edges: Vec<(String, String)>,
    joins: Vec<(Vec<String>, String)>,
    branches: Vec<Branch<'py>>,
}

#[pymethods]
impl Graph {
    #[new]
    fn new<'py>(name: &str, schema: &Bound<'py, PyAny>, plan: Plan<'py>) -> PyResult<Self> {
        let Plan { values, make, steps, edges, joins, branches } = plan;
        let shape = Arc::new(Shape { values: values.unbind(), make: make.map(Bound::unbind) });
        let mut builder = workflow::Graph::builder(name, schema_of(schema)?);
        for step in &steps {
            let mut options = step.options()?;
            if let Ok(inner) = step.body.cast::<Self>() {
                options.kind = Some("subgraph");
                builder = builder.node_with(&step.name, Subgraph::new(inner.get().graph.clone()), options);
                continue;
            }
            let takes = match step.takes.as_str() {
                "" => Takes::Nothing,
                "context" => Takes::Context,
                "config" => Takes::Config,
                other => return Err(config(format!("a step takes context or config after the state, not {other:?}"))),
            };
            let node = PythonNode::wrap(&step.name, &step.body, takes, &shape)?;
            builder = builder.node_with(&step.name, node, options);
        }
        for (from, to) in &edges {
            builder = builder.edge(from, to);
        }
        for (from, to) in &joins {
            builder = builder.join(from.iter().map(String::as_str), to);
        }
        for (from, function, mapping, targets, takes_config) in branches {
            let router = router(&from, &function, mapping, takes_config, &shape)?;
            builder = match &targets {
                Some(targets) => {
                    let targets = targets.iter().map(|(label, target)| (label.as_str(), target.as_str()));
                    builder.labelled_branch(&from, router, targets)
                }
                None => builder.open_branch(&from, router),
            };
        }
        let graph = builder.build().map_err(|error| Fault(WorkflowError::Graph(error)))?;
        Ok(Self { graph, shape })
    }

    #[getter]
    fn name(&self) -> &str {
        self.graph.name()
    }

    #[getter]
    fn version(&self) -> &str {
        self.graph.version()
    }

    fn mermaid(&self) -> String {
        self.graph.mermaid()
    }

    fn svg(&self) -> String {
        self.graph.svg()
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.graph)
    }
}
