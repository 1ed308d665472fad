//! Functions by which the Python tests and benchmarks walk every rule of the bridge over the real package.

mod guests;
mod steps;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::GuestError;
use crate::port::LoopPort;
use crate::{Json, awaitable, block_on, detached, json, pool};

/// Registers the functions in a module.
///
/// # Errors
/// If the module refuses an attribute.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    macro_rules! add {
        ($($function:ident),+) => {
            $(module.add_function(pyo3::wrap_pyfunction!($function, module)?)?;)+
        };
    }
    add!(identity, json_round_trip, unit, sleep, spin, panic, panic_in_reply, blocking, block_on_sleep);
    add!(drop_on_thread, heartbeat, stats);
    module.add_function(pyo3::wrap_pyfunction!(steps::steps, module)?)?;
    guests::register(module)
}

#[pyfunction]
fn identity(py: Python<'_>, value: Py<PyAny>) -> PyResult<Py<PyAny>> {
    awaitable(py, move |_| async move { Ok::<_, GuestError>(value) })
}

#[pyfunction]
fn json_round_trip(value: &Bound<'_, PyAny>) -> PyResult<Json> {
    Ok(Json(json::from_py(value)?))
}

#[pyfunction]
fn unit(py: Python<'_>) -> PyResult<Py<PyAny>> {
    awaitable(py, |_| async { Ok::<(), GuestError>(()) })
}

/// Sleeps; `mark`, a list, gets "started" and "ended" or "dropped".
#[pyfunction]
#[pyo3(signature = (seconds, mark = None))]
fn sleep(py: Python<'_>, seconds: f64, mark: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
    struct Mark(Option<Py<PyAny>>);
    impl Mark {
        fn note(&self, text: &str) {
            if let Some(list) = &self.0 {
                Python::try_attach(|py| list.bind(py).call_method1("append", (text,)).map(|_| ()));
            }
        }
    }
    impl Drop for Mark {
        fn drop(&mut self) {
            self.note("dropped");
        }
    }
    awaitable(py, move |_| async move {
        let mut mark = Mark(mark);
        mark.note("started");
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        mark.note("ended");
        mark.0 = None;
        Ok::<_, GuestError>(seconds)
    })
}

/// Keeps a runtime thread busy without ever yielding.
#[pyfunction]
fn spin(py: Python<'_>, seconds: f64) -> PyResult<Py<PyAny>> {
    awaitable(py, move |_| async move {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut turns = 0_u64;
        while Instant::now() < end {
            turns = turns.wrapping_add(1);
            std::hint::black_box(turns);
        }
        Ok::<_, GuestError>(seconds)
    })
}

#[pyfunction]
fn panic(py: Python<'_>, message: String) -> PyResult<Py<PyAny>> {
    awaitable(py, move |_| async move {
        if !message.is_empty() {
            std::panic::resume_unwind(Box::new(message));
        }
        Ok::<_, GuestError>(())
    })
}

#[pyfunction]
fn panic_in_reply(py: Python<'_>, message: String) -> PyResult<Py<PyAny>> {
    awaitable(py, move |_| async move {
        Ok::<_, GuestError>(crate::Reply::new(move |_| std::panic::resume_unwind(Box::new(message))))
    })
}

#[pyfunction]
fn blocking(py: Python<'_>, seconds: f64) -> PyResult<f64> {
    detached(py, move || std::thread::sleep(Duration::from_secs_f64(seconds)))?;
    Ok(seconds)
}

#[pyfunction]
fn block_on_sleep(py: Python<'_>, seconds: f64) -> PyResult<f64> {
    block_on(py, async move { tokio::time::sleep(Duration::from_secs_f64(seconds)).await })?;
    Ok(seconds)
}

/// Drops a Python object on a runtime thread, which must neither block nor need the interpreter.
#[pyfunction]
fn drop_on_thread(py: Python<'_>, object: Py<PyAny>) -> PyResult<Py<PyAny>> {
    awaitable(py, move |_| async move {
        drop(object);
        Ok::<(), GuestError>(())
    })
}

/// Beats on the runtime, whatever the interpreter does; gives by how many seconds the latest beat was late.
#[pyfunction]
fn heartbeat(py: Python<'_>, beats: u32, seconds: f64) -> PyResult<Py<PyAny>> {
    let period = Duration::from_secs_f64(seconds);
    awaitable(py, move |_| async move {
        let mut worst = Duration::ZERO;
        for _ in 0..beats {
            let due = Instant::now() + period;
            tokio::time::sleep_until(due.into()).await;
            worst = worst.max(due.elapsed());
        }
        Ok::<_, GuestError>(worst.as_secs_f64())
    })
}

/// Counters of this loop and process.
#[pyfunction]
fn stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let mut counts = HashMap::new();
    if let Ok((port, _)) = LoopPort::current(py) {
        counts.insert("wake_ups", port.wake_ups());
        counts.insert("in_flight", port.in_flight() as u64);
    }
    counts.insert("abandoned", pool::abandoned() as u64);
    counts.insert("threads", pool::threads() as u64);
    counts.into_pyobject(py)
}
