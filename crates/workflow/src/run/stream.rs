//! A run as a stream of what happens on the way.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::future::BoxFuture;

use super::parts::{Part, Parts};
use crate::{RunOutcome, WorkflowError};

/// A run as a stream of what happens on the way. It drives the run: reading it is what makes the run go on.
pub struct RunStream {
    parts: Parts,
    run: Option<BoxFuture<'static, Result<RunOutcome, WorkflowError>>>,
    outcome: Option<Result<RunOutcome, WorkflowError>>,
}

impl RunStream {
    pub(crate) fn new(
        parts: Parts,
        run: impl Future<Output = Result<RunOutcome, WorkflowError>> + Send + 'static,
    ) -> Self {
        Self { parts, run: Some(Box::pin(run)), outcome: None }
    }

    /// How the run was left, once the stream has ended; `None` before, and when it was taken.
    pub fn outcome(&mut self) -> Option<Result<RunOutcome, WorkflowError>> {
        self.outcome.take()
    }
}

impl Stream for RunStream {
    type Item = Part;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Part>> {
        loop {
            if let Some(part) = self.parts.take(cx.waker()) {
                return Poll::Ready(Some(part));
            }
            let Some(run) = &mut self.run else { return Poll::Ready(None) };
            match run.as_mut().poll(cx) {
                // Its parts may have come in just now.
                Poll::Ready(outcome) => (self.run, self.outcome) = (None, Some(outcome)),
                Poll::Pending => {
                    return match self.parts.take(cx.waker()) {
                        Some(part) => Poll::Ready(Some(part)),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }
}

impl fmt::Debug for RunStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunStream")
            .field("parts", &self.parts)
            .field("ended", &self.run.is_none())
            .finish_non_exhaustive()
    }
}
