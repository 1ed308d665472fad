//! The rules of a store, as a check of one that a user wrote.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use atomr_agents_py_bridge::{BadShape, GuestCallable, GuestError, GuestOptions, awaitable, no_args};
use atomr_agents_state::{Store, conformance};
use futures_util::FutureExt as _;
use pyo3::prelude::*;
use tokio::sync::mpsc;

use crate::state::store_of;

/// The first rule that the stores made by `make` break, in words; `None` if they keep all of them.
#[pyfunction]
pub(super) fn store_conformance(py: Python<'_>, make: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let make = GuestCallable::wrap(py, "make", make, GuestOptions::default())?;
    awaitable(py, move |scope| async move {
        // What `make` did wrong says more than the check that it stopped.
        let (tell, mut told) = mpsc::channel::<GuestError>(1);
        let fresh = || {
            let (make, scope, tell) = (make.clone(), scope.clone(), tell.clone());
            async move {
                let read = |made: &Bound<'_, PyAny>| store_of(made).map_err(BadShape::from);
                match make.invoke(no_args(), read, Some(&scope)).await {
                    Ok(store) => store,
                    Err(error) => {
                        let _ = tell.send(error).await;
                        // The checks end here: whoever asked is told below.
                        std::future::pending::<Arc<dyn Store>>().await
                    }
                }
            }
        };
        tokio::select! {
            done = AssertUnwindSafe(conformance::store(fresh)).catch_unwind() => {
                Ok::<_, PyErr>(done.err().map(|panic| words(&*panic)))
            }
            Some(error) = told.recv() => Err(error.into()),
        }
    })
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a check failed").to_owned()
}
