//! A one-shot result whose setter decides when the waiter is woken.
//!
//! Waking a runtime thread costs the event loop's thread a system call. When many guests end in one turn of the loop,
//! their wake-ups are kept and done together; a channel would wake on every send.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::port::lock;

enum State<T> {
    Waiting(Option<Waker>),
    Set(T),
    Gone,
}

/// Where the result is put. Dropped without one, the waiter gets `None`.
pub(crate) struct Setter<T>(Arc<Mutex<State<T>>>);

/// Where it is waited for.
pub(crate) struct Slot<T>(Arc<Mutex<State<T>>>);

pub(crate) fn slot<T>() -> (Setter<T>, Slot<T>) {
    let state = Arc::new(Mutex::new(State::Waiting(None)));
    (Setter(state.clone()), Slot(state))
}

impl<T> Setter<T> {
    /// Puts the result in; the waker, if somebody waits, is the caller's to wake.
    pub(crate) fn set(self, value: T) -> Option<Waker> {
        match std::mem::replace(&mut *lock(&self.0), State::Set(value)) {
            State::Waiting(waker) => waker,
            State::Set(_) | State::Gone => None,
        }
    }
}

impl<T> Drop for Setter<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        if let State::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Gone;
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Future for Slot<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.0);
        match std::mem::replace(&mut *state, State::Gone) {
            State::Set(value) => Poll::Ready(Some(value)),
            State::Gone => Poll::Ready(None),
            State::Waiting(_) => {
                *state = State::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_setter_holds_the_waker() {
        let (setter, mut waiter) = slot();
        assert!((&mut waiter).now_or_never().is_none());
        assert!(setter.set(5).is_some());
        assert_eq!(waiter.now_or_never(), Some(Some(5)));
    }

    #[test]
    fn a_dropped_setter_is_told() {
        let (setter, waiter) = slot::<u8>();
        drop(setter);
        assert_eq!(waiter.now_or_never(), Some(None));
        let (setter, waiter) = slot::<u8>();
        drop(waiter);
        assert!(setter.set(1).is_none(), "nobody waits, nothing breaks");
    }
}
