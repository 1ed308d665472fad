//! A limit on how long a call may take.

use std::fmt;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Value};
use futures_util::future::BoxFuture;

use crate::error::alive;
use crate::{Callable, CallableError};

/// Gives a call so much time and no more. The call sees the limit as its context's deadline; when it passes, the
/// call's context is cancelled and its future dropped, in this order. The same happens when this call is dropped.
pub struct Timeout {
    inner: Box<dyn Callable>,
    limit: Duration,
}

impl Timeout {
    /// Gives `inner` so much time.
    ///
    /// # Errors
    /// [`CallableError::Invalid`] for no time at all.
    pub fn new(inner: impl Callable, limit: Duration) -> Result<Self, CallableError> {
        if limit.is_zero() {
            let message = "0 would never let a call run; leave the time-out away to have none".into();
            return Err(CallableError::Invalid { setting: "timeout", message });
        }
        Ok(Self { inner: Box::new(inner), limit })
    }
}

impl Callable for Timeout {
    fn label(&self) -> &str {
        self.inner.label()
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            alive(self.label(), &ctx)?;
            // The parent's deadline may be the earlier one.
            let after = ctx.remaining().map_or(self.limit, |remaining| remaining.min(self.limit));
            let mut limited = ctx.clone().with_timeout(self.limit);
            limited.cancel = ctx.cancel.child_token();
            let guard = limited.cancel.clone().drop_guard();
            let work = self.inner.call(input, limited);
            tokio::select! {
                biased;
                // First, so that an inner callable that honours the deadline too does not take the word from us.
                () = tokio::time::sleep(after) => {
                    drop(guard);
                    Err(CallableError::Timeout { label: self.label().to_owned(), after })
                }
                answer = work => {
                    guard.disarm();
                    answer
                }
            }
        })
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("inner", &self.label()).field("limit", &self.limit).finish()
    }
}
