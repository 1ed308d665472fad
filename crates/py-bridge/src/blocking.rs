//! Work that blocks: with the interpreter's lock released, and interruptible where Python waits for it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::{GuestError, panic_text};
use crate::{glue, runtime};

/// How often a blocking wait looks for Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(50);

/// Runs `work` with the interpreter's lock released.
///
/// # Errors
/// `Panicked` if it panics.
pub fn detached<W, T>(py: Python<'_>, work: W) -> Result<T, GuestError>
where
    W: FnOnce() -> T + Send,
    T: Send,
{
    py.detach(|| catch_unwind(AssertUnwindSafe(work)))
        .map_err(|panic| GuestError::Panicked { message: panic_text(&*panic) })
}

/// Runs a future on the runtime and waits for it with the lock released; Ctrl-C stops it.
///
/// # Errors
/// Whatever a signal handler raises (`KeyboardInterrupt`), and a `RuntimeError` inside a running event loop, which the
/// wait would block.
pub fn block_on<F, T>(py: Python<'_>, future: F) -> PyResult<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    if glue::running_loop(py)?.is_some() {
        return Err(PyRuntimeError::new_err(
            "this call would block the running event loop: await its asynchronous form",
        ));
    }
    let (tell, told) = mpsc::channel();
    let task = runtime::handle(py)?.spawn(async move {
        // Whoever was interrupted no longer listens.
        let _unheard = tell.send(future.await);
    });
    let told = std::sync::Mutex::new(told);
    loop {
        match py.detach(|| crate::port::lock(&told).recv_timeout(SIGNALS)) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Disconnected) => {
                let error = runtime::alive().err();
                let panicked = GuestError::Panicked { message: "the work ended without a result".to_owned() };
                return Err(error.unwrap_or(panicked).into());
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Err(interrupt) = py.check_signals() {
                    task.abort();
                    return Err(interrupt);
                }
            }
        }
    }
}
