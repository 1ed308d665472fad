//! The exception classes that the bridge raises. They are Python classes (a native one cannot carry fields in the stable
//! ABI of this version); the package replaces the built-in ones by its own of the same names.

use std::sync::RwLock;

use pyo3::prelude::*;
use pyo3::types::{PyModule, PyType};

use crate::glue;

/// The names of the classes, in the order of the table.
pub const NAMES: [&str; 8] = [
    "ContractError",
    "NoEventLoopError",
    "LoopClosedError",
    "RuntimeForkedError",
    "RuntimeShutDownError",
    "GuestExitedError",
    "RustPanicError",
    "OverloadedError",
];

/// One row of the table; its number is the place of its name in [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Contract,
    NoEventLoop,
    LoopClosed,
    RuntimeForked,
    RuntimeShutDown,
    GuestExited,
    RustPanic,
    Overloaded,
}

static INSTALLED: RwLock<[Option<Py<PyType>>; 8]> = RwLock::new([const { None }; 8]);

/// Takes the classes from `module`, by name; a name that it lacks keeps its built-in class.
///
/// # Errors
/// A `TypeError` if one of the attributes is no class.
pub fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let mut found = [const { None }; 8];
    for (place, name) in found.iter_mut().zip(NAMES) {
        if let Some(class) = module.getattr_opt(name)? {
            *place = Some(class.cast_into::<PyType>()?.unbind());
        }
    }
    let old = std::mem::replace(&mut *INSTALLED.write().unwrap_or_else(std::sync::PoisonError::into_inner), found);
    drop(old);
    Ok(())
}

/// The class of that name: the installed one, else the built-in one.
///
/// # Errors
/// An `AttributeError` for a name that is not in [`NAMES`].
pub fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let place = NAMES.iter().position(|known| *known == name);
    let installed = place.and_then(|place| {
        let installed = INSTALLED.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        installed[place].as_ref().map(|class| class.bind(py).clone().into_any())
    });
    match installed {
        Some(class) => Ok(class),
        None => glue::glue(py)?.module.bind(py).getattr(name),
    }
}

pub(crate) fn raise(py: Python<'_>, fault: Fault, message: String) -> PyErr {
    match class(py, NAMES[fault as usize]).and_then(|class| class.call1((message,))) {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_built_in_class() {
        Python::attach(|py| {
            for name in NAMES {
                let found = glue::glue(py).unwrap().module.bind(py).getattr(name).unwrap();
                assert!(
                    found.cast_into::<PyType>().unwrap().is_subclass_of::<pyo3::exceptions::PyException>().unwrap()
                );
            }
            assert!(class(py, "NoSuchError").is_err());
        });
    }

    #[test]
    fn the_packages_classes_take_their_place() {
        Python::attach(|py| {
            let code = c"class LoopClosedError(RuntimeError): pass\n";
            let module = PyModule::from_code(py, code, c"errors.py", c"errors").unwrap();
            install(&module).unwrap();
            let error = raise(py, Fault::LoopClosed, "gone".to_owned());
            assert!(error.value(py).is_instance(&module.getattr("LoopClosedError").unwrap()).unwrap());
            let other = raise(py, Fault::RustPanic, "boom".to_owned());
            assert_eq!(other.value(py).to_string(), "boom");
        });
    }
}
