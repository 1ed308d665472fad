//! `_native.agent`, continued: runs that are kept.

use std::collections::BTreeMap;

use atomr_agents_agent::{self as agent, Found, OnChange};
use atomr_agents_py_bridge::json;
use atomr_agents_state::When;
use pyo3::prelude::*;

use crate::core::{Message, messages};
use crate::errors::config;
use crate::reconcile::Reconciled;
use crate::seconds;
use crate::state::store_of;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Durable>()?;
    module.add_class::<Replay>()?;
    module.add_class::<Divergence>()
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct Durable(pub(crate) agent::Durable);

#[pymethods]
impl Durable {
    #[new]
    #[pyo3(signature = (store, *, durability = "full", when = "sync", lease = 30.0, owner = None, on_change = "refuse", labels = None))]
    fn new(
        store: &Bound<'_, PyAny>,
        durability: &str,
        when: &str,
        lease: f64,
        owner: Option<String>,
        on_change: &str,
        labels: Option<BTreeMap<String, String>>,
    ) -> PyResult<Self> {
        let mut durable = agent::Durable::new(store_of(store)?);
        durable.journal.durability = durability.parse().map_err(|error: String| config(error))?;
        durable.journal.when = match when {
            "sync" => When::Sync,
            "async" => When::Async,
            "exit" => When::Exit,
            other => return Err(config(format!("when is \"sync\", \"async\" or \"exit\", not {other:?}"))),
        };
        durable.journal.lease = seconds::duration("lease", lease)?;
        durable.journal.owner = owner.unwrap_or_default();
        durable.on_change = match on_change {
            "refuse" => OnChange::Refuse,
            "accept" => OnChange::Accept,
            other => return Err(config(format!("on_change is \"refuse\" or \"accept\", not {other:?}"))),
        };
        durable.labels = labels.unwrap_or_default();
        Ok(Self(durable))
    }

    fn __repr__(&self) -> String {
        format!("Durable({})", self.0.store.kind())
    }
}

/// What a person found out about a call.
pub(crate) enum Resolution<'py> {
    Result(Bound<'py, PyAny>),
    DidNotHappen,
    Failed(String),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Resolution<'py> {
    type Error = PyErr;

    /// A pair: the result, or what went wrong.
    fn extract(found: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let (result, error): (Bound<'py, PyAny>, Option<String>) = found.extract()?;
        Ok(match (error, result.cast::<Reconciled>().map(|known| *known.get())) {
            (Some(error), _) => Self::Failed(error),
            (None, Ok(Reconciled::DidNotHappen)) => Self::DidNotHappen,
            (None, Ok(Reconciled::Unknown)) => {
                return Err(config("UNKNOWN is what the run says already; find out, then resolve it"));
            }
            (None, Err(_)) => Self::Result(result),
        })
    }
}

impl Resolution<'_> {
    pub(crate) fn read(self) -> PyResult<Found> {
        Ok(match self {
            Self::Result(value) => Found::Happened(json::from_py(&value)?),
            Self::DidNotHappen => Found::DidNotHappen,
            Self::Failed(error) => Found::Failed(error),
        })
    }
}

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct Replay(pub(crate) agent::Replay);

#[pymethods]
impl Replay {
    #[getter]
    fn run_id(&self) -> &str {
        &self.0.run
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.0.status.as_str()
    }

    #[getter]
    fn model_calls(&self) -> u32 {
        self.0.model_calls
    }

    #[getter]
    fn tool_calls(&self) -> u32 {
        self.0.tool_calls
    }

    #[getter]
    fn divergence(&self) -> Option<Divergence> {
        self.0.divergence.clone().map(Divergence)
    }

    #[getter]
    fn messages(&self) -> Vec<Message> {
        messages(&self.0.messages)
    }

    fn __repr__(&self) -> String {
        let found = self.divergence().map_or_else(|| "no divergence".to_owned(), |found| found.__repr__());
        format!(
            "Replay({:?}, {} model calls, {} tool calls, {found})",
            self.0.run, self.0.model_calls, self.0.tool_calls
        )
    }
}

#[pyclass(frozen, eq, module = "atomr_agents._native.agent")]
#[derive(PartialEq)]
pub(crate) struct Divergence(agent::Divergence);

#[pymethods]
impl Divergence {
    #[getter]
    fn at(&self) -> String {
        self.0.at.to_string()
    }

    #[getter]
    fn what(&self) -> &str {
        &self.0.what
    }

    #[getter]
    fn recorded(&self) -> &str {
        &self.0.recorded
    }

    #[getter]
    fn now(&self) -> &str {
        &self.0.now
    }

    fn __repr__(&self) -> String {
        format!("Divergence({} at {})", self.0.what, self.0.at)
    }
}
