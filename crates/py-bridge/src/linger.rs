//! Looking for the next guest before the loop's thread goes back to its sockets.
//!
//! An engine that runs one guest after the other brings the next within some microseconds of the end of the last. Going to sleep
//! and being woken by a socket takes longer than that, so the thread looks for a moment, without the interpreter.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::port::{LoopPort, Turn};
use crate::{glue, near, runtime};

/// How long it looks.
const LINGER: Duration = Duration::from_micros(25);

impl LoopPort {
    /// Whether a guest has just ended, no other runs, and so the next is likely to come at once.
    pub(crate) fn expects(&self) -> bool {
        self.expects.load(Ordering::Acquire) && self.active.load(Ordering::Relaxed) == 0
    }

    /// Has the loop look for the next job before it goes back to its sockets. On the loop's thread.
    pub(crate) fn look_soon(self: &Arc<Self>, py: Python<'_>) {
        let look = || -> PyResult<()> {
            if let Some(event_loop) = glue::running_loop(py)? {
                let look = Py::new(py, Look(Arc::clone(self)))?;
                event_loop.call_method1(pyo3::intern!(py, "call_soon"), (look, &event_loop))?;
            }
            Ok(())
        };
        if let Err(error) = look() {
            near::give_back(self.take_near());
            glue::report(py, error, None);
        }
    }

    /// Runs all that is queued, and what comes soon after it; only once, so that whatever else the loop has to do gets its turn.
    pub(crate) fn turn(self: &Arc<Self>, turn: &Turn<'_>) {
        self.drain(turn);
        self.poll_near(turn);
        if self.expects() && self.lingers(turn.py) {
            self.drain(turn);
            self.poll_near(turn);
        }
    }

    /// Nobody need wake the loop: it is about to look. Whoever has claimed a wake-up already makes it; then it looks once
    /// in vain.
    pub(crate) fn look_follows(&self) {
        self.woken.store(true, Ordering::Release);
    }

    /// Looks for the next job for a moment, without the interpreter. True if there is something.
    fn lingers(&self, py: Python<'_>) -> bool {
        self.expects.store(false, Ordering::Release);
        self.look_follows();
        self.asked.store(false, Ordering::Release);
        let begun = Instant::now();
        let found = self.has_work()
            || py.detach(|| {
                while begun.elapsed() < LINGER {
                    if self.asked.load(Ordering::Acquire) {
                        return true;
                    }
                    std::hint::spin_loop();
                }
                false
            });
        if !found {
            self.woken.store(false, Ordering::Release);
        }
        // Asked again in the end: somebody may have come in between and relied on this look.
        found || self.has_work()
    }
}

/// One more turn of the loop's thread, which a guest that has ended asks for: whoever waited for it may bring the next.
#[pyclass(frozen, module = "atomr_agents._native")]
struct Look(Arc<LoopPort>);

#[pymethods]
impl Look {
    fn __call__(&self, py: Python<'_>, event_loop: Bound<'_, PyAny>) {
        // Where something else came in between, nothing is expected any more.
        let look = || self.0.has_near() || (self.0.expects() && self.0.lingers(py));
        if !runtime::forked() && !self.0.is_closed() && look() {
            self.0.turn(&Turn { py, event_loop });
        }
    }
}
