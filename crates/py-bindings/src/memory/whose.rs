//! Whose memory it is, as the host says it in Python.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::CallCtx;
use atomr_agents_memory::{Fixed, MemoryError, Namespace, Whose};
use atomr_agents_py_bridge::{GuestError, Raised};
use futures_util::future::BoxFuture;
use pyo3::prelude::*;

use super::Parts;
use crate::context::deps_of;
use crate::errors::guest_kind;

/// A namespace, or a quick function of the run's dependencies that gives one.
pub(super) fn whose_of(given: &Bound<'_, PyAny>) -> PyResult<Arc<dyn Whose>> {
    if given.is_callable() {
        return Ok(Arc::new(OfDeps(given.clone().unbind())));
    }
    let Parts(namespace) = given.extract()?;
    // Refused here rather than in the first run.
    namespace.join(&Namespace::root()).map_err(crate::errors::from_kinded)?;
    Ok(Arc::new(Fixed(namespace)))
}

struct OfDeps(Py<PyAny>);

impl fmt::Debug for OfDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfDeps")
    }
}

impl Whose for OfDeps {
    fn namespace<'a>(&'a self, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Namespace, MemoryError>> {
        let told = Python::attach(|py| {
            let given = self.0.bind(py).call1((deps_of(py, ctx),));
            given.and_then(|given| given.extract::<Parts>()).map(|parts| parts.0).map_err(|error| {
                let error = GuestError::Raised(Raised::new(py, error));
                MemoryError::Failed {
                    what: "the namespace of the run".to_owned(),
                    kind: guest_kind(&error),
                    message: error.to_string(),
                    source: Some(Arc::new(error)),
                }
            })
        });
        Box::pin(std::future::ready(told))
    }
}
