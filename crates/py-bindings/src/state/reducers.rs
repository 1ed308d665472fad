//! Reducers: those that are built in as classes of Python, and functions of Python as reducers.

use atomr_agents_core::{Kind, Value};
use atomr_agents_py_bridge::{GuestError, Json, json};
use atomr_agents_state::{self as state, BuiltIn, ReduceError, Reducer as _};
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::errors::Fault;

pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Reducer>()?;
    module.add_class::<LastWriteWins>()?;
    module.add_class::<AppendList>()?;
    module.add_class::<AppendMessages>()?;
    module.add_class::<MergeMap>()?;
    module.add_class::<MaxByTimestamp>()
}

/// What the built-in reducers have in common.
#[pyclass(frozen, subclass, eq, hash, module = "atomr_agents._native.state")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Reducer(BuiltIn);

#[pymethods]
impl Reducer {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    fn __call__(&self, current: &Bound<'_, PyAny>, incoming: &Bound<'_, PyAny>) -> PyResult<Json> {
        let (current, incoming) = (super::written(current)?, super::written(incoming)?);
        Ok(Json(self.0.reduce(&current, incoming).map_err(Fault)?))
    }

    fn __repr__(&self) -> String {
        format!("<reducer {}>", self.0.name())
    }
}

macro_rules! built_in {
    ($($class:ident),*) => { $(
        #[pyclass(frozen, extends = Reducer, module = "atomr_agents._native.state")]
        pub(crate) struct $class;

        #[pymethods]
        impl $class {
            #[new]
            fn new() -> PyClassInitializer<Self> {
                PyClassInitializer::from(Reducer(BuiltIn::$class)).add_subclass(Self)
            }
        }
    )* };
}

built_in!(LastWriteWins, AppendList, AppendMessages, MergeMap, MaxByTimestamp);

/// A function of Python that reduces the writes of one channel.
struct Function {
    channel: String,
    name: String,
    call: Py<PyAny>,
}

/// What reduces the writes of `channel`: a built-in reducer, its class, or a function under `name`.
pub(super) fn reducer_of(
    channel: &str,
    name: String,
    given: &Bound<'_, PyAny>,
) -> PyResult<std::sync::Arc<dyn state::Reducer>> {
    if let Ok(built_in) = given.cast::<Reducer>() {
        return Ok(std::sync::Arc::new(built_in.get().0));
    }
    if let Ok(class) = given.cast::<PyType>()
        && class.is_subclass_of::<Reducer>()?
    {
        return reducer_of(channel, name, &class.call0()?);
    }
    Ok(std::sync::Arc::new(Function { channel: channel.to_owned(), name, call: given.clone().unbind() }))
}

impl state::Reducer for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn reduce(&self, current: &Value, incoming: Value) -> Result<Value, ReduceError> {
        Python::attach(|py| {
            let arguments = (Json(current.clone()), Json(incoming));
            let made = self.call.bind(py).call1(arguments).map_err(|error| self.raised(py, error))?;
            json::from_py(&made).map_err(|fault| {
                // A coroutine that nobody awaits would say so a second time.
                let _closed = made.call_method0("close").is_ok();
                self.failed(py, Kind::Contract, &format!("it returned what is no JSON: {fault}"), None)
            })
        })
    }
}

impl Function {
    fn raised(&self, py: Python<'_>, error: PyErr) -> ReduceError {
        if error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py) {
            return ReduceError::failed(Kind::Guest, GuestError::raised(py, error));
        }
        let class = error.get_type(py).qualname().map_or_else(|_| "Exception".to_owned(), |name| name.to_string());
        let text = error.value(py).str().map_or_else(|_| String::new(), |text| format!(": {}", text.to_string_lossy()));
        self.failed(py, Kind::Guest, &format!("it raised {class}{text}"), Some(error))
    }

    /// An exception that names the channel and the reducer; what the user's code raised is its cause.
    fn failed(&self, py: Python<'_>, kind: Kind, what: &str, cause: Option<PyErr>) -> ReduceError {
        let message = format!("channel `{}`, reducer {}: {what}; nothing was written", self.channel, self.name);
        let made = py
            .import("atomr_agents.errors")
            .and_then(|errors| errors.call_method1("make", (kind.as_str(), message, PyDict::new(py))));
        let error = made.map_or_else(|failed| failed, PyErr::from_value);
        error.set_cause(py, cause);
        ReduceError::failed(kind, GuestError::raised(py, error))
    }
}
