//! One guest call from its start to its end: who waits, what runs, and who must be told when either goes away.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use pyo3::prelude::*;

use crate::error::{GuestError, panic_text};
use crate::in_flight::InFlight;
use crate::port::{Job, LoopPort, lock};
use crate::scope::Live;
use crate::{glue, runtime};

/// What became of a call.
pub(crate) enum Outcome<'a, 'py> {
    Value(&'a Bound<'py, PyAny>),
    Failed(GuestError),
}

/// Told once what became of the call, on the thread that saw it; gives whom to wake.
pub(crate) type Finish = Box<dyn for<'a, 'py> FnOnce(Outcome<'a, 'py>) -> Option<Waker> + Send>;

static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// How many synchronous guest calls still occupy a thread although nobody waits for them any more.
pub fn abandoned() -> usize {
    ABANDONED.load(Ordering::Relaxed)
}

/// The state shared by the Rust future that waits, the Python task that works and the loop's port.
pub(crate) struct CallState {
    port: Option<Arc<LoopPort>>,
    registered: AtomicUsize,
    phase: Mutex<Phase>,
}

#[derive(Default)]
struct Phase {
    stage: Stage,
    finish: Option<Finish>,
    task: Option<Py<PyAny>>,
    live: Option<Live>,
    left: bool,
    cancelled: bool,
    abandoned: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Waiting,
    OnLoop,
    OnThread,
    Over,
}

impl fmt::Debug for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallState")
    }
}

impl CallState {
    pub(crate) fn new(port: Option<Arc<LoopPort>>, live: Option<Live>, finish: Finish) -> Arc<Self> {
        let phase = Phase { finish: Some(finish), live, ..Phase::default() };
        Arc::new(Self { port, registered: AtomicUsize::new(0), phase: Mutex::new(phase) })
    }

    pub(crate) fn port(&self) -> Option<&Arc<LoopPort>> {
        self.port.as_ref()
    }

    /// Queues the call on its loop.
    pub(crate) fn send(self: &Arc<Self>, port: &Arc<LoopPort>, job: Job) {
        let enrol = |id| self.registered.store(id, Ordering::Release);
        if !port.send(self.clone(), enrol, job) {
            self.settle(Outcome::Failed(GuestError::LoopClosed));
        }
    }

    /// Claims the call for a thread; false if nobody waits for it any more.
    pub(crate) fn begin(&self, on_thread: bool) -> bool {
        let mut phase = lock(&self.phase);
        if phase.stage != Stage::Waiting || phase.left {
            return false;
        }
        phase.stage = if on_thread { Stage::OnThread } else { Stage::OnLoop };
        true
    }

    /// Remembers the call's task; cancels it at once if the waiter left while it was made.
    pub(crate) fn running(&self, task: Bound<'_, PyAny>) {
        let left = {
            let mut phase = lock(&self.phase);
            if phase.stage == Stage::Over {
                return;
            }
            phase.stage = Stage::OnLoop;
            if phase.task.replace(task.clone().unbind()).is_none()
                && let Some(port) = &self.port
            {
                port.task_started();
            }
            phase.left
        };
        if left {
            self.cancel_task(task.py());
        }
    }

    /// Ends the call, once; later ends are ignored.
    pub(crate) fn settle(&self, outcome: Outcome<'_, '_>) {
        if runtime::forked() {
            return;
        }
        let (finish, task, live, abandoned, on_loop) = {
            let mut phase = lock(&self.phase);
            let on_loop = match phase.stage {
                Stage::Over if phase.live.is_none() && phase.task.is_none() && phase.finish.is_none() => return,
                stage => stage == Stage::OnLoop,
            };
            phase.stage = Stage::Over;
            let abandoned = std::mem::take(&mut phase.abandoned);
            (phase.finish.take(), phase.task.take(), phase.live.take(), abandoned, on_loop)
        };
        if let (Some(_), Some(port)) = (&task, &self.port) {
            port.task_ended();
        }
        if abandoned {
            ABANDONED.fetch_sub(1, Ordering::Relaxed);
        }
        self.forget();
        if let Some(finish) = finish {
            match catch_unwind(AssertUnwindSafe(|| finish(outcome))) {
                Ok(None) => {}
                Ok(Some(waker)) => self.wake(waker, on_loop),
                // A decoder that panics drops its slot: the waiter sees the call as lost, the loop goes on.
                Err(panic) => {
                    let error = GuestError::Panicked { message: panic_text(&*panic) };
                    Python::try_attach(|py| glue::report(py, error.to_py(py), None));
                }
            }
        }
        drop(task);
        drop(live);
    }

    /// Wakes the waiter, together with others where many calls are under way on the loop.
    fn wake(&self, waker: Waker, on_loop: bool) {
        match &self.port {
            Some(port) if on_loop => port.wake_later(waker),
            _ => waker.wake(),
        }
    }

    /// The waiter has gone: a task is cancelled on its loop, a thread is left to itself, a call not begun is dropped.
    pub(crate) fn leave(self: &Arc<Self>) {
        if runtime::forked() {
            return;
        }
        let (finish, live, cancel) = {
            let mut phase = lock(&self.phase);
            if phase.stage == Stage::Over || phase.left {
                return;
            }
            phase.left = true;
            let live = match phase.stage {
                Stage::OnLoop => None,
                Stage::Waiting | Stage::OnThread | Stage::Over => phase.live.take(),
            };
            if phase.stage == Stage::OnThread {
                phase.abandoned = true;
                ABANDONED.fetch_add(1, Ordering::Relaxed);
            }
            if phase.stage == Stage::Waiting {
                phase.stage = Stage::Over;
            }
            (phase.finish.take(), live, phase.stage == Stage::OnLoop)
        };
        if cancel {
            if let Some(port) = &self.port {
                port.push(Job::Cancel(self.clone()));
            }
        } else {
            self.forget();
        }
        drop(finish);
        drop(live);
    }

    /// `task.cancel()`, on the loop's thread.
    pub(crate) fn cancel_task(&self, py: Python<'_>) {
        let task = {
            let mut phase = lock(&self.phase);
            // Once only: a second one would interrupt the guest's own cleaning up.
            if std::mem::replace(&mut phase.cancelled, true) {
                return;
            }
            phase.task.as_ref().map(|task| task.clone_ref(py))
        };
        let Some(task) = task else { return };
        let task = task.bind(py);
        if let Err(error) = task.call_method0(pyo3::intern!(py, "cancel")) {
            glue::report(py, error, None);
        }
        // A coroutine that is cancelled before its first step never runs a line, so it reports no end. Nor would its
        // being freed: the task keeps the cancellation, that keeps the frame, the frame this call, and this call the task.
        if unstarted(task).unwrap_or(false) {
            self.settle(Outcome::Failed(GuestError::Cancelled));
        }
    }

    /// Whether nobody waits for the call any more.
    pub(crate) fn has_left(&self) -> bool {
        lock(&self.phase).left
    }

    /// Whether the call's task was told to stop.
    pub(crate) fn was_cancelled(&self) -> bool {
        lock(&self.phase).cancelled
    }

    fn forget(&self) {
        let id = self.registered.swap(0, Ordering::AcqRel);
        if let (Some(port), true) = (&self.port, id != 0) {
            port.forget(id);
        }
    }
}

/// Whether a task has yet to take its first step; the loop's thread asks, so the task does not run at the moment.
fn unstarted(task: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = task.py();
    let coroutine = task.call_method0(pyo3::intern!(py, "get_coro"))?;
    let suspended = coroutine.getattr(pyo3::intern!(py, "cr_suspended"))?.is_truthy()?;
    Ok(!suspended && !coroutine.getattr(pyo3::intern!(py, "cr_frame"))?.is_none())
}

impl InFlight for CallState {
    fn lost(&self) {
        self.settle(Outcome::Failed(GuestError::LoopClosed));
    }
}

/// Leaves the call when the Rust future is dropped.
pub(crate) struct Waiter(pub(crate) Arc<CallState>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.leave();
    }
}
