//! Calls that do not end with their caller.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Calls, and what is left of those whose callers have gone.
///
/// A call that is cut in the middle leaves a connection whose state nobody knows. So it goes on in a task where its caller drops
/// its future; until then the caller's own task does it, as handing it to another costs more than many a call. What such a
/// call writes is written before the next call begins: who drops a commit and then looks sees whether it happened.
#[derive(Debug, Default)]
pub struct Tasks {
    /// Ends with its owner.
    set: Mutex<JoinSet<()>>,
    left: Arc<watch::Sender<Left>>,
}

/// Writes that are under way and whose callers have gone, by their numbers.
#[derive(Debug, Default)]
struct Left {
    last: u64,
    open: BTreeSet<u64>,
}

impl Tasks {
    /// Runs a call that only reads to its end and gives what it gave.
    pub fn read<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        self.carried(Box::pin(call), false)
    }

    /// As [`Tasks::read`], for a call that writes.
    pub fn write<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        self.carried(Box::pin(call), true)
    }

    // The call is put aside before anything waits: what waits for it stays small.
    async fn carried<T: Send + 'static>(&self, call: Call<T>, writes: bool) -> T {
        self.settled().await;
        Carried { call: Some(call), begun: false, writes, runtime: Handle::current(), tasks: self }.await
    }

    /// Goes on with a call whose caller has gone.
    fn go_on<T: Send + 'static>(&self, call: Call<T>, writes: bool, runtime: &Handle) {
        let end = writes.then(|| {
            let mut number = 0;
            self.left.send_modify(|left| {
                left.last += 1;
                number = left.last;
                left.open.insert(number);
            });
            End { number, left: Arc::clone(&self.left) }
        });
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        let rest = async move {
            let _end = end;
            // Nobody listens any more.
            let _answer = call.await;
        };
        set.spawn_on(rest, runtime);
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

type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A call while its caller waits for it.
struct Carried<'a, T: Send + 'static> {
    /// None after its end.
    call: Option<Call<T>>,
    begun: bool,
    writes: bool,
    runtime: Handle,
    tasks: &'a Tasks,
}

impl<T: Send + 'static> Future for Carried<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Taken out meanwhile: what panics is not gone on with.
        let Some(mut call) = self.call.take() else { return Poll::Pending };
        let polled = call.as_mut().poll(cx);
        if polled.is_pending() {
            (self.call, self.begun) = (Some(call), true);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Carried<'_, T> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take().filter(|_| self.begun) {
            self.tasks.go_on(call, self.writes, &self.runtime);
        }
    }
}

/// A write whose caller has gone is over, however it ended.
struct End {
    number: u64,
    left: Arc<watch::Sender<Left>>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.left.send_modify(|left| {
            left.open.remove(&self.number);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

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
        assert!(next.await);
        assert!(tasks.left.borrow().open.is_empty());
    }

    #[tokio::test]
    async fn a_write_outlives_a_caller_that_goes_outside_of_the_runtime() {
        let tasks = Arc::new(Tasks::default());
        let (go, wait) = oneshot::channel::<()>();
        let own = Arc::clone(&tasks);
        let mut call = Box::pin(async move { own.write(async move { wait.await.unwrap() }).await });
        touch(call.as_mut()).await;
        std::thread::spawn(move || drop(call)).join().unwrap();
        go.send(()).unwrap();
        assert_eq!(tasks.read(async { 1 }).await, 1);
        assert!(tasks.left.borrow().open.is_empty());
    }

    #[tokio::test]
    async fn a_call_that_was_not_begun_does_not_happen() {
        let tasks = Tasks::default();
        drop(tasks.write(async { panic!("it was not begun") }));
        assert_eq!(tasks.write(async { 1 }).await, 1);
    }

    #[tokio::test]
    async fn a_read_that_was_left_holds_nobody_up() {
        let tasks = Tasks::default();
        touch(tasks.read(std::future::pending::<()>())).await;
        assert_eq!(tasks.write(async { 1 }).await, 1);
    }

    #[tokio::test]
    async fn a_write_that_panics_holds_nobody_up() {
        let tasks = Arc::new(Tasks::default());
        let (go, wait) = oneshot::channel::<()>();
        touch(tasks.write(async move {
            let _went = wait.await;
            panic!("on purpose");
        }))
        .await;
        go.send(()).unwrap();
        assert_eq!(tasks.read(async { 1 }).await, 1);
        let mut callers = JoinSet::new();
        let own = Arc::clone(&tasks);
        callers.spawn(async move { own.write(async { panic!("on purpose") }).await });
        assert!(callers.join_next().await.unwrap().unwrap_err().is_panic());
        assert_eq!(tasks.read(async { 1 }).await, 1);
    }

    #[tokio::test]
    async fn what_is_left_ends_with_its_owner() {
        let tasks = Tasks::default();
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        touch(tasks.read(async move {
            std::future::pending::<()>().await;
            drop(held);
        }))
        .await;
        drop(tasks);
        while weak.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
