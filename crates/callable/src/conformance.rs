//! What every callable must do, as a check that any implementation can run in its tests.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind, Value};

use crate::{Callable, CallableError};

/// No single call may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks the rules of [`Callable`] with an `input` that it accepts: it has a label that stays the same; it answers,
/// again and twice at the same time; a call that is dropped half way does not spoil it; under a context that is
/// cancelled already it answers `Cancelled`; it never cancels the context it was given; no call hangs.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check(callable: &dyn Callable, input: Value) -> Result<(), String> {
    let label = callable.label().to_owned();
    if label.trim().is_empty() {
        return Err("label() is empty".into());
    }
    expect("a first call", callable, &input).await?;
    expect("a second call", callable, &input).await?;
    let at_once = "one of two calls at once";
    let (one, other) = tokio::join!(expect(at_once, callable, &input), expect(at_once, callable, &input));
    one.and(other)?;

    let mut dropped = callable.call(input.clone(), CallCtx::new());
    poll_fn(|cx| {
        drop(dropped.as_mut().poll(cx));
        Poll::Ready(())
    })
    .await;
    drop(dropped);
    expect("a call after one that was dropped half way", callable, &input).await?;

    let ctx = CallCtx::new();
    ctx.cancel.cancel();
    match patiently("a call under a cancelled context", callable.call(input, ctx)).await? {
        Err(error) if error.kind() == Kind::Cancelled => {}
        other => return Err(format!("a cancelled context must give an error of kind cancelled, not {other:?}")),
    }
    let now = callable.label();
    if now == label { Ok(()) } else { Err(format!("label() was {label:?} and is now {now:?}")) }
}

type Answer = Result<Value, CallableError>;

async fn expect(what: &str, callable: &dyn Callable, input: &Value) -> Result<(), String> {
    let ctx = CallCtx::new();
    patiently(what, callable.call(input.clone(), ctx.clone())).await?.map_err(|error| format!("{what}: {error}"))?;
    if ctx.cancel.is_cancelled() { Err(format!("{what}: it cancelled the context it was given")) } else { Ok(()) }
}

async fn patiently(what: &str, call: impl Future<Output = Answer>) -> Result<Answer, String> {
    tokio::time::timeout(PATIENCE, call).await.map_err(|_| format!("{what}: still not done after {PATIENCE:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::BoxFuture;
    use serde_json::json;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    /// Breaks one rule.
    #[derive(Default)]
    struct Bad {
        nameless: bool,
        renames_itself: bool,
        works_once: bool,
        one_at_a_time: bool,
        ignores_cancel: bool,
        cancels: bool,
        hangs: bool,
        busy: AtomicBool,
        calls: AtomicU32,
    }

    impl Callable for Bad {
        fn label(&self) -> &str {
            match self.calls.load(Ordering::Relaxed) {
                _ if self.nameless => "",
                1.. if self.renames_itself => "other",
                _ => "bad",
            }
        }

        fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Answer> {
            Box::pin(async move {
                let fail =
                    |message: &str| Err(CallableError::Contract { label: "bad".into(), message: message.into() });
                if ctx.cancel.is_cancelled() && !self.ignores_cancel {
                    return Err(CallableError::Cancelled { label: "bad".into() });
                }
                if self.calls.fetch_add(1, Ordering::Relaxed) > 0 && self.works_once {
                    return fail("used up");
                }
                if self.one_at_a_time && self.busy.swap(true, Ordering::Relaxed) {
                    return fail("busy");
                }
                if self.cancels {
                    ctx.cancel.cancel();
                }
                if self.hangs {
                    std::future::pending::<()>().await;
                }
                tokio::task::yield_now().await;
                self.busy.store(false, Ordering::Relaxed);
                Ok(input)
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_broken_rule_is_named() {
        check(&Bad::default(), json!(1)).await.unwrap();
        for (bad, fault) in [
            (Bad { nameless: true, ..Bad::default() }, "label() is empty"),
            (Bad { renames_itself: true, ..Bad::default() }, "label() was"),
            (Bad { works_once: true, ..Bad::default() }, "a second call: "),
            (Bad { one_at_a_time: true, ..Bad::default() }, "two calls at once: "),
            (Bad { ignores_cancel: true, ..Bad::default() }, "must give an error of kind cancelled"),
            (Bad { cancels: true, ..Bad::default() }, "it cancelled the context"),
            (Bad { hangs: true, ..Bad::default() }, "still not done"),
        ] {
            let said = check(&bad, json!(1)).await.unwrap_err();
            assert!(said.contains(fault), "{said} should say {fault}");
        }
    }
}
