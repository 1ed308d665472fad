//! `_native.memory`: what agents remember.

mod guest;
mod item;
mod long;
mod short;
mod strategies;
mod whose;

use atomr_agents_memory::{MemoryError, Namespace};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors::{config, from_kinded};

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<item::MemoryItem>()?;
    module.add_class::<item::StoreItem>()?;
    module.add_class::<short::MemoryStore>()?;
    module.add_class::<long::LongStore>()?;
    strategies::fill(module)
}

/// A namespace: a sequence of texts, or one text for one part.
pub(crate) struct Parts(pub(crate) Namespace);

impl<'py> FromPyObject<'_, 'py> for Parts {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = given.cast::<PyString>() {
            return namespace([text.to_str()?.to_owned()]).map(Self);
        }
        let class = given.get_type().qualname()?;
        match given.extract::<Vec<String>>() {
            Ok(parts) => namespace(parts).map(Self),
            Err(_) => {
                Err(config(format!("a namespace is a tuple of texts, such as (\"users\", \"ada\"); this is {class}")))
            }
        }
    }
}

fn namespace(parts: impl IntoIterator<Item = String>) -> PyResult<Namespace> {
    Namespace::new(parts).map_err(from_kinded::<MemoryError>)
}
