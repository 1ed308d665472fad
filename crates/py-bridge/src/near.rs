//! Work that goes on where its guests end.
//!
//! Work that calls one guest after the other crosses between the loop's thread and the runtime's twice for each of them, and
//! waking the other thread takes longer than what is done between two guests. So when a guest ends, whoever waited for it is
//! polled on the loop's thread, in the loop's next turn and without the interpreter. Whatever else wakes the work, such as a
//! timer or a socket, has the runtime poll it, and so does work that yields.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::runtime::Handle;

use crate::port::{LoopPort, Turn, lock};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How often one turn of the loop polls what its own guests have woken, before whatever else the loop has to do.
const ROUNDS: usize = 16;

/// It is to be polled.
const WOKEN: u8 = 1;
/// Somebody polls it.
const POLLING: u8 = 2;
const OVER: u8 = 4;

/// Work that two threads poll by turns.
pub(crate) struct Near {
    port: Arc<LoopPort>,
    handle: &'static Handle,
    state: AtomicU8,
    // Held while it is polled, by whoever has set `POLLING`; nobody else waits for it but who drops the work.
    work: Mutex<Option<Work>>,
    resident: AtomicWaker,
}

/// The task on the runtime: it polls the work when the loop's thread does not, ends with it, and takes it along when it is
/// aborted.
pub(crate) struct Resident(Arc<Near>);

impl Resident {
    pub(crate) fn new(
        port: Arc<LoopPort>,
        handle: &'static Handle,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self(Arc::new(Near {
            port,
            handle,
            state: AtomicU8::new(WOKEN),
            work: Mutex::new(Some(Box::pin(work))),
            resident: AtomicWaker::new(),
        }))
    }
}

impl Future for Resident {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.resident.register(cx.waker());
        self.0.poll();
        if self.0.state.load(Ordering::Acquire) & OVER == 0 { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.0.state.fetch_or(OVER, Ordering::AcqRel);
        let work = lock(&self.0.work).take();
        drop(work);
    }
}

impl Near {
    /// Polls the work if it was woken and nobody else does.
    fn poll(self: &Arc<Self>) {
        let claim = |state| (state == WOKEN).then_some(POLLING);
        if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, claim).is_err() {
            return;
        }
        let waker = Waker::from(Arc::clone(self));
        let mut cx = Context::from_waker(&waker);
        let mut work = lock(&self.work);
        let poll = || work.as_mut().is_none_or(|work| work.as_mut().poll(&mut cx).is_ready());
        // Work that panics is dropped, which tells whoever waits for it.
        let over = catch_unwind(AssertUnwindSafe(poll)).unwrap_or(true).then(|| work.take());
        drop(work);
        let before = match &over {
            Some(_) => self.state.fetch_or(OVER, Ordering::AcqRel),
            None => self.state.fetch_and(!POLLING, Ordering::AcqRel),
        };
        drop(over);
        // Woken meanwhile: it has yielded, or something else than a guest of this loop has woken it.
        if before & WOKEN != 0 || self.state.load(Ordering::Acquire) & OVER != 0 {
            self.resident.wake();
        }
    }
}

impl Wake for Near {
    fn wake(self: Arc<Self>) {
        if self.state.fetch_or(WOKEN, Ordering::AcqRel) == 0 && !is_here(&self) {
            self.resident.wake();
        }
    }
}

thread_local! {
    /// The port whose loop this thread runs, while the loop's own guests end.
    static HERE: RefCell<Option<Arc<LoopPort>>> = const { RefCell::new(None) };
}

/// Keeps work for the next turn of the loop if a guest of this very loop has woken it.
fn is_here(near: &Arc<Near>) -> bool {
    HERE.with_borrow(|here| here.as_ref().is_some_and(|port| Arc::ptr_eq(port, &near.port) && port.keep(near)))
}

/// Does something on the thread of the port's loop that may end guests of it.
pub(crate) fn here<T>(port: &Arc<LoopPort>, work: impl FnOnce() -> T) -> T {
    /// Also when the work panics: what is woken later on this thread must not wait for a turn that nobody asks for.
    struct Before(Option<Arc<LoopPort>>);
    impl Drop for Before {
        fn drop(&mut self) {
            HERE.set(self.0.take());
        }
    }
    let _before = Before(HERE.replace(Some(Arc::clone(port))));
    work()
}

impl LoopPort {
    /// Polls what guests of this loop have woken, and runs what it brings. On the loop's thread.
    pub(crate) fn poll_near(self: &Arc<Self>, turn: &Turn<'_>) {
        for _ in 0..ROUNDS {
            let near = self.take_near();
            let Some(first) = near.first() else { return };
            let handle = first.handle;
            self.look_follows();
            turn.py.detach(|| {
                let _runtime = handle.enter();
                near.iter().for_each(Near::poll);
            });
            self.drain(turn);
        }
        if self.has_near() {
            self.look_soon(turn.py);
        }
    }
}

/// Hands work that the loop's thread was to poll to the runtime.
pub(crate) fn give_back(near: Vec<Arc<Near>>) {
    near.iter().for_each(|near| near.resident.wake());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_leaves_the_thread_as_it_was() {
        let port = Arc::new(LoopPort::new(None, None));
        let panics = || here(&port, || std::panic::resume_unwind(Box::new("on purpose")));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert!(HERE.with_borrow(Option::is_none));
        here(&port, || here(&port, || ()));
        assert!(HERE.with_borrow(Option::is_none));
    }
}
