//! Who in this process is at a session.
//!
//! One input has the seat; the others of this process wait in the order in which they came. Other processes are kept out by
//! the lease of the session's log, which only the one in the seat asks for.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomr_agents_core::CancellationToken;
use atomr_agents_state::Store;
use tokio::sync::oneshot;

use super::Policy;
use crate::{AgentError, RunResult};

/// What somebody who waits is told.
pub(crate) enum Told {
    YourTurn,
    /// The input joined a turn, which ended like this.
    Ended(Box<Result<RunResult, AgentError>>),
}

struct Waiter {
    ticket: u64,
    id: String,
    interrupts: bool,
    tell: oneshot::Sender<Told>,
}

/// The turn that runs.
#[derive(Default)]
struct Running {
    cancel: Option<CancellationToken>,
    /// Inputs that joined it, whose senders wait for its end.
    joined: Vec<oneshot::Sender<Told>>,
    interrupted: bool,
}

#[derive(Default)]
struct State {
    taken: bool,
    tickets: u64,
    waiting: VecDeque<Waiter>,
    running: Running,
}

/// A session that somebody of this process is at.
pub(crate) struct Busy {
    pub(crate) store: Arc<dyn Store>,
    state: Mutex<State>,
    /// Held while an input is put into the inbox, so that inputs are seated in the order of the inbox.
    pub(crate) arrival: tokio::sync::Mutex<()>,
    /// Something came that may join the running turn.
    pub(crate) arrived: AtomicBool,
    /// The last turn was dropped by its caller: it is not gone on with.
    pub(crate) dropped: AtomicBool,
    /// In its memory are inputs whose senders have gone.
    pub(crate) posted: AtomicBool,
}

impl Busy {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a turn of this process runs or waits to run.
    pub(crate) fn is_taken(&self) -> bool {
        self.lock().taken
    }

    /// Takes a free seat.
    pub(crate) fn sit(self: &Arc<Self>, all: &Arc<Everybody>, name: &str) -> Option<Seat> {
        let mut state = self.lock();
        if state.taken {
            return None;
        }
        state.taken = true;
        Some(Seat { busy: Arc::clone(self), all: Arc::clone(all), name: name.to_owned(), lent: false })
    }

    /// Waits behind those who came before.
    pub(crate) fn wait(self: &Arc<Self>, all: &Arc<Everybody>, name: &str, id: &str, interrupts: bool) -> InLine {
        let (tell, told) = oneshot::channel();
        let mut state = self.lock();
        state.tickets += 1;
        let ticket = state.tickets;
        if state.taken {
            state.waiting.push_back(Waiter { ticket, id: id.to_owned(), interrupts, tell });
        } else {
            state.taken = tell.send(Told::YourTurn).is_ok();
        }
        drop(state);
        InLine { busy: Arc::clone(self), all: Arc::clone(all), name: name.to_owned(), ticket, told }
    }

    /// Something came that waits for its turn.
    pub(crate) fn arrives(&self, policy: Policy) {
        match policy {
            Policy::Steer => self.arrived.store(true, Ordering::Release),
            Policy::Interrupt => drop(self.interrupt()),
            Policy::Queue | Policy::Reject => {}
        }
    }

    /// Stops the turn that runs, if one does, and says so to its caller.
    pub(crate) fn interrupt(&self) -> bool {
        let mut state = self.lock();
        // One that is about to begin is stopped when it does.
        state.running.interrupted = state.taken;
        if let Some(cancel) = &state.running.cancel {
            cancel.cancel();
        }
        state.taken
    }

    /// An input of this process joins the running turn.
    pub(crate) fn join(&self, id: &str) {
        let mut state = self.lock();
        while let Some(at) = state.waiting.iter().position(|waiter| waiter.id == id)
            && let Some(waiter) = state.waiting.remove(at)
        {
            state.running.joined.push(waiter.tell);
        }
    }

    /// The turn of an input of this process was run for it by the one in the seat.
    pub(crate) fn told(&self, id: &str, result: &Result<RunResult, AgentError>) {
        let mut state = self.lock();
        while let Some(at) = state.waiting.iter().position(|waiter| waiter.id == id)
            && let Some(waiter) = state.waiting.remove(at)
        {
            let _ = waiter.tell.send(Told::Ended(Box::new(result.clone())));
        }
    }

    /// The turn of the input `id` begins, and is stopped with this token: at once if somebody waits who interrupts it.
    pub(crate) fn runs(&self, id: &str, cancel: CancellationToken) {
        let mut state = self.lock();
        state.running.interrupted |= state.waiting.iter().any(|waiter| waiter.interrupts && waiter.id != id);
        if state.running.interrupted {
            cancel.cancel();
        }
        state.running.cancel = Some(cancel);
    }

    /// The turn ended: those whose inputs joined it are told. True if another input took its place.
    pub(crate) fn ended(&self, result: &Result<RunResult, AgentError>) -> bool {
        let running = std::mem::take(&mut self.lock().running);
        for tell in running.joined {
            let _ = tell.send(Told::Ended(Box::new(result.clone())));
        }
        running.interrupted
    }
}

/// The sessions that somebody of this process is at.
#[derive(Default)]
pub(crate) struct Everybody(Mutex<HashMap<String, Arc<Busy>>>);

impl Everybody {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Busy>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of this name, with a store for its log if nobody is at it yet.
    pub(crate) fn at(
        &self,
        name: &str,
        store: impl FnOnce() -> Result<Arc<dyn Store>, AgentError>,
    ) -> Result<Arc<Busy>, AgentError> {
        let mut all = self.lock();
        if let Some(busy) = all.get(name) {
            return Ok(Arc::clone(busy));
        }
        let busy = Arc::new(Busy {
            store: store()?,
            state: Mutex::default(),
            arrival: tokio::sync::Mutex::default(),
            arrived: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            posted: AtomicBool::new(false),
        });
        all.insert(name.to_owned(), Arc::clone(&busy));
        Ok(busy)
    }

    /// The session of this name, if somebody is at it.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Busy>> {
        self.lock().get(name).map(Arc::clone)
    }

    /// Nobody is at the session any more, unless somebody has just come: then they go on with what there is.
    fn leave(&self, name: &str, busy: &Arc<Busy>) {
        let mut all = self.lock();
        let mut state = busy.lock();
        state.running = Running::default();
        while let Some(next) = state.waiting.pop_front() {
            if next.tell.send(Told::YourTurn).is_ok() {
                return;
            }
        }
        state.taken = false;
        // What the map has, what leaves has; whoever else has it has come to stay.
        let needed = busy.dropped.load(Ordering::Relaxed) || busy.posted.load(Ordering::Relaxed);
        let last = Arc::strong_count(busy) <= 2 && !needed;
        if last && all.get(name).is_some_and(|own| Arc::ptr_eq(own, busy)) {
            all.remove(name);
        }
    }
}

/// The right of one input of this process to be at a session. Dropping it passes it on.
pub(crate) struct Seat {
    pub(crate) busy: Arc<Busy>,
    all: Arc<Everybody>,
    name: String,
    /// It is another one's, who has it back.
    pub(crate) lent: bool,
}

impl Seat {
    /// For a turn that comes before that of the one who has it.
    pub(crate) fn lend(&self) -> Self {
        Self { busy: Arc::clone(&self.busy), all: Arc::clone(&self.all), name: self.name.clone(), lent: true }
    }

    /// Whether somebody of this process waits for it.
    pub(crate) fn wanted(&self) -> bool {
        !self.busy.lock().waiting.is_empty()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.lent {
            self.all.leave(&self.name, &self.busy);
        }
    }
}

/// A place in the line for the seat. Dropping it leaves the line.
pub(crate) struct InLine {
    busy: Arc<Busy>,
    all: Arc<Everybody>,
    name: String,
    ticket: u64,
    told: oneshot::Receiver<Told>,
}

/// What came of waiting.
pub(crate) enum Waited {
    Seat(Seat),
    Ended(Box<Result<RunResult, AgentError>>),
}

impl InLine {
    /// Waits until it is told something. Dropping the future does not leave the line.
    pub(crate) async fn told(&mut self) -> Waited {
        match (&mut self.told).await {
            Ok(Told::YourTurn) => Waited::Seat(self.seat()),
            Ok(Told::Ended(result)) => Waited::Ended(result),
            // The one who would tell is gone with the run; what joined it ended with it.
            Err(_) => Waited::Ended(Box::new(Err(AgentError::Cancelled))),
        }
    }

    fn seat(&self) -> Seat {
        Seat { busy: Arc::clone(&self.busy), all: Arc::clone(&self.all), name: self.name.clone(), lent: false }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.busy.lock().waiting.retain(|waiter| waiter.ticket != self.ticket);
        // It may have been its turn just now: the next one is told.
        if let Ok(Told::YourTurn) = self.told.try_recv() {
            drop(self.seat());
        }
    }
}
