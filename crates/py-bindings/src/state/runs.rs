//! The runs of a store: what is there, what happened in them, what becomes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use atomr_agents_state::{
    self as state, EventTail, ForkAt, ForkOptions, RunFilter, RunLogError, RunPlace, RunReader, RunStatus, StoredDelta,
    Verified,
};
use pyo3::prelude::*;
use pyo3::types::PyList;
use tokio::sync::Mutex;

use super::checkpoints::PruneReport;
use super::journal::key_of;
use super::store::Store;
use super::{blocking, channels, coroutine, store_of};
use crate::durable::Resolution;
use crate::errors::config;
use crate::event::Event;

pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RunInfo>()?;
    module.add_class::<RunPage>()?;
    module.add_class::<RunCheck>()?;
    module.add_class::<NativeEvents>()?;
    module.add_class::<NativeRuns>()
}

#[pyclass(frozen, eq, from_py_object, module = "atomr_agents._native.state")]
#[derive(Clone, PartialEq)]
pub(super) struct RunInfo(pub(super) state::RunRecord);

#[pymethods]
impl RunInfo {
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn id(&self) -> String {
        self.0.id.to_string()
    }

    #[getter]
    fn kind(&self) -> &str {
        &self.0.kind
    }

    #[getter]
    fn target(&self) -> &str {
        &self.0.target
    }

    #[getter]
    fn version(&self) -> &str {
        &self.0.version
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.0.status.as_str()
    }

    #[getter]
    fn turns(&self) -> u32 {
        self.0.turns
    }

    #[getter]
    fn begun_ms(&self) -> u64 {
        self.0.begun_ms
    }

    #[getter]
    fn updated_ms(&self) -> u64 {
        self.0.updated_ms
    }

    #[getter]
    fn parent(&self) -> Option<(String, u64)> {
        self.0.parent.as_ref().map(|parent| (parent.run.clone(), parent.at))
    }

    #[getter]
    fn labels(&self) -> BTreeMap<String, String> {
        self.0.labels.clone()
    }

    fn __repr__(&self) -> String {
        format!("<RunInfo {} {} {:?}, {}>", self.0.kind, self.0.target, self.0.name, self.0.status)
    }
}

#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(super) struct RunPage(state::RunPage);

#[pymethods]
impl RunPage {
    #[getter]
    fn runs(&self) -> Vec<RunInfo> {
        self.0.runs.iter().cloned().map(RunInfo).collect()
    }

    #[getter]
    fn unreadable(&self) -> BTreeMap<String, String> {
        self.0.unreadable.iter().map(|(name, error)| (name.clone(), error.to_string())).collect()
    }

    #[getter]
    fn next(&self) -> Option<(u64, String)> {
        self.0.next.as_ref().map(|place| (place.begun_ms, place.name.clone()))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyList::new(py, self.runs())?.into_any().try_iter().map(Bound::into_any)
    }

    fn __len__(&self) -> usize {
        self.0.runs.len()
    }
}

#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(super) struct RunCheck {
    run: String,
    found: Verified,
}

#[pymethods]
impl RunCheck {
    #[getter]
    fn run(&self) -> &str {
        &self.run
    }

    #[getter]
    fn whole(&self) -> bool {
        self.found.is_whole()
    }

    #[getter]
    fn damage(&self) -> Vec<(String, Option<u64>, String)> {
        self.found.damage.iter().map(|each| (each.run.clone(), each.at, each.message.clone())).collect()
    }

    #[getter]
    fn commits(&self) -> u64 {
        self.found.commits
    }

    #[getter]
    fn checkpoints(&self) -> u64 {
        self.found.checkpoints
    }

    #[getter]
    fn open_effects(&self) -> Vec<(String, String)> {
        self.found.open.iter().map(|intent| (intent.key.to_string(), intent.subject.clone())).collect()
    }

    fn __repr__(&self) -> String {
        let word =
            if self.found.is_whole() { "whole".to_owned() } else { format!("{} damaged", self.found.damage.len()) };
        format!("<RunCheck {:?}: {word}, {} commits>", self.run, self.found.commits)
    }
}

/// The events of a run, page by page.
#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(super) struct NativeEvents {
    store: Arc<dyn state::Store>,
    run: String,
    from: u64,
    tail: Arc<Mutex<Option<EventTail>>>,
}

impl NativeEvents {
    fn reading(&self) -> impl Future<Output = Result<Vec<Event>, RunLogError>> + use<> {
        let (store, run, from, tail) = (Arc::clone(&self.store), self.run.clone(), self.from, Arc::clone(&self.tail));
        async move {
            let mut tail = tail.lock().await;
            if tail.is_none() {
                *tail = Some(EventTail::open(store, &run, from).await?);
            }
            let Some(tail) = tail.as_mut() else { return Ok(Vec::new()) };
            Ok(tail.next_page().await?.into_iter().map(|event| Event(Arc::new(event))).collect())
        }
    }
}

#[pymethods]
impl NativeEvents {
    fn page(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        coroutine(py, self.reading())
    }

    fn page_sync(&self, py: Python<'_>) -> PyResult<Vec<Event>> {
        blocking(py, self.reading())
    }
}

#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(super) struct NativeRuns(Arc<dyn state::Store>);

/// What is asked of a list, as Python says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Asked {
    status: Vec<String>,
    kind: Option<String>,
    target: Option<String>,
    labels: BTreeMap<String, String>,
    after: Option<(u64, String)>,
    limit: usize,
}

impl Asked {
    fn filter(self) -> PyResult<RunFilter> {
        let status = |name: String| {
            let known = RunStatus::ALL.iter().find(|status| status.as_str() == name).copied();
            known.ok_or_else(|| {
                let all: Vec<&str> = RunStatus::ALL.iter().map(|status| status.as_str()).collect();
                config(format!("there is no status {name:?}; there are {}", all.join(", ")))
            })
        };
        Ok(RunFilter {
            status: self.status.into_iter().map(status).collect::<PyResult<_>>()?,
            kind: self.kind,
            target: self.target,
            labels: self.labels,
            after: self.after.map(|(begun_ms, name)| RunPlace { begun_ms, name }),
            limit: self.limit,
        })
    }
}

impl NativeRuns {
    fn listing(&self, asked: Asked) -> PyResult<impl Future<Output = Result<RunPage, RunLogError>> + use<>> {
        let (store, filter) = (Arc::clone(&self.0), asked.filter()?);
        Ok(async move { Ok(RunPage(state::list_runs(&*store, &filter).await?)) })
    }

    fn getting(&self, run: String) -> impl Future<Output = Result<RunInfo, RunLogError>> + use<> {
        let store = Arc::clone(&self.0);
        async move { Ok(RunInfo(RunReader::open(store, &run).await?.record().clone())) }
    }

    fn forking(
        &self,
        run: String,
        at: (Option<u64>, Option<u64>),
        name: String,
        edits: &Bound<'_, PyAny>,
        labels: BTreeMap<String, String>,
    ) -> PyResult<impl Future<Output = Result<String, RunLogError>> + use<>> {
        let at = match at {
            (None, None) => ForkAt::End,
            (Some(step), None) => ForkAt::Step(step),
            (None, Some(seq)) => ForkAt::Seq(seq),
            (Some(_), Some(_)) => return Err(config("a fork begins at_step or at_seq, not at both")),
        };
        let (store, edits) = (Arc::clone(&self.0), channels(edits)?);
        Ok(async move {
            let mut blobs = Vec::new();
            let edits: Result<BTreeMap<String, StoredDelta>, RunLogError> =
                edits.iter().map(|(name, value)| Ok((name.clone(), state::whole(value, &mut blobs)?))).collect();
            let options = ForkOptions { name, edits: edits?, blobs, labels };
            state::fork(&store, &run, at, &options).await
        })
    }

    fn pruning(&self, run: String, keep: usize) -> impl Future<Output = Result<PruneReport, RunLogError>> + use<> {
        let store = Arc::clone(&self.0);
        async move {
            if keep <= 1 {
                state::compact(&store, &run).await?;
            }
            Ok(PruneReport(state::prune(&store, &run, keep).await?))
        }
    }

    fn removing(&self, run: String) -> impl Future<Output = Result<(), RunLogError>> + use<> {
        let store = Arc::clone(&self.0);
        async move { state::remove(&store, &run).await }
    }

    fn resolving(
        &self,
        run: String,
        key: &str,
        found: Resolution<'_>,
    ) -> PyResult<impl Future<Output = Result<(), RunLogError>> + use<>> {
        let (store, key, found) = (Arc::clone(&self.0), key_of(key)?, found.read()?);
        Ok(async move { atomr_agents_agent::resolve(&store, &run, &key, found).await })
    }

    fn verifying(&self, run: String) -> impl Future<Output = Result<RunCheck, RunLogError>> + use<> {
        let store = Arc::clone(&self.0);
        async move {
            let found = state::verify_run(&store, &run).await?;
            Ok(RunCheck { run, found })
        }
    }
}

#[pymethods]
impl NativeRuns {
    #[new]
    fn new(store: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(store_of(store)?))
    }

    #[getter]
    fn store(&self) -> Store {
        Store(Arc::clone(&self.0))
    }

    fn list(&self, py: Python<'_>, asked: Asked) -> PyResult<Py<PyAny>> {
        coroutine(py, self.listing(asked)?)
    }

    fn list_sync(&self, py: Python<'_>, asked: Asked) -> PyResult<RunPage> {
        blocking(py, self.listing(asked)?)
    }

    fn get(&self, py: Python<'_>, run: String) -> PyResult<Py<PyAny>> {
        coroutine(py, self.getting(run))
    }

    fn get_sync(&self, py: Python<'_>, run: String) -> PyResult<RunInfo> {
        blocking(py, self.getting(run))
    }

    fn events(&self, run: String, from_seq: u64) -> NativeEvents {
        NativeEvents { store: Arc::clone(&self.0), run, from: from_seq, tail: Arc::default() }
    }

    fn fork(
        &self,
        py: Python<'_>,
        run: String,
        at: (Option<u64>, Option<u64>),
        name: String,
        edits: &Bound<'_, PyAny>,
        labels: BTreeMap<String, String>,
    ) -> PyResult<Py<PyAny>> {
        coroutine(py, self.forking(run, at, name, edits, labels)?)
    }

    fn fork_sync(
        &self,
        py: Python<'_>,
        run: String,
        at: (Option<u64>, Option<u64>),
        name: String,
        edits: &Bound<'_, PyAny>,
        labels: BTreeMap<String, String>,
    ) -> PyResult<String> {
        blocking(py, self.forking(run, at, name, edits, labels)?)
    }

    fn prune(&self, py: Python<'_>, run: String, keep: usize) -> PyResult<Py<PyAny>> {
        coroutine(py, self.pruning(run, keep))
    }

    fn prune_sync(&self, py: Python<'_>, run: String, keep: usize) -> PyResult<PruneReport> {
        blocking(py, self.pruning(run, keep))
    }

    fn remove(&self, py: Python<'_>, run: String) -> PyResult<Py<PyAny>> {
        coroutine(py, self.removing(run))
    }

    fn remove_sync(&self, py: Python<'_>, run: String) -> PyResult<()> {
        blocking(py, self.removing(run))
    }

    fn resolve(&self, py: Python<'_>, run: String, key: &str, found: Resolution<'_>) -> PyResult<Py<PyAny>> {
        coroutine(py, self.resolving(run, key, found)?)
    }

    fn resolve_sync(&self, py: Python<'_>, run: String, key: &str, found: Resolution<'_>) -> PyResult<()> {
        blocking(py, self.resolving(run, key, found)?)
    }

    fn verify(&self, py: Python<'_>, run: String) -> PyResult<Py<PyAny>> {
        coroutine(py, self.verifying(run))
    }

    fn verify_sync(&self, py: Python<'_>, run: String) -> PyResult<RunCheck> {
        blocking(py, self.verifying(run))
    }
}
