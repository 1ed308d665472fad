//! Telling a guest something without waiting for it: in order, bounded, and never the teller's problem.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use tokio::sync::Notify;

use crate::error::GuestError;
use crate::guest::Guest;
use crate::port::{Job, lock};
use crate::scope::Scope;
use crate::ticket::Build;
use crate::{glue, runtime};

/// How many notices one guest may have waiting; later ones are dropped and counted.
const LIMIT: usize = 10_000;

/// The notices that wait for one guest.
#[derive(Default)]
pub(crate) struct Notices {
    state: Mutex<State>,
    missed: AtomicU64,
    idle: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Notice>,
    running: bool,
}

struct Notice {
    method: &'static str,
    build: Build,
    scope: Option<Scope>,
}

impl Notices {
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub(crate) fn push(&self, guest: &Guest, method: &'static str, build: Build, scope: Option<Scope>) {
        // A count of its own: a cancelled run does not wait for what was told about it.
        let notice = Notice { method, build, scope: scope.map(|scope| scope.aside()) };
        {
            let mut state = lock(&self.state);
            if state.queue.len() >= LIMIT {
                drop(state);
                self.missed.fetch_add(1, Ordering::Relaxed);
                return;
            }
            state.queue.push_back(notice);
            if std::mem::replace(&mut state.running, true) {
                return;
            }
        }
        if !runtime::spawn(deliver(guest.clone())) {
            let dropped = {
                let mut state = lock(&self.state);
                state.running = false;
                self.idle.notify_waiters();
                std::mem::take(&mut state.queue)
            };
            self.missed.fetch_add(dropped.len() as u64, Ordering::Relaxed);
        }
    }

    fn next(&self) -> Option<Notice> {
        let mut state = lock(&self.state);
        let next = state.queue.pop_front();
        state.running = next.is_some();
        if next.is_none() {
            self.idle.notify_waiters();
        }
        next
    }

    /// Waits until everything that was told so far has arrived.
    pub(crate) async fn delivered(&self) {
        let mut idle = pin!(self.idle.notified());
        idle.as_mut().enable();
        if lock(&self.state).running {
            idle.await;
        }
    }
}

async fn deliver(guest: Guest) {
    while let Some(Notice { method, build, scope }) = guest.notices().next() {
        let told = guest.call(method, build, |_| Ok(()), scope.as_ref()).await;
        if let Err(error) = told {
            report(&guest, scope.as_ref(), error);
        }
    }
}

fn report(guest: &Guest, scope: Option<&Scope>, error: GuestError) {
    let culprit = guest.clone();
    let tell = move |py: Python<'_>| glue::report(py, error.to_py(py), Some(&culprit.object(py)));
    match guest.port(scope) {
        Some(port) => {
            port.push(Job::Other(Box::new(move |turn| tell(turn.py))));
        }
        None => runtime::attach_later(tell),
    }
}
