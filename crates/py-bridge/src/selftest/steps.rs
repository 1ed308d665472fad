//! Work that goes from guest to guest, and where it is polled.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::guests::guest;
use crate::codec::no_args;
use crate::error::GuestError;
use crate::stepping;

/// What is done between two guests.
#[derive(Clone, Copy)]
enum Between {
    Nothing,
    Sleep,
    Yield,
    Panic,
}

/// Calls a guest `count` times, one after the other, and does something in between; tells after each of these things
/// whether it is on a thread of the runtime.
#[pyfunction]
#[pyo3(signature = (object, count, between = "nothing", inline = false))]
pub(super) fn steps(
    py: Python<'_>,
    object: &Bound<'_, PyAny>,
    count: usize,
    between: &str,
    inline: bool,
) -> PyResult<Py<PyAny>> {
    let guest = guest(py, object, inline)?;
    let between = match between {
        "nothing" => Between::Nothing,
        "sleep" => Between::Sleep,
        "yield" => Between::Yield,
        "panic" => Between::Panic,
        other => return Err(PyValueError::new_err(format!("{other:?} is not known here"))),
    };
    stepping(py, move |scope| async move {
        let mut places = Vec::new();
        for _ in 0..count {
            guest.invoke(no_args(), |_| Ok(()), Some(&scope)).await?;
            places.push(on_runtime());
            match between {
                Between::Nothing => {}
                Between::Sleep => tokio::time::sleep(Duration::from_millis(1)).await,
                Between::Yield => tokio::task::yield_now().await,
                Between::Panic => std::panic::resume_unwind(Box::new("on purpose".to_owned())),
            }
            places.push(on_runtime());
        }
        Ok::<_, GuestError>(places)
    })
}

fn on_runtime() -> bool {
    std::thread::current().name() == Some("atomr-worker")
}
