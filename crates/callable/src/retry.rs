//! Calling again what may succeed later.

use std::fmt;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind, Value};
use futures_util::future::BoxFuture;

use crate::error::alive;
use crate::{Callable, CallableError};

/// How often to call again, and how long to wait before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Calls in all, the first one included; at least 1.
    pub max_attempts: u32,
    /// The longest wait before the second call.
    pub initial_backoff: Duration,
    /// How much longer each further wait may be; at least 1.
    pub multiplier: f64,
    /// No wait is longer.
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial_backoff: Duration::from_millis(50),
            multiplier: 2.0,
            max_backoff: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// [`CallableError::Invalid`] for a policy that would never call or whose waits would shrink.
    pub fn check(&self) -> Result<(), CallableError> {
        let invalid = |setting, message: String| Err(CallableError::Invalid { setting, message });
        if self.max_attempts == 0 {
            return invalid("max_attempts", "0 would never call; 1 calls once and never again".into());
        }
        if !(self.multiplier.is_finite() && self.multiplier >= 1.0) {
            return invalid("multiplier", format!("{} is not a finite number of at least 1", self.multiplier));
        }
        Ok(())
    }

    /// The longest wait after `attempt` calls.
    fn ceiling(&self, attempt: u32) -> Duration {
        let growth = self.multiplier.powi(i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX));
        let seconds = self.initial_backoff.as_secs_f64() * growth;
        // Not finite, or more than a `Duration` holds: longer than any cap. (0 times infinity is no number, but no wait.)
        let wait =
            if self.initial_backoff.is_zero() { Ok(Duration::ZERO) } else { Duration::try_from_secs_f64(seconds) };
        wait.map_or(self.max_backoff, |wait| wait.min(self.max_backoff))
    }

    /// How long to wait after `attempt` calls: between nothing and the longest, so that many callers do not come back at the
    /// same moment.
    #[must_use]
    pub fn wait(&self, attempt: u32) -> Duration {
        self.ceiling(attempt).mul_f64(rand::random_range(0.0..=1.0))
    }
}

type Accepts = Box<dyn Fn(&CallableError) -> bool + Send + Sync>;

/// Calls again after an error that may pass: one whose kind is
/// [`retryable`](atomr_agents_core::Kind::retryable), or that [`Retry::also_when`] accepts.
///
/// Waits grow from the initial one up to the longest, with full jitter. It gives the last error back at once when the
/// context's deadline would pass during the wait, and never calls again under a cancelled context.
pub struct Retry {
    inner: Box<dyn Callable>,
    policy: RetryPolicy,
    accepts: Option<Accepts>,
}

impl Retry {
    /// Calls `inner` under this policy.
    ///
    /// # Errors
    /// [`CallableError::Invalid`] for a policy that would never call or whose waits would shrink.
    pub fn new(inner: impl Callable, policy: RetryPolicy) -> Result<Self, CallableError> {
        policy.check()?;
        Ok(Self { inner: Box::new(inner), policy, accepts: None })
    }

    /// Calls again also after the errors that `accepts` says yes to.
    #[must_use]
    pub fn also_when(mut self, accepts: impl Fn(&CallableError) -> bool + Send + Sync + 'static) -> Self {
        self.accepts = Some(Box::new(accepts));
        self
    }

    fn may_pass(&self, error: &CallableError) -> bool {
        let kind = error.kind();
        kind != Kind::Cancelled && (kind.retryable() || self.accepts.as_ref().is_some_and(|accepts| accepts(error)))
    }
}

impl Callable for Retry {
    fn label(&self) -> &str {
        self.inner.label()
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            let mut attempt = 1;
            loop {
                alive(self.label(), &ctx)?;
                let error = match self.inner.call(input.clone(), ctx.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
                let wait = self.policy.wait(attempt);
                let in_time = ctx.remaining().is_none_or(|remaining| wait < remaining);
                if attempt == self.policy.max_attempts || !in_time || !self.may_pass(&error) {
                    return Err(error);
                }
                tokio::select! {
                    biased;
                    () = ctx.cancel.cancelled() => {}
                    () = tokio::time::sleep(wait) => {}
                }
                attempt += 1;
            }
        })
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("inner", &self.label()).field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_differ_so_that_callers_do_not_come_back_together() {
        let policy = RetryPolicy::default();
        let waits: std::collections::HashSet<_> = (0..100).map(|_| policy.wait(3)).collect();
        assert!(waits.len() > 50 && waits.iter().all(|wait| *wait <= policy.ceiling(3)));
    }

    #[test]
    fn waits_double_up_to_the_cap_and_survive_absurd_policies() {
        let policy = RetryPolicy { max_backoff: Duration::from_millis(300), ..RetryPolicy::default() };
        let waits: Vec<_> = (1..=5).map(|attempt| policy.ceiling(attempt).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 300, 300]);
        assert_eq!(policy.ceiling(u32::MAX).as_millis(), 300);
        let huge = RetryPolicy { multiplier: f64::MAX, initial_backoff: Duration::MAX, ..policy };
        assert_eq!(huge.ceiling(9).as_millis(), 300);
        let none = RetryPolicy { multiplier: f64::MAX, initial_backoff: Duration::ZERO, ..policy };
        assert_eq!(none.wait(9), Duration::ZERO);
    }

    #[test]
    fn policies_that_make_no_sense_are_refused() {
        let good = RetryPolicy::default();
        good.check().unwrap();
        for (policy, setting) in [
            (RetryPolicy { max_attempts: 0, ..good }, "max_attempts"),
            (RetryPolicy { multiplier: 0.5, ..good }, "multiplier"),
            (RetryPolicy { multiplier: f64::NAN, ..good }, "multiplier"),
            (RetryPolicy { multiplier: f64::INFINITY, ..good }, "multiplier"),
        ] {
            let refused = Retry::new(crate::Passthrough, policy).unwrap_err();
            assert!(refused.to_string().starts_with(setting) && refused.kind() == Kind::Config, "{refused}");
        }
    }

    proptest! {
        #[test]
        fn jitter_stays_under_the_ceiling(attempt in 1u32..200, initial in 0u64..10_000, multiplier in 1.0..10.0f64) {
            let policy = RetryPolicy { initial_backoff: Duration::from_millis(initial), multiplier, ..RetryPolicy::default() };
            let wait = policy.wait(attempt);
            prop_assert!(wait <= policy.ceiling(attempt) && wait <= policy.max_backoff);
        }
    }
}
