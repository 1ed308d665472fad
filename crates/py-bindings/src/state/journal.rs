//! A journal for steps that a user writes: what was about to be done, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use atomr_agents_core::{Kind, Value};
use atomr_agents_py_bridge::{Json, json};
use atomr_agents_state::{
    self as state, EffectClass, EffectKey, Intent, Item, JournalOptions, NewRun, Outcome, RunLogError, RunStatus,
    StoredError, When,
};
use pyo3::prelude::*;

use super::runs::RunInfo;
use super::store::Store;
use super::{coroutine, moment, store_of};
use crate::errors::{Fault, config};
use crate::seconds;

pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeJournal>()
}

/// How a run is opened, as Python says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Opening {
    run: String,
    kind: String,
    target: String,
    version: String,
    labels: BTreeMap<String, String>,
    durability: String,
    when: String,
    lease: f64,
}

impl Opening {
    fn options(&self) -> PyResult<JournalOptions> {
        let when = match self.when.as_str() {
            "sync" => When::Sync,
            "async" => When::Async,
            "exit" => When::Exit,
            other => return Err(config(format!("when is \"sync\", \"async\" or \"exit\", not {other:?}"))),
        };
        Ok(JournalOptions {
            durability: self.durability.parse().map_err(|error: String| config(error))?,
            when,
            lease: seconds::duration("lease", self.lease)?,
            ..JournalOptions::default()
        })
    }

    fn new_run(self) -> NewRun {
        let Self { run, kind, target, version, labels, .. } = self;
        NewRun { name: run, kind, target, version, labels }
    }
}

#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(super) struct NativeJournal(state::Journal);

/// What became of an effect: `("done", value)`, `("failed", kind, message)`, `("begun",)` or `("new",)`.
type Found = (&'static str, Json, Option<String>, Option<String>);

pub(crate) fn key_of(text: &str) -> PyResult<EffectKey> {
    text.parse().map_err(|error: state::BadEffectKey| config(error.to_string()))
}

#[pymethods]
impl NativeJournal {
    /// Goes on with a run, or begins it.
    #[staticmethod]
    fn open(
        py: Python<'_>,
        store: &Bound<'_, PyAny>,
        opening: Opening,
        input: &Bound<'_, PyAny>,
        begin: bool,
        resume: bool,
    ) -> PyResult<Py<PyAny>> {
        let (store, input, options) = (store_of(store)?, json::from_py(input)?, opening.options()?);
        let new = opening.new_run();
        coroutine(py, async move { Ok::<_, RunLogError>(Self(open(store, new, options, input, begin, resume).await?)) })
    }

    /// A new run that ends with the process.
    #[staticmethod]
    fn in_memory(py: Python<'_>, opening: Opening, input: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (input, options) = (json::from_py(input)?, opening.options()?);
        let (store, new) = (Arc::new(state::MemoryStore::new()), opening.new_run());
        let begun = moment(py, state::Journal::begin(store, new, options, &input))?;
        Ok(Self(begun.map_err(Fault)?))
    }

    #[getter]
    fn store(&self) -> Store {
        Store(Arc::clone(self.0.store()))
    }

    #[getter]
    fn info(&self) -> RunInfo {
        RunInfo(self.0.info())
    }

    #[getter]
    fn lost(&self) -> bool {
        self.0.lost().is_cancelled()
    }

    fn idempotency(&self, key: &str, version: &str) -> PyResult<String> {
        Ok(key_of(key)?.idempotency(self.0.run(), version))
    }

    fn find(&self, py: Python<'_>, key: &str) -> PyResult<Py<PyAny>> {
        let (journal, key) = (self.0.clone(), key_of(key)?);
        coroutine(py, async move { find(&journal, &key).await })
    }

    fn intend(&self, py: Python<'_>, key: &str, kind: &str, subject: &str, effect: &str) -> PyResult<Py<PyAny>> {
        let effect = match effect {
            "none" => EffectClass::None,
            "idempotent" => EffectClass::Idempotent,
            "once" => EffectClass::Once,
            other => return Err(config(format!("effect is \"none\", \"idempotent\" or \"once\", not {other:?}"))),
        };
        let intent = Intent::new(key_of(key)?, kind, subject).effect(effect);
        let journal = self.0.clone();
        coroutine(py, async move { journal.intend(intent).await })
    }

    fn record(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (journal, key, value) = (self.0.clone(), key_of(key)?, json::from_py(value)?);
        coroutine(py, async move { journal.record(key, &value).await })
    }

    fn record_error(&self, py: Python<'_>, key: &str, message: String) -> PyResult<Py<PyAny>> {
        let (journal, key) = (self.0.clone(), key_of(key)?);
        coroutine(py, async move {
            let error = Some(StoredError { kind: Kind::Guest, message });
            journal.stage(Item::Outcome(Outcome { key, bodies: Vec::new(), error }));
            journal.commit().await
        })
    }

    fn end(
        &self,
        py: Python<'_>,
        status: &str,
        output: &Bound<'_, PyAny>,
        error: Option<(String, String)>,
    ) -> PyResult<Py<PyAny>> {
        let known = RunStatus::ALL.iter().find(|known| known.as_str() == status).copied();
        let status = known.ok_or_else(|| config(format!("there is no status {status:?}")))?;
        let (journal, output) = (self.0.clone(), json::from_py(output)?);
        let error = error.map(|(kind, message)| {
            let kind = Kind::ALL.iter().find(|known| known.as_str() == kind).copied().unwrap_or(Kind::Guest);
            StoredError { kind, message }
        });
        coroutine(py, async move {
            let output = if output.is_null() { None } else { Some(journal.body(&output)?) };
            journal.end(status, output, error).await
        })
    }

    fn release(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let journal = self.0.clone();
        coroutine(py, async move { journal.release().await })
    }
}

async fn open(
    store: Arc<dyn state::Store>,
    new: NewRun,
    options: JournalOptions,
    input: Value,
    begin: bool,
    resume: bool,
) -> Result<state::Journal, RunLogError> {
    if resume {
        match state::Journal::resume(Arc::clone(&store), &new.name, options.clone()).await {
            Err(RunLogError::NoSuchRun { .. }) if begin => {}
            Err(error) => return Err(error),
            Ok(journal) if journal.info().status == RunStatus::Finished => {
                journal.release().await?;
                return Err(RunLogError::Over { run: new.name, status: RunStatus::Finished });
            }
            Ok(journal) => {
                journal.status(RunStatus::Running);
                journal.flush().await?;
                return Ok(journal);
            }
        }
    }
    state::Journal::begin(store, new, options, &input).await
}

async fn find(journal: &state::Journal, key: &EffectKey) -> Result<Found, RunLogError> {
    let none = || Json(Value::Null);
    let Some(recorded) = journal.recorded(key) else { return Ok(("new", none(), None, None)) };
    match (&recorded.outcome, &recorded.intent) {
        (Some(Outcome { error: Some(error), .. }), _) => {
            Ok(("failed", none(), Some(error.kind.as_str().to_owned()), Some(error.message.clone())))
        }
        // Somebody found out that it did not happen.
        (Some(Outcome { bodies, .. }), _) if bodies.is_empty() => Ok(("new", none(), None, None)),
        (Some(_), _) => Ok(("done", Json(journal.result(key).await?.unwrap_or_default()), None, None)),
        // Says that nobody knows, if it must not happen twice.
        (None, Some(_)) => {
            let _: Option<Value> = journal.result(key).await?;
            Ok(("begun", none(), None, None))
        }
        (None, None) => Ok(("new", none(), None, None)),
    }
}
