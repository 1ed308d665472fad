//! `StateSchema`: which channels a state has.

use std::sync::{Mutex, PoisonError};

use atomr_agents_py_bridge::json;
use atomr_agents_state::{self as state, Check, JsonType, StateError};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::reducers::reducer_of;
use crate::errors::Fault;

#[pyclass(frozen, module = "atomr_agents._native.state")]
pub(crate) struct StateSchema(Mutex<state::StateSchema>);

/// A channel as `_channels.channel` of Python makes it: reducer, its name, default, types.
type Row<'py> = (Bound<'py, PyAny>, String, Bound<'py, PyAny>, Option<Vec<String>>);

#[pymethods]
impl StateSchema {
    #[new]
    #[pyo3(signature = (r#type = None))]
    fn new(py: Python<'_>, r#type: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let schema = Self(Mutex::new(state::StateSchema::builder().build().map_err(Fault)?));
        if let Some(given) = r#type {
            let rows = py.import("atomr_agents._channels")?.call_method1("channels_of", (given,))?;
            for (name, row) in rows.extract::<Vec<(String, Row<'_>)>>()? {
                schema.insert(&name, row)?;
            }
        }
        Ok(schema)
    }

    #[pyo3(signature = (name, reducer = None, *, default = None, r#type = None))]
    fn add<'py>(
        slf: Bound<'py, Self>,
        name: &str,
        reducer: Option<Bound<'py, PyAny>>,
        default: Option<Bound<'py, PyAny>>,
        r#type: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let helper = slf.py().import("atomr_agents._channels")?;
        let row = helper.call_method1("channel", (name, reducer, default, r#type))?;
        slf.get().insert(name, row.extract()?)?;
        Ok(slf)
    }

    #[getter]
    fn channels(&self) -> Vec<String> {
        self.now().names().map(str::to_owned).collect()
    }

    #[getter]
    fn fingerprint(&self) -> String {
        self.now().fingerprint().to_owned()
    }

    fn difference(&self, was: &Self) -> Vec<String> {
        self.now().difference(&was.now()).iter().map(ToString::to_string).collect()
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let form = self.now().form();
        let channels = form.channels.into_iter().map(|(name, form)| {
            let mut row = serde_json::Map::from_iter([("reducer".to_owned(), form.reducer.into())]);
            row.extend(form.default.map(|default| ("default".to_owned(), default)));
            (name, row.into())
        });
        json::to_py(py, &serde_json::Value::Object(channels.collect()))
    }

    fn __len__(&self) -> usize {
        self.now().names().count()
    }

    fn __contains__(&self, channel: &str) -> bool {
        self.now().names().any(|name| name == channel)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.now())
    }
}

impl StateSchema {
    /// The schema as it is now: what is added later is not in it.
    pub(crate) fn now(&self) -> state::StateSchema {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn insert(&self, name: &str, (reducer, called, default, types): Row<'_>) -> PyResult<()> {
        let reducer = reducer_of(name, called, &reducer)?;
        let mut builder = self.now().to_builder();
        builder = if default.is_none() {
            builder.add(name, reducer)
        } else {
            let message = |fault: json::JsonFault| format!("its default is no JSON: {fault}");
            let default = super::written(&default).map_err(message);
            let refused = |message| Fault(StateError::Schema { channel: name.into(), message });
            builder.add_with_default(name, reducer, default.map_err(refused)?)
        };
        if let Some(types) = types {
            builder = builder.check(name, Check::any_of(types.iter().filter_map(|name| json_type(name))));
        }
        let built = builder.build().map_err(Fault)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = built;
        Ok(())
    }
}

fn json_type(name: &str) -> Option<JsonType> {
    Some(match name {
        "null" => JsonType::Null,
        "boolean" => JsonType::Boolean,
        "integer" => JsonType::Integer,
        "number" => JsonType::Number,
        "string" => JsonType::String,
        "array" => JsonType::Array,
        "object" => JsonType::Object,
        _ => return None,
    })
}

/// The schema that an object stands for: one, or a class that says which channels there are.
pub(crate) fn schema_of(given: &Bound<'_, PyAny>) -> PyResult<state::StateSchema> {
    if let Ok(schema) = given.cast::<StateSchema>() {
        return Ok(schema.get().now());
    }
    if given.is_instance_of::<PyType>() {
        return Ok(StateSchema::new(given.py(), Some(given))?.now());
    }
    let class = given.get_type().qualname()?;
    let message = format!("a state is described by a StateSchema or a class with type hints, not by a {class}");
    Err(pyo3::exceptions::PyTypeError::new_err(message))
}
