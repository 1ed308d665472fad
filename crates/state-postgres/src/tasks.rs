//! Calls that do not end with their caller.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

/// Tasks that end with their owner.
///
/// A call that is cut in the middle leaves a connection whose state nobody knows. So calls run here, and dropping the
/// future of a caller ends only its waiting. What such a call writes is written before the next call begins: who drops a
/// commit and then looks sees whether it happened.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    set: Mutex<JoinSet<()>>,
    left: Arc<watch::Sender<Left>>,
}

/// Writes that are under way and whose callers have gone, by their numbers.
#[derive(Debug, Default)]
struct Left {
    last: u64,
    open: BTreeSet<u64>,
}

/// The states of a write beside the number that it gets when its caller goes.
const UNDER_WAY: u64 = 0;
const ENDED: u64 = u64::MAX;

impl Tasks {
    /// Begins `task`.
    pub(crate) fn begin(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(task)
    }

    /// Runs a call that only reads to its end and gives what it gave; `None` if it could not end.
    pub(crate) async fn read<T: Send + 'static>(&self, call: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.settled().await;
        let (tell, told) = oneshot::channel();
        self.begin(async move {
            // Nobody listens any more where the caller has gone.
            let _gone = tell.send(call.await);
        });
        told.await.ok()
    }

    /// As [`Tasks::read`], for a call that writes.
    pub(crate) async fn write<T: Send + 'static>(&self, call: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.settled().await;
        let (tell, told) = oneshot::channel();
        let state = Arc::new(AtomicU64::new(UNDER_WAY));
        let end = End { state: Arc::clone(&state), left: Arc::clone(&self.left) };
        let _caller = Caller { state, left: &self.left };
        self.begin(async move {
            let end = end;
            let answer = call.await;
            drop(end);
            let _gone = tell.send(answer);
        });
        told.await.ok()
    }

    /// Waits for the writes whose callers have gone by now. Each has its own deadline.
    async fn settled(&self) {
        if self.left.borrow().open.is_empty() {
            return;
        }
        let mut left = self.left.subscribe();
        let last = left.borrow().last;
        let _owner_is_here = left.wait_for(|left| left.open.first().is_none_or(|first| *first > last)).await;
    }
}

/// The caller's side of a write.
struct Caller<'a> {
    state: Arc<AtomicU64>,
    left: &'a watch::Sender<Left>,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if self.state.load(Ordering::Acquire) == ENDED {
            return;
        }
        self.left.send_modify(|left| {
            left.last += 1;
            if self.state.compare_exchange(UNDER_WAY, left.last, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                left.open.insert(left.last);
            }
        });
    }
}

/// The task's side of a write.
struct End {
    state: Arc<AtomicU64>,
    left: Arc<watch::Sender<Left>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let number = self.state.swap(ENDED, Ordering::AcqRel);
        if number != UNDER_WAY {
            self.left.send_modify(|left| {
                left.open.remove(&number);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// Polls a future once and drops it.
    async fn touch<F: Future>(future: F) {
        tokio::select! {
            biased;
            _ = future => panic!("it waits"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn a_write_outlives_its_caller_and_comes_before_the_next_call() {
        let tasks = Tasks::default();
        let done = Arc::new(AtomicBool::new(false));
        let (go, wait) = oneshot::channel::<()>();
        let mark = Arc::clone(&done);
        touch(tasks.write(async move {
            let _went = wait.await;
            mark.store(true, Ordering::SeqCst);
        }))
        .await;
        let seen = Arc::clone(&done);
        let mut next = std::pin::pin!(tasks.read(async move { seen.load(Ordering::SeqCst) }));
        touch(next.as_mut()).await;
        go.send(()).unwrap();
        assert_eq!(next.await, Some(true));
        assert!(tasks.left.borrow().open.is_empty());
    }

    #[tokio::test]
    async fn a_read_that_was_left_holds_nobody_up() {
        let tasks = Tasks::default();
        touch(tasks.read(std::future::pending::<()>())).await;
        assert_eq!(tasks.write(async { 1 }).await, Some(1));
    }

    #[tokio::test]
    async fn a_write_that_panics_holds_nobody_up() {
        let tasks = Tasks::default();
        let (go, wait) = oneshot::channel::<()>();
        touch(tasks.write(async move {
            let _went = wait.await;
            panic!("on purpose");
        }))
        .await;
        go.send(()).unwrap();
        assert_eq!(tasks.read(async { 1 }).await, Some(1));
        assert_eq!(tasks.write(async { panic!("on purpose") }).await, None::<()>);
    }

    #[tokio::test]
    async fn tasks_end_with_their_owner() {
        let tasks = Tasks::default();
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        tasks.begin(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(tasks);
        while weak.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
