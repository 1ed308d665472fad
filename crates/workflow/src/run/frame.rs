//! A visit of a step as it runs, and as it is kept while it waits.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use atomr_agents_core::CancellationToken;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::life::Life;
use crate::plan::Task;
use crate::{NodeError, Update};

/// A visit of a step that was begun: its future, and what is known of it from outside. While the run is suspended it is
/// kept as it is; dropping it ends the step.
pub(crate) struct Frame {
    pub(crate) task: Task,
    pub(crate) life: Arc<Life>,
    pub(crate) cancel: Ending,
    pub(crate) future: BoxFuture<'static, Result<Update, NodeError>>,
    pub(crate) began: Instant,
}

/// Tells a step that nobody waits for it any more, at the latest when its frame is dropped. It is no child of a caller's
/// token: a frame that is kept outlives the call in which it was begun.
pub(crate) struct Ending(pub(crate) CancellationToken);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Why a frame is not driven any more.
pub(crate) enum Stop {
    /// It ended.
    Done(Result<Update, NodeError>),
    /// It waits for answers, and does nothing else.
    Waits,
}

/// Drives a frame until it ends or waits, and gives it back.
pub(crate) struct Drive(Option<Frame>);

impl Drive {
    pub(crate) fn new(frame: Frame) -> Self {
        Self(Some(frame))
    }
}

impl Future for Drive {
    type Output = (Frame, Stop);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(frame) = self.0.as_mut() else { return Poll::Pending };
        frame.life.driven_by(cx.waker());
        let polled = catch_unwind(AssertUnwindSafe(|| frame.future.as_mut().poll(cx)));
        let stop = match polled {
            Ok(Poll::Ready(result)) => Stop::Done(result),
            Ok(Poll::Pending) if frame.life.waits() => Stop::Waits,
            Ok(Poll::Pending) => return Poll::Pending,
            Err(panic) => Stop::Done(Err(NodeError::Panicked { message: said(&*panic) })),
        };
        match self.0.take() {
            Some(frame) => Poll::Ready((frame, stop)),
            None => Poll::Pending,
        }
    }
}

/// What somebody said who panicked.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("path", &self.task.path).finish_non_exhaustive()
    }
}
