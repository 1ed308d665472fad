//! Whether and when a failed call is made again.

use std::time::{Duration, SystemTime};

use atomr_agents_core::CallCtx;
use rand::RngExt as _;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::{HttpError, Phase};

/// Whether and when a failed call is made again: what the peer asks for where it asks, otherwise exponential waits
/// with full jitter. It gives up at once where waiting would use up the time that is left.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How often a call is made at most, the first time included. 4.
    pub max_attempts: u32,
    /// The longest wait before the second attempt; it doubles with each further one. 500 ms.
    pub base: Duration,
    /// The longest wait of our own choice. 8 s.
    pub cap: Duration,
    /// The longest wait that is accepted where there is no deadline. 60 s.
    pub max_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(8),
            max_wait: Duration::from_secs(60),
        }
    }
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Make the call again after a wait.
    Retry {
        /// How long to wait.
        wait: Duration,
    },
    /// Report the failure.
    GiveUp,
}

impl RetryPolicy {
    /// Never again.
    #[must_use]
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }

    /// What to do after attempt number `attempt` (from 1) failed. `retryable` says whether the same call may succeed
    /// later, `retry_after` is what the peer asked for,
    /// `remaining` the time until the deadline. The peer's wait is kept exactly; zero means that it has no opinion.
    #[must_use]
    pub fn decide(
        &self,
        attempt: u32,
        retryable: bool,
        retry_after: Option<Duration>,
        remaining: Option<Duration>,
    ) -> Decision {
        self.decide_with(attempt, retryable, retry_after, remaining, rand::rng().random::<f64>())
    }

    fn decide_with(
        &self,
        attempt: u32,
        retryable: bool,
        retry_after: Option<Duration>,
        remaining: Option<Duration>,
        dice: f64,
    ) -> Decision {
        if attempt >= self.max_attempts || !retryable {
            return Decision::GiveUp;
        }
        let wait = retry_after.filter(|wait| !wait.is_zero()).unwrap_or_else(|| self.backoff(attempt).mul_f64(dice));
        if wait > remaining.unwrap_or(self.max_wait) || remaining == Some(Duration::ZERO) {
            return Decision::GiveUp;
        }
        Decision::Retry { wait }
    }

    /// The longest wait after attempt number `attempt`.
    fn backoff(&self, attempt: u32) -> Duration {
        let factor = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// How long the peer asks to wait: `retry-after-ms`, else `retry-after` (seconds, also with a fraction, or a date),
/// else `hint`, which is what the body said. Negative numbers, NaN and anything else unreadable count as not said.
/// A date is read by the peer's own clock where it sent one, and one in the past is zero.
#[must_use]
pub fn retry_after(headers: &HeaderMap, hint: Option<Duration>) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    text("retry-after-ms")
        .and_then(|value| number(value, 1e-3))
        .or_else(|| {
            let value = text(RETRY_AFTER.as_str())?;
            number(value, 1.0).or_else(|| {
                let at = httpdate::parse_http_date(value).ok()?;
                let now = text(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
                Some(at.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
            })
        })
        .or(hint)
}

/// A count of units of `unit` seconds. Words that Rust reads as numbers (`inf`, `nan`) fail in the conversion.
fn number(text: &str, unit: f64) -> Option<Duration> {
    let value: f64 = text.parse().ok()?;
    if value.is_sign_negative() && value != 0.0 {
        return None;
    }
    Duration::try_from_secs_f64(value.abs() * unit).ok()
}

/// Waits, unless the call is cancelled or its deadline passes.
///
/// # Errors
/// [`HttpError::Cancelled`] or [`HttpError::Timeout`] with [`Phase::Deadline`].
pub async fn pause(wait: Duration, ctx: &CallCtx) -> Result<(), HttpError> {
    let late = ctx.remaining().filter(|left| *left < wait);
    tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => Err(HttpError::Cancelled),
        () = tokio::time::sleep(late.unwrap_or(wait)) => match late {
            Some(after) => Err(HttpError::Timeout { phase: Phase::Deadline, after }),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atomr_agents_core::Kind;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn every_form_of_retry_after_is_read() {
        let date = [("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT"), ("date", "Wed, 21 Oct 2015 07:28:00 GMT")];
        let past = [("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")];
        let both = [("retry-after", "7"), ("retry-after-ms", "1500")];
        let broken_ms = [("retry-after", "7"), ("retry-after-ms", "-1")];
        for (pairs, expected) in [
            (&[("retry-after", "3")][..], Some(MS(3000))),
            (&[("retry-after", " 0.25 ")], Some(MS(250))),
            (&[("retry-after", "604800")], Some(Duration::from_secs(604_800))),
            (&[("retry-after", "0")], Some(MS(0))),
            (&[("retry-after", "-0")], Some(MS(0))),
            (&both, Some(MS(1500))),
            (&broken_ms, Some(MS(7000))),
            (&date, Some(MS(30_000))),
            (&past, Some(MS(0))),
            (&[], None),
        ] {
            assert_eq!(retry_after(&headers(pairs), None), expected, "{pairs:?}");
        }
        for garbage in ["-1", "NaN", "nan", "inf", "-inf", "1e400", "1e30", "soon", "", "Wed, 99 Oct 2015", "1,2"] {
            assert_eq!(retry_after(&headers(&[("retry-after", garbage)]), None), None, "{garbage}");
            let hint = Some(MS(9));
            assert_eq!(retry_after(&headers(&[("retry-after", garbage)]), hint), hint, "{garbage}");
        }
    }

    #[test]
    fn a_wait_beyond_the_budget_gives_up_at_once() {
        let policy = RetryPolicy::default();
        let week = Some(Duration::from_secs(604_800));
        assert_eq!(policy.decide(1, true, week, None), Decision::GiveUp);
        assert_eq!(policy.decide(1, true, Some(MS(2000)), Some(MS(1999))), Decision::GiveUp);
        let exact = Decision::Retry { wait: MS(2000) };
        assert_eq!(policy.decide(1, true, Some(MS(2000)), Some(MS(2000))), exact);
        assert_eq!(policy.decide(1, true, None, Some(MS(0))), Decision::GiveUp);
        // A deadline that far away makes room for a longer wait than the default.
        let hour = Duration::from_secs(3600);
        assert_eq!(policy.decide(1, true, Some(MS(90_000)), Some(hour)), Decision::Retry { wait: MS(90_000) });
    }

    #[test]
    fn only_what_may_succeed_is_tried_again_and_not_for_ever() {
        let policy = RetryPolicy::default();
        for kind in Kind::ALL {
            let again = matches!(policy.decide(1, kind.retryable(), None, None), Decision::Retry { .. });
            assert_eq!(again, kind.retryable(), "{kind}");
        }
        assert!(matches!(policy.decide(3, true, None, None), Decision::Retry { .. }));
        assert_eq!(policy.decide(4, true, None, None), Decision::GiveUp);
        assert_eq!(RetryPolicy::never().decide(1, true, None, None), Decision::GiveUp);
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let policy = RetryPolicy { max_attempts: u32::MAX, ..RetryPolicy::default() };
        let longest = |attempt| match policy.decide_with(attempt, true, None, None, 1.0) {
            Decision::Retry { wait } => wait,
            Decision::GiveUp => panic!("gave up"),
        };
        assert_eq!([1, 2, 3, 5, 6, 40].map(longest), [MS(500), MS(1000), MS(2000), MS(8000), MS(8000), MS(8000)]);
        // Zero from the peer is no invitation to hammer it.
        let zero = policy.decide_with(2, true, Some(MS(0)), None, 0.5);
        assert_eq!(zero, Decision::Retry { wait: MS(500) });
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_and_no_wait_exceeds_the_budget(
            text in "\\PC{0,24}", attempt in 0u32..100, left in 0u64..10_000
        ) {
            let mut map = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(&text) {
                map.insert(RETRY_AFTER, value.clone());
                map.insert("retry-after-ms", value);
            }
            let said = retry_after(&map, None);
            let policy = RetryPolicy::default();
            if let Decision::Retry { wait } = policy.decide(attempt, true, said, Some(MS(left))) {
                prop_assert!(wait <= MS(left));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_with_the_call() {
        let begin = tokio::time::Instant::now();
        pause(MS(2000), &CallCtx::new()).await.unwrap();
        assert_eq!(begin.elapsed(), MS(2000));
        let ctx = CallCtx::new();
        let cancel = ctx.cancel.clone();
        let (paused, ()) = tokio::join!(pause(Duration::from_secs(9999), &ctx), async {
            tokio::time::sleep(MS(10)).await;
            cancel.cancel();
        });
        assert!(matches!(paused, Err(HttpError::Cancelled)));
        let late = pause(Duration::from_secs(60), &CallCtx::new().with_timeout(MS(50))).await;
        assert!(matches!(late, Err(HttpError::Timeout { phase: Phase::Deadline, .. })));
    }
}
