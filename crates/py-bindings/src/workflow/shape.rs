//! How a state looks to functions of Python.

use std::sync::Arc;

use atomr_agents_core::Value;
use atomr_agents_py_bridge::json;
use atomr_agents_state::{ChannelValue, StateView};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::state::Mirrors;

/// How a state looks to functions of Python: a dict of the channels that hold something, or what the user's class makes of
/// it.
pub(crate) struct Shape {
    /// A subclass of dict.
    pub(super) values: Py<PyAny>,
    /// Makes an instance of the user's class; None where a dict will do.
    pub(super) make: Option<Py<PyAny>>,
}

/// The objects that all steps of one run have in common.
#[derive(Clone, Default)]
pub(crate) struct RunMirrors(pub(crate) Arc<Mirrors>);

impl Shape {
    /// The channels that hold something.
    pub(super) fn dict<'py>(
        &self,
        py: Python<'py>,
        view: &StateView,
        mirrors: &Mirrors,
    ) -> PyResult<Bound<'py, PyDict>> {
        let made = self.values.bind(py).call0()?.cast_into::<PyDict>()?;
        for (name, value) in view.iter() {
            if !matches!(value, ChannelValue::Single(value) if value.is_null()) {
                made.set_item(name, mirrors.value(py, name, value)?)?;
            }
        }
        Ok(made)
    }

    /// What a step is given: what it was sent, or the state.
    pub(super) fn given<'py>(
        &self,
        py: Python<'py>,
        view: &StateView,
        sent: Option<&Value>,
        mirrors: &Mirrors,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(sent) = sent {
            return json::to_py(py, sent);
        }
        let dict = self.dict(py, view, mirrors)?;
        match &self.make {
            Some(make) => make.bind(py).call1((dict,)),
            None => Ok(dict.into_any()),
        }
    }
}
