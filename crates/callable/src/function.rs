//! A closure as a callable.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::error::alive;
use crate::{Callable, CallableError};

type Function = dyn Fn(Value, CallCtx) -> BoxFuture<'static, Result<Value, CallableError>> + Send + Sync;

/// A closure as a callable. When the context is cancelled or its deadline passes, the closure's future is dropped;
/// when it panics, that is an error.
pub struct FnCallable {
    label: String,
    function: Box<Function>,
}

impl FnCallable {
    /// A callable of this label that calls `function`.
    #[must_use]
    pub fn new<F, Fut>(label: impl Into<String>, function: F) -> Self
    where
        F: Fn(Value, CallCtx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, CallableError>> + Send + 'static,
    {
        Self { label: label.into(), function: Box::new(move |input, ctx| Box::pin(function(input, ctx))) }
    }
}

impl Callable for FnCallable {
    fn label(&self) -> &str {
        &self.label
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            alive(&self.label, &ctx)?;
            let (cancel, remaining) = (ctx.cancel.clone(), ctx.remaining());
            // The closure is called inside, so that a panic before its first await is caught too.
            let work = AssertUnwindSafe(async move { (self.function)(input, ctx).await }).catch_unwind();
            tokio::select! {
                biased;
                done = work => done.unwrap_or_else(|panic| Err(CallableError::panicked(&self.label, panic))),
                () = cancel.cancelled() => Err(CallableError::Cancelled { label: self.label.clone() }),
                after = deadline(remaining) => Err(CallableError::Timeout { label: self.label.clone(), after }),
            }
        })
    }
}

/// Done when this time has passed, and gives it back; never without one.
async fn deadline(remaining: Option<Duration>) -> Duration {
    match remaining {
        Some(after) => tokio::time::sleep(after).map(|()| after).await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for FnCallable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FnCallable").field(&self.label).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atomr_agents_core::Kind;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn a_closure_that_does_not_look_is_ended_by_cancelling_and_by_the_deadline() {
        let forever = FnCallable::new("forever", |_, _| std::future::pending());
        let ctx = CallCtx::new();
        let cancel = async { ctx.cancel.cancel() };
        let (result, ()) = tokio::join!(forever.call(json!(1), ctx.clone()), cancel);
        assert_eq!(result.unwrap_err().kind(), Kind::Cancelled);
        let late = forever.call(json!(1), CallCtx::new().with_timeout(Duration::from_secs(3))).await;
        assert!(matches!(late, Err(CallableError::Timeout { after, .. }) if after <= Duration::from_secs(3)));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_whether_it_comes_before_or_after_the_first_await() {
        let at_once = FnCallable::new("at once", |input: Value, _| {
            assert!(input.is_null(), "not null but {input}");
            async { Ok(Value::Null) }
        });
        let later = FnCallable::new("later", |_, _| async {
            tokio::task::yield_now().await;
            std::panic::panic_any(7)
        });
        let error = at_once.call(json!(5), CallCtx::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "at once panicked: not null but 5");
        let error = later.call(json!(5), CallCtx::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "later panicked: a panic without words");
        assert_eq!((error.kind(), error.label()), (Kind::Guest, Some("later")));
    }
}
