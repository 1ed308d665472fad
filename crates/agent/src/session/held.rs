//! A session while one of its turns runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::Message;
use atomr_agents_state::{Item, Journal, Outcome};

use super::Policy;
use super::entry::{Entered, Request};
use super::inbox::{Fate, Inbox};
use super::outcome;
use super::seat::{Busy, Seat};
use super::sessions::Shared;
use super::unfinished::{steer_key, steered};
use crate::driver::Driver;
use crate::durable::{Log, Turn};
use crate::{AgentError, Decision, RunError, RunResult, SessionError};

/// A turn that begins in a session, or goes on.
pub(crate) struct Seated {
    pub(crate) held: Held,
    pub(crate) turn: Turn,
    /// It was begun before, and goes on with these decisions about calls that wait.
    pub(crate) again: Option<Vec<Decision>>,
}

/// A session while one of its turns runs. Dropped before its end, the turn counts as given up.
pub(crate) struct Held {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: String,
    pub(crate) journal: Journal,
    pub(crate) inbox: Inbox,
    pub(crate) seat: Mutex<Option<Seat>>,
    /// The input whose turn it is.
    pub(crate) id: String,
    /// The input is in the inbox until its turn begins.
    pub(crate) waits: bool,
    /// Somebody may ask elsewhere how it ended.
    pub(crate) wanted: AtomicBool,
    /// How many turns there were before.
    pub(crate) turns: u32,
    /// Up to where the inbox is done with when the turn begins.
    pub(crate) cut: Option<u64>,
}

impl Held {
    fn busy(&self) -> Option<Arc<Busy>> {
        let seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        seat.as_ref().map(|seat| Arc::clone(&seat.busy))
    }

    /// Makes it part of the next commit that the input has its turn.
    pub(crate) fn stage_begin(&self, turn: u64) -> Result<(), AgentError> {
        let turn = u32::try_from(turn).unwrap_or(u32::MAX);
        if self.wanted.load(Ordering::Relaxed) {
            self.inbox.stage_taken(&self.journal, &self.id, turn)?;
        }
        if let Some(at) = self.cut {
            self.inbox.stage_cut(&self.journal, at);
        }
        Ok(())
    }

    /// What came since and may join the turn: it is written before it is given.
    async fn joining(&self, log: &Log, iteration: u32) -> Result<Vec<Message>, AgentError> {
        let Some(busy) = self.busy() else { return Ok(Vec::new()) };
        if !busy.arrived.swap(false, Ordering::AcqRel) && !self.shared.others() {
            return Ok(Vec::new());
        }
        let (mut messages, mut ids, mut cut) = (Vec::new(), Vec::new(), None);
        for placed in self.inbox.front().await? {
            if placed.fate == Fate::Waiting {
                if placed.input.policy != Policy::Steer {
                    break;
                }
                messages.extend(placed.input.messages);
                ids.push(placed.input.id);
            }
            cut = Some(placed.at);
        }
        let Some(at) = cut.filter(|_| !ids.is_empty()) else { return Ok(messages) };
        let bodies = messages.iter().map(|message| self.journal.body(message)).collect::<Result<_, _>>()?;
        self.journal.stage(Item::Outcome(Outcome { key: steer_key(log, iteration), bodies, error: None }));
        for id in &ids {
            self.inbox.stage_taken(&self.journal, id, u32::try_from(log.step).unwrap_or(u32::MAX))?;
        }
        self.inbox.stage_cut(&self.journal, at);
        self.journal.flush().await?;
        self.wanted.store(true, Ordering::Relaxed);
        ids.iter().for_each(|id| busy.join(id));
        Ok(messages)
    }

    /// Waits until an input of another process takes the turn's place.
    pub(crate) async fn interrupted(&self) {
        if !self.shared.others() || self.shared.options.policy != Policy::Interrupt {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(self.shared.options.poll).await;
            let waiting = self.inbox.waiting().await.unwrap_or_default();
            if waiting.iter().any(|input| input.policy == Policy::Interrupt && input.id != self.id) {
                if let Some(busy) = self.busy() {
                    busy.interrupt();
                }
                return;
            }
        }
    }

    /// The turn is over: whoever waits is told, and the session is let go.
    pub(crate) async fn leave(&self, result: &mut Result<RunResult, RunError>) {
        let seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(seat) = seat else { return };
        if let Ok(result) = result {
            // The session names many runs; this one has its own id.
            result.kept = None;
        }
        let told = result.as_ref().map(RunResult::clone).map_err(|error| error.error.clone());
        let interrupted = seat.busy.ended(&told);
        if let Err(error) = result
            && interrupted
            && matches!(error.error, AgentError::Cancelled)
        {
            error.error = SessionError::Interrupted { session: self.session.clone() }.into();
        }
        if self.journal.info().turns > self.turns {
            self.shared.remember(&self.session, &seat, &self.inbox, result).await;
        } else if self.waits {
            // It never began, and whoever sent it is told.
            let _ = self.inbox.take_back(&self.id).await;
        }
        if seat.lent {
            return;
        }
        // Whoever cannot be told that the lease is free waits until it runs out.
        let _ = self.journal.release().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.get_mut().unwrap_or_else(PoisonError::into_inner) {
            seat.busy.dropped.store(true, Ordering::Release);
        }
    }
}

impl Driver {
    /// Waits for the turn of a session.
    pub(crate) async fn open_session(&mut self, request: Request) -> Result<(), AgentError> {
        let cancel = self.ctx.cancel.clone();
        match request.enter(&cancel).await? {
            Entered::Turn(seated) => self.seated(*seated),
            Entered::Ended(result) => {
                self.joined = Some(result);
                Ok(())
            }
        }
    }

    pub(crate) fn seated(&mut self, seated: Seated) -> Result<(), AgentError> {
        let Seated { mut held, turn, again } = seated;
        let (number, id) = match again {
            Some(_) => held.journal.turn(),
            None => (held.turns + 1, self.ctx.run),
        };
        held.turns = number.saturating_sub(1);
        self.keep(&held.journal, false, id, number);
        if let Some(busy) = held.busy() {
            busy.runs(&held.id, self.ctx.cancel.clone());
        }
        self.session = Some(held);
        self.again = again.is_some();
        self.decisions = again.unwrap_or_default();
        self.set_turn(turn)
    }

    /// Lets what came since join the turn, before its next model call.
    pub(crate) async fn steer(&self, iteration: u32) -> Result<(), AgentError> {
        let Some(log) = self.log.as_ref().filter(|log| log.top) else { return Ok(()) };
        let mut messages = steered(log, iteration).await?;
        if messages.is_empty()
            && let Some(held) = &self.session
            && log.outcome(&log.model_key(iteration)).is_none()
        {
            messages = held.joining(log, iteration).await?;
        }
        if !messages.is_empty() {
            let machine = &mut self.transcript.lock().machine;
            machine.rewrite([machine.messages(), &messages].concat());
        }
        Ok(())
    }

    /// Records how a turn ended that others wait for.
    pub(crate) fn stage_outcome(&self, log: &Log, result: &RunResult) -> Result<(), AgentError> {
        let wanted = self.session.as_ref().is_some_and(|held| held.wanted.load(Ordering::Relaxed));
        match log.journal().filter(|_| wanted) {
            Some(journal) => outcome::stage(journal, log.step, &log.path, result),
            None => Ok(()),
        }
    }
}
