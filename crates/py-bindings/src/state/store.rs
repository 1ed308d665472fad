//! Stores: where runs, sessions and checkpoints are kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_cli::{BadPlace, CliError, StorePlace, open};
use atomr_agents_state::{self as state, EncryptedStore, EncryptionKey, MemoryStore, StoreError};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore, on_warning};
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::checkpointer::Checkpointer;
use super::guest::GuestStore;
use super::{blocking, coroutine, moment};
use crate::errors::{Fault, config};
use crate::seconds;

pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    on_warning(warn);
    module.add_class::<Store>()?;
    module.add_function(wrap_pyfunction!(in_memory_store, module)?)?;
    module.add_function(wrap_pyfunction!(sqlite_store, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_store, module)?)?;
    module.add_function(wrap_pyfunction!(encrypted_store, module)?)?;
    module.add_function(wrap_pyfunction!(guest_store, module)?)
}

/// A warning about a store as one of Python, told by a thread of its own: who noticed must not wait for the interpreter, which
/// may be waiting for the store.
fn warn(message: &str) {
    let message = message.to_owned();
    let tell = move || {
        // Where the interpreter is about to end, there is nobody to tell.
        Python::try_attach(|py| {
            let warned = py
                .import("warnings")
                .and_then(|warnings| warnings.call_method1("warn", (message, py.get_type::<PyRuntimeWarning>())));
            if let Err(raised) = warned {
                raised.write_unraisable(py, None);
            }
        })
    };
    // Where no thread can be made, `tracing` has it all the same.
    let _told = std::thread::Builder::new().name("atomr-warning".to_owned()).spawn(tell);
}

#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(crate) struct Store(pub(crate) Arc<dyn state::Store>);

#[pymethods]
impl Store {
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    #[pyo3(signature = (grace = 3600.0))]
    fn sweep(&self, py: Python<'_>, grace: f64) -> PyResult<Py<PyAny>> {
        coroutine(py, sweep(Arc::clone(&self.0), grace)?)
    }

    #[pyo3(signature = (grace = 3600.0))]
    fn sweep_sync(&self, py: Python<'_>, grace: f64) -> PyResult<(u64, u64)> {
        blocking(py, sweep(Arc::clone(&self.0), grace)?)
    }

    fn __repr__(&self) -> String {
        format!("<Store {}>", self.0.kind())
    }
}

fn sweep(
    store: Arc<dyn state::Store>,
    grace: f64,
) -> PyResult<impl Future<Output = Result<(u64, u64), StoreError>> + Send + 'static> {
    let grace = Duration::try_from_secs_f64(grace)
        .map_err(|_| config(format!("grace must be a number of seconds from 0 on, not {grace}")))?;
    Ok(async move { store.sweep(grace).await.map(|swept| (swept.blobs, swept.bytes)) })
}

#[pyfunction]
fn in_memory_store() -> Store {
    Store(Arc::new(MemoryStore::new()))
}

#[pyfunction]
#[pyo3(signature = (path, *, patience = 30.0, readers = 4, queue = 1_024, checkpoint_pages = 1_000))]
fn sqlite_store(
    py: Python<'_>,
    path: PathBuf,
    patience: f64,
    readers: usize,
    queue: usize,
    checkpoint_pages: u32,
) -> PyResult<Store> {
    let patience = seconds::duration("patience", patience)?;
    let options = SqliteOptions { patience, readers, queue, checkpoint_pages };
    let store = moment(py, async move { SqliteStore::open(path, options) })?.map_err(Fault)?;
    Ok(Store(Arc::new(store)))
}

#[pyfunction]
#[pyo3(signature = (dsn, *, schema = "atomr", connections = 8, migrate = true, connect_timeout = 5.0,
    call_timeout = 30.0, outage = 30.0, root_certificates = None))]
#[allow(clippy::too_many_arguments)] // by keyword
fn postgres_store(
    py: Python<'_>,
    dsn: &str,
    schema: &str,
    connections: usize,
    migrate: bool,
    connect_timeout: f64,
    call_timeout: f64,
    outage: f64,
    root_certificates: Option<PathBuf>,
) -> PyResult<Store> {
    let options = PostgresOptions {
        schema: schema.to_owned(),
        migrate,
        connections,
        connect_timeout: seconds::duration("connect_timeout", connect_timeout)?,
        call_timeout: seconds::duration("call_timeout", call_timeout)?,
        outage: seconds::duration("outage", outage)?,
        root_certificates,
        ..PostgresOptions::default()
    };
    let store = moment(py, PostgresStore::connect(dsn, options))?.map_err(Fault)?;
    Ok(Store(Arc::new(store)))
}

/// Encryption around another store. One that is written in Python cannot be looked at while its loop stands still.
#[pyfunction]
fn encrypted_store(py: Python<'_>, store: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> PyResult<Store> {
    let (store, key) = (store_of(store)?, encryption_key(key)?);
    let guest = store.kind() == GuestStore::KIND;
    let open = async move { EncryptedStore::open(store, &key).await };
    let store = if guest { blocking(py, open)? } else { moment(py, open)?.map_err(Fault)? };
    Ok(Store(Arc::new(store)))
}

/// 32 bytes, or their 64 hexadecimal digits. What was given instead is not repeated: it may be a secret all the same.
fn encryption_key(key: &Bound<'_, PyAny>) -> PyResult<EncryptionKey> {
    if let Ok(text) = key.extract::<String>() {
        return Ok(EncryptionKey::from_hex(&text).map_err(Fault)?);
    }
    match key.cast::<PyBytes>().ok().and_then(|bytes| bytes.as_bytes().try_into().ok()) {
        Some(bytes) => Ok(EncryptionKey::new(bytes)),
        None => Err(config("an encryption key is 32 bytes, or text with their 64 hexadecimal digits")),
    }
}

/// A store at a place that is written down.
fn placed(py: Python<'_>, place: &StorePlace) -> PyResult<Arc<dyn state::Store>> {
    match moment(py, open(place))? {
        Ok(opened) => Ok(opened.store),
        Err(CliError::Store(error)) => Err(Fault(error).into()),
        Err(error) => Err(config(error.to_string())),
    }
}

/// A store that is written in Python. Its asynchronous methods run on the loop that runs here now.
#[pyfunction]
fn guest_store(key: &str, target: &Bound<'_, PyAny>) -> PyResult<Store> {
    Ok(Store(Arc::new(GuestStore::wrap(key, target)?)))
}

/// The store that an object stands for: a [`Store`], a checkpointer, a guest with `@journal`, a path, or text such as
/// `sqlite:runs.db` and `postgres://…`. Everything that takes a store takes it through this.
pub(crate) fn store_of(object: &Bound<'_, PyAny>) -> PyResult<Arc<dyn state::Store>> {
    if let Ok(store) = object.cast::<Store>() {
        return Ok(Arc::clone(&store.get().0));
    }
    if let Ok(checkpointer) = object.cast::<Checkpointer>() {
        return Ok(Arc::clone(checkpointer.get().0.store()));
    }
    let py = object.py();
    if let Ok(text) = object.extract::<String>() {
        return placed(py, &text.parse().map_err(|error: BadPlace| config(error.to_string()))?);
    }
    if object.hasattr("__fspath__")? {
        return placed(py, &StorePlace::Sqlite(object.extract()?));
    }
    let found = py.import("atomr_agents._stores")?.call_method1("of_guest", (object,))?;
    if let Ok(store) = found.cast::<Store>() {
        return Ok(Arc::clone(&store.get().0));
    }
    let class = object.get_type().qualname()?;
    Err(config(format!(
        "a store is a Store (such as in_memory_store()), a Checkpointer, an object with the methods of @journal, a path, or \
         text such as \"sqlite:runs.db\" or \"postgres://…\"; this is {class}"
    )))
}
