//! The parts of a run's stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use atomr_agents_core::Value;
use atomr_agents_state::StateView;

use crate::{Interrupt, Update};

/// A part of a run's stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Part {
    /// The state after the input, an edit, or a super-step.
    State {
        /// The super-step.
        step: u64,
        /// The state. Having it costs nothing, however much it holds.
        state: StateView,
    },
    /// What a step answered. In a graph inside a step the path begins with that step's.
    Update {
        /// The super-step.
        step: u64,
        /// The path of the step.
        path: Arc<str>,
        /// Its answer.
        update: Arc<Update>,
    },
    /// What a step wrote to the stream ([`crate::NodeCtx::write`]).
    Custom {
        /// The path of the step.
        path: Arc<str>,
        /// The value.
        value: Value,
    },
    /// The run is suspended: this is what it waits for.
    Interrupts(Vec<Interrupt>),
    /// The reader was too slow: so many values that steps wrote were dropped here.
    Missed(u64),
}

/// With more parts than these waiting no super-step begins: the run waits until they are read.
const ROOM: usize = 256;

/// With more parts than these waiting, values that steps write are dropped.
const CUSTOM_ROOM: usize = 16_384;

/// Where parts go, and where a reader takes them from.
#[derive(Clone, Default)]
pub(crate) struct Parts(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    parts: VecDeque<Part>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    missed: u64,
}

impl Parts {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a part; never waits.
    pub(crate) fn push(&self, part: Part) {
        let reader = {
            let mut queue = self.lock();
            if queue.parts.len() >= CUSTOM_ROOM && matches!(part, Part::Custom { .. }) {
                queue.missed += 1;
                return;
            }
            if queue.missed > 0 {
                let missed = std::mem::take(&mut queue.missed);
                queue.parts.push_back(Part::Missed(missed));
            }
            queue.parts.push_back(part);
            queue.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Waits until the reader has taken what is there, down to a few. A reader that goes away takes the run with it, so
    /// that this cannot wait for ever.
    pub(crate) async fn room(&self) {
        poll_fn(|cx| {
            let mut queue = self.lock();
            if queue.parts.len() < ROOM {
                return Poll::Ready(());
            }
            queue.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Takes the next part; `None` if there is none now, and `waker` is woken when there is.
    pub(crate) fn take(&self, waker: &Waker) -> Option<Part> {
        let (part, writer) = {
            let mut queue = self.lock();
            let missed = queue.missed;
            let part = queue.parts.pop_front().or_else(|| {
                queue.missed = 0;
                (missed > 0).then_some(Part::Missed(missed))
            });
            if part.is_none() {
                queue.reader = Some(waker.clone());
            }
            let writer = if queue.parts.len() < ROOM { queue.writer.take() } else { None };
            (part, writer)
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        part
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("waiting", &self.lock().parts.len()).finish()
    }
}
