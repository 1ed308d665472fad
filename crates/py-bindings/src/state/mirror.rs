//! What channels hold as objects of Python.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::Value;
use atomr_agents_py_bridge::json;
use atomr_agents_state::{ChannelValue, SharedList, StateView};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// The lists of a run as Python saw them last, so that of a list that grew only what is new is made into objects.
///
/// Each reader gets a list of its own; the items in it are those that all readers got.
#[derive(Default)]
pub(crate) struct Mirrors(Mutex<HashMap<String, Mirror>>);

enum Mirror {
    List {
        seen: SharedList,
        items: Py<PyList>,
    },
    /// A list or an object that is written as a whole.
    Single {
        seen: Arc<Value>,
        made: Py<PyAny>,
    },
}

impl Mirrors {
    /// What a channel holds.
    pub(crate) fn value<'py>(
        &self,
        py: Python<'py>,
        channel: &str,
        value: &ChannelValue,
    ) -> PyResult<Bound<'py, PyAny>> {
        match value {
            ChannelValue::Single(value) => self.single(py, channel, value),
            ChannelValue::List(list) => Ok(self.list(py, channel, list)?.into_any()),
            ChannelValue::Map(map) => {
                let made = PyDict::new(py);
                for (key, value) in map.iter() {
                    made.set_item(key, json::to_py(py, value)?)?;
                }
                Ok(made.into_any())
            }
        }
    }

    /// All channels and what they hold.
    pub(crate) fn dict<'py>(&self, py: Python<'py>, view: &StateView) -> PyResult<Bound<'py, PyDict>> {
        let made = PyDict::new(py);
        for (name, value) in view.iter() {
            made.set_item(name, self.value(py, name, value)?)?;
        }
        Ok(made)
    }

    fn list<'py>(&self, py: Python<'py>, channel: &str, list: &SharedList) -> PyResult<Bound<'py, PyList>> {
        // Taken out and not held: making objects may run code of the user, in finalizers. Who comes meanwhile makes its
        // own.
        let (items, seen) = match self.lock().remove(channel) {
            Some(Mirror::List { seen, items }) => (items.into_bound(py), seen),
            _ => (PyList::empty(py), SharedList::default()),
        };
        if items.len() > list.len() {
            items.del_slice(list.len(), items.len())?;
        }
        for (at, value) in list.changes_since(&seen) {
            let made = json::to_py(py, value)?;
            if at < items.len() { items.set_item(at, made)? } else { items.append(made)? }
        }
        let own = items.get_slice(0, items.len());
        self.lock().insert(channel.to_owned(), Mirror::List { seen: list.clone(), items: items.unbind() });
        Ok(own)
    }

    /// A value that is written as a whole, made once: of a list or an object each reader gets a copy of the outermost.
    fn single<'py>(&self, py: Python<'py>, channel: &str, value: &Arc<Value>) -> PyResult<Bound<'py, PyAny>> {
        if !(value.is_array() || value.is_object()) {
            return json::to_py(py, value);
        }
        let made = match self.lock().get(channel) {
            Some(Mirror::Single { seen, made }) if Arc::ptr_eq(seen, value) => Some(made.clone_ref(py)),
            _ => None,
        };
        let made = match made {
            Some(made) => made.into_bound(py),
            None => {
                let made = json::to_py(py, value)?;
                let mirror = Mirror::Single { seen: Arc::clone(value), made: made.clone().unbind() };
                let before = self.lock().insert(channel.to_owned(), mirror);
                drop(before);
                made
            }
        };
        if let Ok(list) = made.cast::<PyList>() {
            return Ok(list.get_slice(0, list.len()).into_any());
        }
        Ok(made.cast::<PyDict>()?.copy()?.into_any())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Mirror>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
