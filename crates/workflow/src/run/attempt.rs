//! The attempts of one visit of a step: time limits, retries, and what it may write.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use atomr_agents_core::{CallCtx, EventKind, Kind, Value};
use atomr_agents_state::StateView;
use tokio::time::{Instant, Sleep, sleep};

use super::shared::RunShared;
use crate::ctx::Inner;
use crate::graph::Definition;
use crate::life::Life;
use crate::{NodeCall, NodeCtx, NodeError, NodeOptions, Update};

/// What a visit of a step needs.
pub(crate) struct Visit {
    pub(crate) definition: Definition,
    pub(crate) run: Arc<RunShared>,
    pub(crate) call: CallCtx,
    pub(crate) life: Arc<Life>,
    pub(crate) state: StateView,
    pub(crate) input: Option<Arc<Value>>,
    pub(crate) key_step: u64,
    pub(crate) step: u64,
    /// The path under which it is recorded.
    pub(crate) path: Arc<str>,
    pub(crate) node: Arc<str>,
}

impl Visit {
    /// Runs the step, again where its policy says so.
    pub(crate) async fn run(self) -> Result<Update, NodeError> {
        let options = &self.definition.options;
        let mut attempt = 1;
        loop {
            let error = match self.attempt(attempt).await {
                Ok(update) => return allowed(update, options),
                Err(error) => error,
            };
            let Some(policy) = options.retry.filter(|policy| attempt < policy.max_attempts) else { return Err(error) };
            let wait = policy.wait(attempt);
            let in_time = self.call.remaining().is_none_or(|remaining| wait < remaining);
            if !in_time || !may_pass(&error, options) || self.call.cancel.is_cancelled() {
                return Err(error);
            }
            attempt += 1;
            let (reason, wait_ms) = (error.to_string(), u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            self.call.emit(EventKind::NodeRetried { node: Arc::clone(&self.path), attempt, wait_ms, reason });
            tokio::select! {
                biased;
                () = self.call.cancel.cancelled() => return Err(NodeError::Cancelled),
                () = sleep(wait) => {}
            }
        }
    }

    async fn attempt(&self, attempt: u32) -> Result<Update, NodeError> {
        let ctx = NodeCtx(Arc::new(Inner {
            run: Arc::clone(&self.run),
            call: self.call.clone(),
            life: Arc::clone(&self.life),
            key_step: self.key_step,
            path: Arc::clone(&self.path),
            step: self.step,
            node: Arc::clone(&self.node),
            attempt,
            counts: Mutex::default(),
        }));
        let call = NodeCall { state: self.state.clone(), input: self.input.clone(), ctx };
        let work = self.definition.node.run(call);
        let options = &self.definition.options;
        if options.timeout.is_none() && options.idle_timeout.is_none() {
            return work.await;
        }
        let limits = [
            options.timeout.map(|after| Limit::new(after, false)),
            options.idle_timeout.map(|after| Limit::new(after, true)),
        ];
        Limited { work: pin!(work), life: &self.life, limits }.await
    }
}

/// Whether an error may pass.
fn may_pass(error: &NodeError, options: &NodeOptions) -> bool {
    // What nobody knows the outcome of, and what cannot be recorded, is not made better by doing it again.
    let never = matches!(error, NodeError::Log(_) | NodeError::Cancelled | NodeError::Left)
        || error.kind() == Kind::OutcomeUnknown;
    !never && options.retry_when.as_ref().map_or_else(|| error.kind().retryable(), |when| when(error))
}

/// The update, if the step may write what is in it.
fn allowed(update: Update, options: &NodeOptions) -> Result<Update, NodeError> {
    let Some(declared) = &options.writes else { return Ok(update) };
    match update.writes.iter().find(|(channel, _)| declared.iter().all(|name| **name != **channel)) {
        None => Ok(update),
        Some((channel, _)) => {
            let message = format!("it wrote channel {channel:?}, and declared that it writes {}", declared.join(", "));
            Err(NodeError::Contract { message })
        }
    }
}

/// A limit on time, of which what is spent on waiting for answers does not count.
struct Limit {
    after: Duration,
    /// It begins anew with every sign of life.
    idle: bool,
    used: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    signs: u64,
}

impl Limit {
    fn new(after: Duration, idle: bool) -> Self {
        Self { after, idle, used: Duration::ZERO, since: None, timer: None, signs: 0 }
    }

    /// Ready when the time is up.
    fn poll_up(&mut self, life: &Life, cx: &mut Context<'_>) -> Poll<NodeError> {
        if life.waits() {
            self.used += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
            self.timer = None;
            return Poll::Pending;
        }
        loop {
            if self.idle && self.signs != life.signs() {
                (self.signs, self.used, self.since, self.timer) = (life.signs(), Duration::ZERO, None, None);
            }
            let left = self.after.saturating_sub(self.used);
            self.since.get_or_insert_with(Instant::now);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(left)));
            ready!(timer.as_mut().poll(cx));
            // A sign may have come since the timer was set.
            if !self.idle || self.signs == life.signs() {
                let after = self.after;
                return Poll::Ready(if self.idle { NodeError::Idle { after } } else { NodeError::Timeout { after } });
            }
        }
    }
}

/// Work that is dropped when one of its limits is up.
struct Limited<'a, W> {
    work: Pin<&'a mut W>,
    life: &'a Life,
    limits: [Option<Limit>; 2],
}

impl<W: Future<Output = Result<Update, NodeError>>> Future for Limited<'_, W> {
    type Output = Result<Update, NodeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(done) = self.work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        let life = self.life;
        for limit in self.limits.iter_mut().flatten() {
            if let Poll::Ready(error) = limit.poll_up(life, cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Pending
    }
}
