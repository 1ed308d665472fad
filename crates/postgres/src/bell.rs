//! Waking a call that is awake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The parts of a call wake each other: who asks wakes the connection, which wakes who waits for the answer. A task that is woken
/// while it is polled is put into a queue afterwards, and another thread of the runtime is woken for it, all for nothing
/// where the parts are polled one after the other anyway. So what rings while somebody polls is noted and polled again; only
/// what rings while nobody does goes out to the task.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Somebody polls.
    polled: bool,
    /// It rang meanwhile.
    rung: bool,
    /// Who is to be woken.
    task: Option<Waker>,
}

/// So often is polled what rings. What rings still is left to the runtime: it may be its way to say that others are to have
/// their turn.
const TURNS: usize = 4;

impl Bell {
    /// Polls `step`, and again while it rings.
    pub(crate) fn poll<T>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let waker = Waker::from(Arc::clone(self));
        let mut inner = Context::from_waker(&waker);
        for _ in 0..TURNS {
            let before = std::mem::replace(&mut *self.state(), State { polled: true, rung: false, task: None });
            // Letting go of a task may run anything, as waking it may.
            drop(before);
            let polled = step(&mut inner);
            let mut state = self.state();
            if polled.is_ready() || !state.rung {
                state.polled = false;
                state.task = polled.is_pending().then(|| cx.waker().clone());
                return polled;
            }
        }
        *self.state() = State::default();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state();
        state.rung = true;
        let task = if state.polled { None } else { state.task.take() };
        // Waking may run anything.
        drop(state);
        task.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How often `step` is polled and its task woken, and what comes of it.
    fn polled(bell: &Arc<Bell>, mut step: impl FnMut(usize, &Waker) -> Poll<()>) -> (usize, Arc<Count>, Poll<()>) {
        let (count, mut times) = (Arc::new(Count::default()), 0);
        let waker = Waker::from(Arc::clone(&count));
        let polled = bell.poll(&mut Context::from_waker(&waker), |cx| {
            times += 1;
            step(times, cx.waker())
        });
        (times, count, polled)
    }

    #[test]
    fn what_rings_while_it_is_polled_is_polled_again_and_wakes_no_task() {
        let bell = Arc::new(Bell::default());
        let (times, count, end) = polled(&bell, |time, waker| {
            waker.wake_by_ref();
            if time == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!((times, count.0.load(Ordering::SeqCst), end), (2, 0, Poll::Ready(())));
        // It is over: what rings late wakes nobody.
        Waker::from(Arc::clone(&bell)).wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_rings_later_wakes_the_task_once() {
        let bell = Arc::new(Bell::default());
        let (times, count, end) = polled(&bell, |_, _| Poll::Pending);
        assert_eq!((times, count.0.load(Ordering::SeqCst), end), (1, 0, Poll::Pending));
        Waker::from(Arc::clone(&bell)).wake();
        Waker::from(Arc::clone(&bell)).wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_rings_all_the_time_is_left_to_the_runtime() {
        let bell = Arc::new(Bell::default());
        let (times, count, end) = polled(&bell, |_, waker| {
            waker.wake_by_ref();
            Poll::Pending
        });
        assert_eq!((times, count.0.load(Ordering::SeqCst), end), (TURNS, 1, Poll::Pending));
    }

    #[test]
    fn nothing_that_another_thread_rings_is_lost() {
        let bell = Arc::new(Bell::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..2_000 {
            let (own, done) = (Arc::clone(&bell), Arc::new(AtomicUsize::new(0)));
            let told = Arc::clone(&done);
            let mut begun = false;
            runtime.block_on(std::future::poll_fn(|cx| {
                own.poll(cx, |cx| {
                    if !begun {
                        begun = true;
                        let (waker, told) = (cx.waker().clone(), Arc::clone(&told));
                        std::thread::spawn(move || {
                            told.store(1, Ordering::SeqCst);
                            waker.wake();
                        });
                    }
                    if done.load(Ordering::SeqCst) == 1 { Poll::Ready(()) } else { Poll::Pending }
                })
            }));
        }
    }
}
