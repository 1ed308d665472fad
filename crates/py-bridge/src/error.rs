//! What can go wrong between the languages, so that errors of other crates can carry it as their source.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use pyo3::exceptions::{PyBaseException, PyGeneratorExit, PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::faults::{self, Fault};
use crate::glue;

/// Why a guest call has no result. Cheap to clone; an exception inside is kept as the object that was raised.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The guest raised; crossing back into Python raises the same object.
    #[error("{0}")]
    Raised(Raised),
    /// The guest raised `SystemExit` or `KeyboardInterrupt`, which must not stop the caller's loop.
    #[error("the guest tried to end the process: {0}")]
    Exited(Raised),
    /// The guest's task was cancelled.
    #[error("the call was cancelled")]
    Cancelled,
    /// The event loop was closed before the guest had answered.
    #[error("the event loop was closed while the call was under way")]
    LoopClosed,
    /// No event loop is known that could run an asynchronous guest.
    #[error("no running event loop{}", for_guest(.guest))]
    NoEventLoop {
        /// The guest, as `kind.key`; empty when no guest is concerned.
        guest: String,
    },
    /// The guest is no such thing as its decorator says.
    #[error("{0}")]
    Contract(Arc<Breach>),
    /// This process was forked from one in which the runtime had started.
    #[error(
        "the runtime was started before this process was forked; use the spawn start method, or start the work in the child only"
    )]
    Forked,
    /// The interpreter is exiting.
    #[error("the interpreter is exiting: the runtime has stopped")]
    ShutDown,
    /// Too many calls wait already.
    #[error("the queue of the {queue} is full: {limit} wait in it")]
    Overloaded {
        /// The queue.
        queue: &'static str,
        /// How many it holds.
        limit: usize,
    },
    /// The native side panicked.
    #[error("the native side panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
}

/// Which promise of which guest was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {key:?}: {method} broke its contract: {message}")]
pub struct Breach {
    /// The decorator's kind, such as `tool`.
    pub kind: String,
    /// The guest's key.
    pub key: String,
    /// The method.
    pub method: String,
    /// What is wrong and what is expected.
    pub message: String,
}

/// An exception that a guest raised, with a text that can be read without the interpreter.
#[derive(Clone)]
pub struct Raised(Arc<Inner>);

struct Inner {
    error: PyErr,
    class: String,
    kind: Option<String>,
    text: String,
}

impl Raised {
    /// Keeps `error` and reads its class and message; an exception whose `__str__` raises is kept all the same.
    pub fn new(py: Python<'_>, error: PyErr) -> Self {
        let class = error
            .get_type(py)
            .qualname()
            .map_or_else(|_| "Exception".to_owned(), |name| name.to_string_lossy().into_owned());
        let text = match error.value(py).str() {
            Ok(message) => message.to_string_lossy().into_owned(),
            Err(_) => "<its message cannot be read: __str__ raised>".to_owned(),
        };
        let kind = own_kind(&error.get_type(py));
        Self(Arc::new(Inner { error, class, kind, text }))
    }

    /// The word by which a class of this package says what kind of error it is; nothing for anybody else's.
    pub fn kind(&self) -> Option<&str> {
        self.0.kind.as_deref()
    }

    /// The name of the exception's class.
    pub fn class(&self) -> &str {
        &self.0.class
    }

    /// The exception's message.
    pub fn message(&self) -> &str {
        &self.0.text
    }

    /// The exception itself: the same object, with its traceback.
    pub fn exception<'py>(&self, py: Python<'py>) -> Bound<'py, PyBaseException> {
        self.0.error.value(py).clone()
    }

    /// The exception as an error that raises the same object.
    pub fn error(&self, py: Python<'_>) -> PyErr {
        self.0.error.clone_ref(py)
    }
}

fn own_kind(class: &Bound<'_, PyType>) -> Option<String> {
    let module = class.module().ok()?;
    if module.to_str().is_ok_and(|module| module.starts_with("atomr_agents")) {
        return class.getattr(pyo3::intern!(class.py(), "kind")).ok()?.extract().ok();
    }
    None
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.text.is_empty() { f.write_str(&self.0.class) } else { write!(f, "{}: {}", self.0.class, self.0.text) }
    }
}

impl fmt::Debug for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raised({self})")
    }
}

impl GuestError {
    /// Sorts an exception that came out of Python.
    pub fn raised(py: Python<'_>, error: PyErr) -> Self {
        if error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py) {
            return Self::Exited(Raised::new(py, error));
        }
        // A coroutine that is closed before its end is no failure of the guest.
        let cancelled = error.is_instance_of::<PyGeneratorExit>(py)
            || glue::cancelled_error(py).is_ok_and(|class| error.is_instance(py, &class));
        if cancelled { Self::Cancelled } else { Self::Raised(Raised::new(py, error)) }
    }

    /// A broken contract.
    pub fn contract(kind: &str, key: &str, method: &str, message: impl Into<String>) -> Self {
        Self::Contract(Arc::new(Breach {
            kind: kind.to_owned(),
            key: key.to_owned(),
            method: method.to_owned(),
            message: message.into(),
        }))
    }

    /// The exception that Python shall see.
    pub fn to_py(&self, py: Python<'_>) -> PyErr {
        let (fault, cause) = match self {
            Self::Raised(raised) => return raised.error(py),
            Self::Cancelled => {
                return match glue::cancelled_error(py) {
                    Ok(class) => class.call0().map_or_else(|error| error, PyErr::from_value),
                    Err(error) => error,
                };
            }
            Self::Exited(raised) => (Fault::GuestExited, Some(raised.error(py))),
            Self::LoopClosed => (Fault::LoopClosed, None),
            Self::NoEventLoop { .. } => (Fault::NoEventLoop, None),
            Self::Contract(_) => (Fault::Contract, None),
            Self::Forked => (Fault::RuntimeForked, None),
            Self::ShutDown => (Fault::RuntimeShutDown, None),
            Self::Overloaded { .. } => (Fault::Overloaded, None),
            Self::Panicked { .. } => (Fault::RustPanic, None),
        };
        let error = faults::raise(py, fault, self.to_string());
        if cause.is_some() {
            error.set_cause(py, cause);
        }
        if let Self::Contract(breach) = self {
            let value = error.value(py);
            for (name, text) in [("guest", &breach.kind), ("key", &breach.key), ("method", &breach.method)] {
                // A class without room for attributes still carries it all in its message.
                let _unset = value.setattr(name, text);
            }
        }
        error
    }
}

impl From<GuestError> for PyErr {
    fn from(error: GuestError) -> Self {
        Python::attach(|py| error.to_py(py))
    }
}

/// The guest's error inside another error, if it is there: look for it before making an exception of the outer one.
pub fn original<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e GuestError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<GuestError>() {
            return Some(found);
        }
        // A source that is shared hides its type behind the `Arc`.
        if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
            next = Some(&**shared);
            continue;
        }
        next = error.source();
    }
    None
}

/// A value that is not what was expected; the guest's name is added where it is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadShape {
    /// What is wrong with the value, and where in it.
    pub message: String,
}

impl BadShape {
    /// A bad shape with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl From<PyErr> for BadShape {
    fn from(error: PyErr) -> Self {
        Self::new(Python::attach(|py| Raised::new(py, error).to_string()))
    }
}

impl From<serde_json::Error> for BadShape {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error.to_string())
    }
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

fn for_guest(guest: &str) -> String {
    if guest.is_empty() {
        ": await this inside asyncio.run() or another running loop".to_owned()
    } else {
        format!(" for {guest}: an asynchronous guest needs the loop of its caller, or one that ran when it was wrapped")
    }
}

#[cfg(test)]
mod tests {
    use pyo3::exceptions::PyValueError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] GuestError);

    #[test]
    fn an_exception_crosses_as_itself_also_inside_another_error() {
        Python::attach(|py| {
            let error = PyValueError::new_err("no such city");
            let object = error.value(py).clone();
            let kept = GuestError::raised(py, error);
            assert_eq!(kept.to_string(), "ValueError: no such city");
            let outer = Outer(kept);
            let found = original(&outer).unwrap().to_py(py);
            assert!(found.value(py).is(&object));
        });
    }

    #[test]
    fn an_exit_is_kept_as_the_cause() {
        Python::attach(|py| {
            let kept = GuestError::raised(py, PySystemExit::new_err(3));
            assert!(matches!(kept, GuestError::Exited(_)));
            let error = kept.to_py(py);
            assert!(!error.is_instance_of::<PySystemExit>(py));
            assert!(error.cause(py).unwrap().is_instance_of::<PySystemExit>(py));
        });
    }

    #[test]
    fn an_exception_that_cannot_be_read_is_kept() {
        Python::attach(|py| {
            let code = c"class Mute(Exception):\n    def __str__(self): raise ValueError('no')\nmute = Mute()\n";
            let module = PyModule::from_code(py, code, c"mute.py", c"mute").unwrap();
            let raised = Raised::new(py, PyErr::from_value(module.getattr("mute").unwrap()));
            assert_eq!(raised.to_string(), "Mute: <its message cannot be read: __str__ raised>");
        });
    }

    #[test]
    fn a_broken_contract_names_kind_key_and_method() {
        Python::attach(|py| {
            let error = GuestError::contract("tool", "weather", "invoke", "missing field `city`").to_py(py);
            assert_eq!(
                error.value(py).to_string(),
                "tool \"weather\": invoke broke its contract: missing field `city`"
            );
            let method: String = error.value(py).getattr("method").unwrap().extract().unwrap();
            assert_eq!(method, "invoke");
        });
    }

    #[test]
    fn a_panic_without_text_has_one() {
        assert_eq!(panic_text(&7_u8), "a panic without a message");
        assert_eq!(panic_text(&"boom"), "boom");
    }
}
