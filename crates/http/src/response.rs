//! Answers.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, CancellationToken};
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::classify::classify;
use crate::{ClientConfig, HttpError, Phase};

/// What providers call their id of a request.
const REQUEST_IDS: [&str; 4] = ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid"];

/// An answer whose head has arrived. Dropping it closes its connection unless the body was read to its end.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The peer's own id of this request.
    pub request_id: Option<String>,
    /// The body, still arriving.
    pub body: Body,
}

impl Response {
    pub(crate) fn new(
        mut answer: reqwest::Response,
        config: &ClientConfig,
        host: &Arc<str>,
        ctx: &CallCtx,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, HttpError> {
        let limit = config.max_response_bytes;
        if answer.content_length().is_some_and(|length| length > limit as u64) {
            return Err(HttpError::TooLarge { what: "the response", limit });
        }
        let headers = std::mem::take(answer.headers_mut());
        if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|value| *value != "identity") {
            let message = format!("it sent a body encoded as {encoding:?}, which was not asked for");
            return Err(HttpError::Protocol { host: host.to_string(), message, source: None });
        }
        let request_id = REQUEST_IDS.iter().find_map(|name| headers.get(*name));
        let request_id = request_id.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Self {
            status: answer.status().as_u16(),
            headers,
            request_id,
            body: Body {
                answer: Some((answer, place)),
                host: Arc::clone(host),
                cancel: ctx.cancel.clone(),
                left: limit,
                limit,
                connect_timeout: config.connect_timeout,
                clock: Clock::new(config.idle_timeout, ctx),
            },
        })
    }

    /// The header's value as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A body, still arriving. Dropping it before its end closes its connection.
pub struct Body {
    /// Together with its place in the gate, which is free as soon as the body is complete.
    answer: Option<(reqwest::Response, OwnedSemaphorePermit)>,
    host: Arc<str>,
    cancel: CancellationToken,
    left: usize,
    limit: usize,
    connect_timeout: Duration,
    clock: Clock,
}

impl Body {
    /// The next piece, as it came from the connection. `None` once the body is complete and after an error.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`HttpError::Interrupted`], [`HttpError::Timeout`] (idle or deadline), [`HttpError::TooLarge`],
    /// [`HttpError::Protocol`] or [`HttpError::Cancelled`]; each is the last thing the body yields.
    pub async fn next(&mut self) -> Option<Result<Bytes, HttpError>> {
        let piece = self.read().await.transpose();
        if !matches!(piece, Some(Ok(_))) {
            // Gone at once, not when the owner drops the body: an error frees the connection.
            self.answer = None;
        }
        piece
    }

    async fn read(&mut self) -> Result<Option<Bytes>, HttpError> {
        let Some((answer, _)) = &mut self.answer else { return Ok(None) };
        if self.cancel.is_cancelled() {
            return Err(HttpError::Cancelled);
        }
        self.clock.begin();
        let piece = tokio::select! {
            biased;
            piece = answer.chunk() => piece,
            () = self.cancel.cancelled() => return Err(HttpError::Cancelled),
            late = self.clock.expired() => return Err(late),
        };
        let piece = piece.map_err(|error| classify(error, &self.host, self.connect_timeout))?;
        self.clock.end();
        let Some(bytes) = piece else { return Ok(None) };
        match self.left.checked_sub(bytes.len()) {
            Some(left) => self.left = left,
            None => return Err(HttpError::TooLarge { what: "the response", limit: self.limit }),
        }
        Ok(Some(bytes))
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Body::next`]; [`HttpError::TooLarge`] also when it has more than `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, HttpError> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            if all.len() + piece.len() > limit {
                return Err(HttpError::TooLarge { what: "the response", limit });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// What arrives of the body until it ends, fails or has `limit` bytes. For the bodies of error statuses: the
    /// status counts even when its explanation is cut.
    pub async fn prefix(mut self, limit: usize) -> Bytes {
        let mut all = BytesMut::new();
        while all.len() < limit
            && let Some(Ok(piece)) = self.next().await
        {
            all.extend_from_slice(&piece[..piece.len().min(limit - all.len())]);
        }
        all.freeze()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("host", &self.host).field("read", &(self.limit - self.left)).finish()
    }
}

/// The idle time-out and the deadline on one timer. A timer is registered when the first read has to wait and is not
/// touched by the reads after it: when it fires, it looks whether there was a read in the meantime.
struct Clock {
    idle: Duration,
    deadline: Option<(Instant, Duration)>,
    /// When the wait for the current read began.
    since: Instant,
    reading: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    fn new(idle: Duration, ctx: &CallCtx) -> Self {
        let since = Instant::now();
        // By what is left, not by the clock time: a paused test clock knows nothing of real instants.
        let deadline = ctx.remaining().and_then(|left| Some((since.checked_add(left)?, left)));
        Self { idle, deadline, since, reading: false, timer: None }
    }

    /// A read begins, or goes on after its future was dropped: only a new one starts the wait anew. What the owner
    /// does between two reads does not count.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.reading, true) {
            self.since = Instant::now();
        }
    }

    fn end(&mut self) {
        self.reading = false;
    }

    /// Ends when one of the two has run out, with the error that says which.
    async fn expired(&mut self) -> HttpError {
        loop {
            let idle_at = self.since.checked_add(self.idle);
            let now = Instant::now();
            if let Some((at, after)) = self.deadline
                && at <= now
            {
                return HttpError::Timeout { phase: Phase::Deadline, after };
            }
            if idle_at.is_some_and(|at| at <= now) {
                return HttpError::Timeout { phase: Phase::Idle, after: self.idle };
            }
            let Some(wake) = idle_at.into_iter().chain(self.deadline.map(|(at, _)| at)).min() else {
                return std::future::pending().await;
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wake)));
            if timer.is_elapsed() {
                timer.as_mut().reset(wake);
            }
            timer.as_mut().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(idle: u64, ctx: &CallCtx) -> Clock {
        Clock::new(Duration::from_secs(idle), ctx)
    }

    async fn quiet(clock: &mut Clock, seconds: u64) {
        clock.begin();
        let waited = tokio::time::timeout(Duration::from_secs(seconds), clock.expired()).await;
        assert!(waited.is_err(), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn reads_put_the_idle_time_out_off() {
        let mut clock = clock(10, &CallCtx::new());
        let begin = Instant::now();
        for _ in 0..5 {
            quiet(&mut clock, 9).await;
            clock.end();
        }
        tokio::time::sleep(Duration::from_secs(100)).await; // the owner is busy; nobody waits for the peer
        clock.begin();
        assert!(matches!(clock.expired().await, HttpError::Timeout { phase: Phase::Idle, .. }));
        assert_eq!(begin.elapsed(), Duration::from_secs(155));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_is_dropped_and_begun_again_is_one_wait() {
        let mut clock = clock(10, &CallCtx::new());
        let begin = Instant::now();
        quiet(&mut clock, 6).await;
        clock.begin();
        assert!(matches!(clock.expired().await, HttpError::Timeout { phase: Phase::Idle, .. }));
        assert_eq!(begin.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_not_put_off() {
        let begin = Instant::now();
        let mut clock = clock(10, &CallCtx::new().with_timeout(Duration::from_secs(15)));
        quiet(&mut clock, 9).await;
        clock.end();
        clock.begin();
        assert!(matches!(clock.expired().await, HttpError::Timeout { phase: Phase::Deadline, .. }));
        assert!(begin.elapsed() <= Duration::from_secs(15), "{:?}", begin.elapsed());
    }
}
