//! Checkpointers: the states of runs, step by step.

use std::sync::Arc;

use atomr_agents_state::{self as state, RunFilter, RunLogError, list_runs};
use futures_util::FutureExt as _;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::checkpoints::{CheckpointKey, CheckpointMeta, PruneReport, Snapshot};
use crate::errors::Fault;

use super::{blocking, channels, coroutine, store_of};

pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Checkpointer>()?;
    module.add_class::<InMemoryCheckpointer>()
}

#[pyclass(frozen, subclass, module = "atomr_agents._native.state")]
pub(crate) struct Checkpointer(pub(crate) state::Checkpointer);

type Outcome<T> = Result<T, RunLogError>;

/// One of these per method; the method itself exists as a coroutine and as a call that waits.
impl Checkpointer {
    fn saving(
        &self,
        key: CheckpointKey,
        values: &Bound<'_, PyAny>,
    ) -> PyResult<impl Future<Output = Outcome<()>> + use<>> {
        let (checkpointer, values) = (self.0.clone(), channels(values)?);
        Ok(async move { checkpointer.save(&key.0, values).await })
    }

    fn loading(&self, key: CheckpointKey) -> impl Future<Output = Outcome<Option<Snapshot>>> + use<> {
        let checkpointer = self.0.clone();
        async move { Ok(checkpointer.load(&key.0).await?.map(Snapshot)) }
    }

    fn finding(&self, workflow: String, run: String) -> impl Future<Output = Outcome<Option<Snapshot>>> + use<> {
        let checkpointer = self.0.clone();
        async move { Ok(checkpointer.latest(&workflow, &run).await?.map(Snapshot)) }
    }

    fn listing(&self, workflow: String, run: String) -> impl Future<Output = Outcome<Vec<CheckpointMeta>>> + use<> {
        let checkpointer = self.0.clone();
        async move { Ok(checkpointer.list(&workflow, &run).await?.into_iter().map(CheckpointMeta).collect()) }
    }

    fn recalling(
        &self,
        workflow: String,
        run: String,
        limit: usize,
    ) -> impl Future<Output = Outcome<Vec<Snapshot>>> + use<> {
        let checkpointer = self.0.clone();
        async move { Ok(checkpointer.history(&workflow, &run, limit).await?.into_iter().map(Snapshot).collect()) }
    }

    fn forking(
        &self,
        key: CheckpointKey,
        run: String,
        edits: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<impl Future<Output = Outcome<CheckpointKey>> + use<>> {
        let checkpointer = self.0.clone();
        let edits = edits.map(channels).transpose()?.unwrap_or_default();
        Ok(async move { Ok(CheckpointKey(checkpointer.fork(&key.0, &run, edits).await?)) })
    }

    fn pruning(
        &self,
        workflow: String,
        run: String,
        keep: usize,
    ) -> impl Future<Output = Outcome<PruneReport>> + use<> {
        let checkpointer = self.0.clone();
        async move { Ok(PruneReport(checkpointer.prune(&workflow, &run, keep).await?)) }
    }
}

#[pymethods]
impl Checkpointer {
    #[new]
    fn new(store: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(state::Checkpointer::new(store_of(store)?)))
    }

    #[getter]
    fn store(&self) -> super::store::Store {
        super::store::Store(Arc::clone(self.0.store()))
    }

    fn save(&self, py: Python<'_>, key: CheckpointKey, values: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        coroutine(py, self.saving(key, values)?)
    }

    fn save_sync(&self, py: Python<'_>, key: CheckpointKey, values: &Bound<'_, PyAny>) -> PyResult<()> {
        blocking(py, self.saving(key, values)?)
    }

    fn load(&self, py: Python<'_>, key: CheckpointKey) -> PyResult<Py<PyAny>> {
        coroutine(py, self.loading(key))
    }

    fn load_sync(&self, py: Python<'_>, key: CheckpointKey) -> PyResult<Option<Snapshot>> {
        blocking(py, self.loading(key))
    }

    fn latest(&self, py: Python<'_>, workflow_id: String, run_id: String) -> PyResult<Py<PyAny>> {
        coroutine(py, self.finding(workflow_id, run_id))
    }

    fn latest_sync(&self, py: Python<'_>, workflow_id: String, run_id: String) -> PyResult<Option<Snapshot>> {
        blocking(py, self.finding(workflow_id, run_id))
    }

    fn list(&self, py: Python<'_>, workflow_id: String, run_id: String) -> PyResult<Py<PyAny>> {
        coroutine(py, self.listing(workflow_id, run_id))
    }

    fn list_sync(&self, py: Python<'_>, workflow_id: String, run_id: String) -> PyResult<Vec<CheckpointMeta>> {
        blocking(py, self.listing(workflow_id, run_id))
    }

    #[pyo3(signature = (workflow_id, run_id, limit = 100))]
    fn history(&self, py: Python<'_>, workflow_id: String, run_id: String, limit: usize) -> PyResult<Py<PyAny>> {
        coroutine(py, self.recalling(workflow_id, run_id, limit))
    }

    #[pyo3(signature = (workflow_id, run_id, limit = 100))]
    fn history_sync(
        &self,
        py: Python<'_>,
        workflow_id: String,
        run_id: String,
        limit: usize,
    ) -> PyResult<Vec<Snapshot>> {
        blocking(py, self.recalling(workflow_id, run_id, limit))
    }

    #[pyo3(signature = (key, run_id = "", edits = None))]
    fn fork(
        &self,
        py: Python<'_>,
        key: CheckpointKey,
        run_id: &str,
        edits: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        coroutine(py, self.forking(key, run_id.to_owned(), edits)?)
    }

    #[pyo3(signature = (key, run_id = "", edits = None))]
    fn fork_sync(
        &self,
        py: Python<'_>,
        key: CheckpointKey,
        run_id: &str,
        edits: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<CheckpointKey> {
        blocking(py, self.forking(key, run_id.to_owned(), edits)?)
    }

    #[pyo3(signature = (workflow_id, run_id, keep = 1))]
    fn prune(&self, py: Python<'_>, workflow_id: String, run_id: String, keep: usize) -> PyResult<Py<PyAny>> {
        coroutine(py, self.pruning(workflow_id, run_id, keep))
    }

    #[pyo3(signature = (workflow_id, run_id, keep = 1))]
    fn prune_sync(&self, py: Python<'_>, workflow_id: String, run_id: String, keep: usize) -> PyResult<PruneReport> {
        blocking(py, self.pruning(workflow_id, run_id, keep))
    }

    fn __repr__(&self) -> String {
        format!("<Checkpointer on a {} store>", self.0.store().kind())
    }
}

#[pyclass(frozen, extends = Checkpointer, module = "atomr_agents._native.state")]
pub(super) struct InMemoryCheckpointer;

#[pymethods]
impl InMemoryCheckpointer {
    #[new]
    fn new() -> PyClassInitializer<Self> {
        PyClassInitializer::from(Checkpointer(state::Checkpointer::in_memory())).add_subclass(Self)
    }

    fn len(slf: PyRef<'_, Self>) -> PyResult<usize> {
        let checkpointer = slf.as_super().0.clone();
        // Memory answers at once.
        let count = count(&checkpointer).now_or_never();
        let count = count.ok_or_else(|| PyRuntimeError::new_err("the store in memory did not answer at once"))?;
        Ok(count.map_err(Fault)?)
    }

    fn is_empty(slf: PyRef<'_, Self>) -> PyResult<bool> {
        Ok(Self::len(slf)? == 0)
    }

    fn __len__(slf: PyRef<'_, Self>) -> PyResult<usize> {
        Self::len(slf)
    }

    /// An empty checkpointer is a checkpointer.
    fn __bool__(&self) -> bool {
        true
    }
}

async fn count(checkpointer: &state::Checkpointer) -> Outcome<usize> {
    let mut filter = RunFilter::default();
    let mut count = 0;
    loop {
        let page = list_runs(&**checkpointer.store(), &filter).await?;
        for run in page.runs {
            count += checkpointer.list(&run.target, &run.name).await?.len();
        }
        filter.after = page.next;
        if filter.after.is_none() {
            return Ok(count);
        }
    }
}
