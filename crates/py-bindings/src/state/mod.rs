//! `_native.state`: what outlives the process.

mod checkpointer;
mod checkpoints;
mod guest;
mod guest_data;
mod guest_error;
mod journal;
mod mirror;
mod reducers;
mod run_state;
mod runs;
mod schema;
mod store;

use std::collections::BTreeMap;

use atomr_agents_core::Value;
use atomr_agents_py_bridge::{IntoReply, awaitable, block_on, json, runtime};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::json;

use crate::core::Message;
use crate::errors::{Fault, Kinded, config};

pub(crate) use journal::key_of;
pub(crate) use mirror::Mirrors;
pub(crate) use schema::schema_of;
pub(crate) use store::{Store, store_of};

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    reducers::fill(module)?;
    run_state::fill(module)?;
    store::fill(module)?;
    checkpoints::fill(module)?;
    checkpointer::fill(module)?;
    runs::fill(module)?;
    journal::fill(module)
}

/// The work as a coroutine.
fn coroutine<T, E>(py: Python<'_>, work: impl Future<Output = Result<T, E>> + Send + 'static) -> PyResult<Py<PyAny>>
where
    T: IntoReply,
    E: Kinded + Send,
{
    awaitable(py, move |_scope| async move { work.await.map_err(Fault) })
}

/// The work, waited for.
fn blocking<T, E>(py: Python<'_>, work: impl Future<Output = Result<T, E>> + Send + 'static) -> PyResult<T>
where
    T: Send + 'static,
    E: Kinded + Send,
{
    Ok(block_on(py, work)?.map_err(Fault)?)
}

/// What is written to a channel. A message, and each of a list of messages, is its dict.
pub(crate) fn written(value: &Bound<'_, PyAny>) -> Result<Value, json::JsonFault> {
    let message = |value: &Bound<'_, PyAny>| value.cast::<Message>().ok().map(|message| json!(message.get().0));
    if let Some(message) = message(value) {
        return Ok(message);
    }
    match value.cast::<PyList>() {
        Ok(list) if list.iter().any(|item| item.is_instance_of::<Message>()) => {
            let item = |item: Bound<'_, PyAny>| message(&item).map_or_else(|| json::from_py(&item), Ok);
            list.iter().map(item).collect()
        }
        _ => json::from_py(value),
    }
}

/// A `dict` of channels and their values.
fn channels(values: &Bound<'_, PyAny>) -> PyResult<BTreeMap<String, Value>> {
    match json::from_py(values)? {
        Value::Object(map) => Ok(map.into_iter().collect()),
        _ => Err(config(format!("the values of channels are a dict, not {}", values.get_type().qualname()?))),
    }
}

fn to_dict<'py>(py: Python<'py>, values: &BTreeMap<String, Value>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in values {
        dict.set_item(name, json::to_py(py, value)?)?;
    }
    Ok(dict)
}

/// Waits for something that takes a moment and calls no Python: also inside of a running event loop, which stands still
/// for as long.
pub(crate) fn moment<T: Send>(py: Python<'_>, work: impl Future<Output = T> + Send) -> PyResult<T> {
    let handle = runtime::handle(py)?;
    Ok(py.detach(|| handle.block_on(work)))
}
