//! So many model calls in a time, and no more.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atomr_agents_core::{CallCtx, ModelRequest};
use atomr_agents_inference::ModelReply;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use super::{AgentMiddleware, HookFuture, NextModel};
use crate::AgentError;

/// Who a call is made for. Put it into the context ([`CallCtx::with`]) and a [`RateLimiter`] shares its places out
/// evenly; calls without it are of one tenant together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tenant(pub Arc<str>);

/// Lets so many calls begin within any window of time. Those that wait are let in tenant by tenant in turn, each
/// tenant's in the order they came. No task runs for it; a caller that stops waiting frees its place.
#[derive(Debug)]
pub struct RateLimiter {
    limit: usize,
    window: Duration,
    max_waiting: usize,
    state: Mutex<State>,
    /// Tells one that waits to mind the clock in place of one that left.
    clock: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// When the calls of the last window began, the oldest first.
    begun: VecDeque<Instant>,
    queues: HashMap<Tenant, VecDeque<oneshot::Sender<()>>>,
    /// Tenants with somebody waiting, the next one first.
    turns: VecDeque<Tenant>,
    waiting: usize,
    /// How many places in the queues are of somebody who left.
    left: usize,
    /// Whether somebody who waits minds the clock for all.
    minded: bool,
}

impl RateLimiter {
    /// `limit` calls, at least 1, in any `window`. At most 10,000 wait.
    #[must_use]
    pub fn new(limit: usize, window: Duration) -> Self {
        let (state, clock) = (Mutex::default(), Notify::new());
        Self { limit: limit.max(1), window, max_waiting: 10_000, state, clock }
    }

    /// The same limiter with at most so many waiting; further ones are refused at once.
    #[must_use]
    pub fn with_max_waiting(mut self, max_waiting: usize) -> Self {
        self.max_waiting = max_waiting;
        self
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`AgentError::Overloaded`] when too many wait already.
    pub async fn acquire(&self, tenant: Tenant) -> Result<(), AgentError> {
        let mut wait = {
            let mut state = self.lock();
            self.let_in(&mut state);
            if state.waiting == 0 && state.begun.len() < self.limit {
                state.begun.push_back(Instant::now());
                return Ok(());
            }
            if state.waiting >= self.max_waiting {
                return Err(AgentError::Overloaded { queue: "rate limiter", limit: self.max_waiting });
            }
            let (tell, told) = oneshot::channel();
            let queue = state.queues.entry(tenant.clone()).or_default();
            queue.push_back(tell);
            if queue.len() == 1 {
                state.turns.push_back(tenant);
            }
            state.waiting += 1;
            Wait { limiter: self, told, minds: false, over: false }
        };
        loop {
            let next = wait.mind_the_clock();
            tokio::select! {
                biased;
                told = &mut wait.told => {
                    wait.over = told.is_ok();
                    return Ok(());
                }
                () = until(next) => self.let_in(&mut self.lock()),
                () = self.clock.notified(), if next.is_none() => {}
            }
        }
    }

    /// Lets in whoever there is room for.
    fn let_in(&self, state: &mut State) {
        let now = Instant::now();
        while state.begun.front().is_some_and(|begun| now.duration_since(*begun) >= self.window) {
            state.begun.pop_front();
        }
        while state.begun.len() < self.limit
            && let Some(tenant) = state.turns.pop_front()
        {
            let Some(queue) = state.queues.get_mut(&tenant) else { continue };
            // Those that left have closed their end.
            let mut left = 0;
            let let_in = std::iter::from_fn(|| queue.pop_front()).any(|tell| {
                let told = tell.send(()).is_ok();
                left += usize::from(!told);
                told
            });
            state.left = state.left.saturating_sub(left);
            if queue.is_empty() {
                state.queues.remove(&tenant);
            } else {
                state.turns.push_back(tenant);
            }
            if let_in {
                state.begun.push_back(now);
            }
        }
    }

    /// No code that holds this lock can leave the state half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps the queues no longer than twice what waits in them.
    fn forget_those_that_left(&mut self) {
        if self.left <= self.waiting + 64 {
            return;
        }
        self.queues.retain(|_, queue| {
            queue.retain(|tell| !tell.is_closed());
            !queue.is_empty()
        });
        let queues = &self.queues;
        self.turns.retain(|tenant| queues.contains_key(tenant));
        self.left = 0;
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// One that waits.
struct Wait<'a> {
    limiter: &'a RateLimiter,
    told: oneshot::Receiver<()>,
    minds: bool,
    /// Whether it was let in and knows it.
    over: bool,
}

impl Wait<'_> {
    /// When the next place comes free, if it is this one that minds the clock.
    fn mind_the_clock(&mut self) -> Option<Instant> {
        let mut state = self.limiter.lock();
        if state.minded && !self.minds {
            return None;
        }
        (state.minded, self.minds) = (true, true);
        let oldest = state.begun.front().copied().unwrap_or_else(Instant::now);
        Some(oldest + self.limiter.window)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.lock();
        state.waiting -= 1;
        self.told.close();
        if !self.over {
            if self.told.try_recv().is_ok() {
                // It was let in just as it left.
                state.begun.pop_back();
                self.limiter.let_in(&mut state);
            } else {
                state.left += 1;
                state.forget_those_that_left();
            }
        }
        if self.minds {
            state.minded = false;
        }
        drop(state);
        self.limiter.clock.notify_one();
    }
}

/// Makes model calls wait for a place of a [`RateLimiter`], which several agents may share.
#[derive(Clone, Debug)]
pub struct RateLimit(Arc<RateLimiter>);

impl RateLimit {
    /// `limit` calls in any `window`.
    #[must_use]
    pub fn new(limit: usize, window: Duration) -> Self {
        Self(Arc::new(RateLimiter::new(limit, window)))
    }
}

impl From<Arc<RateLimiter>> for RateLimit {
    fn from(limiter: Arc<RateLimiter>) -> Self {
        Self(limiter)
    }
}

impl AgentMiddleware for RateLimit {
    fn wrap_model<'a>(
        &'a self,
        request: Arc<ModelRequest>,
        ctx: CallCtx,
        next: NextModel,
    ) -> HookFuture<'a, ModelReply> {
        Box::pin(async move {
            let tenant = ctx.get::<Tenant>().map(|tenant| (*tenant).clone()).unwrap_or_default();
            tokio::select! {
                biased;
                () = ctx.cancel.cancelled() => return Err(AgentError::Cancelled),
                place = self.0.acquire(tenant) => place?,
            }
            next.run(request, ctx).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinSet;

    fn tenant(name: usize) -> Tenant {
        Tenant(name.to_string().into())
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_the_limit_in_any_window_and_every_tenant_gets_its_share() {
        let (limit, window) = (20, Duration::from_secs(1));
        let limiter = Arc::new(RateLimiter::new(limit, window));
        let mut calls = JoinSet::new();
        // The first tenant asks ten times as often as each of the other 99.
        for at in 0..(1_000 + 99 * 100) {
            let who = if at < 1_000 { 0 } else { 1 + (at % 99) };
            let limiter = Arc::clone(&limiter);
            calls.spawn(async move { limiter.acquire(tenant(who)).await.map(|()| (who, Instant::now())) });
        }
        let mut begun = Vec::new();
        while let Some(call) = calls.join_next().await {
            // The queue holds 10,000; what is over it is told so at once.
            begun.extend(call.unwrap().ok());
        }
        begun.sort_by_key(|(_, at)| *at);
        assert!(begun.len() >= 10_000, "{}", begun.len());
        for pair in begun.windows(limit + 1) {
            assert!(pair[limit].1.duration_since(pair[0].1) >= window);
        }
        // While all of them wait, each gets as much as any other.
        let mut counts = HashMap::<usize, i32>::new();
        begun[limit..limit + 5_000].iter().for_each(|(who, _)| *counts.entry(*who).or_default() += 1);
        assert!(counts.len() == 100 && counts.values().all(|count| (45..=55).contains(count)), "{counts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_leaves_frees_its_place_and_a_full_queue_says_so() {
        let limiter = RateLimiter::new(1, Duration::from_secs(1)).with_max_waiting(2);
        limiter.acquire(tenant(0)).await.unwrap();
        let started = Instant::now();
        let mut first = Box::pin(limiter.acquire(tenant(1)));
        let mut second = Box::pin(limiter.acquire(tenant(1)));
        assert!(futures_util::poll!(&mut first).is_pending() && futures_util::poll!(&mut second).is_pending());
        let refused = limiter.acquire(tenant(2)).await.unwrap_err();
        assert!(refused.to_string().contains("rate limiter"), "{refused}");
        drop(first);
        second.await.unwrap();
        assert_eq!(started.elapsed().as_secs(), 1);
        limiter.acquire(tenant(3)).await.unwrap();
        assert_eq!(started.elapsed().as_secs(), 2);
        let state = limiter.lock();
        assert!(state.queues.is_empty() && state.waiting == 0 && !state.minded);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_left_are_not_kept() {
        let limiter = RateLimiter::new(1, Duration::from_secs(3_600));
        limiter.acquire(tenant(0)).await.unwrap();
        let mut stays = Box::pin(limiter.acquire(tenant(0)));
        assert!(futures_util::poll!(&mut stays).is_pending());
        for at in 0..10_000 {
            let mut leaves = Box::pin(limiter.acquire(tenant(at % 7)));
            assert!(futures_util::poll!(&mut leaves).is_pending());
        }
        {
            let state = limiter.lock();
            let kept: usize = state.queues.values().map(VecDeque::len).sum();
            assert!(kept < 100 && state.waiting == 1 && state.turns.len() == state.queues.len(), "{kept}");
        }
        stays.await.unwrap();
    }
}
