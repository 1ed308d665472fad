//! What is done before an input has its turn: a turn that has not ended, the inputs that came before, a history that is too
//! long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use atomr_agents_core::{Message, RunId};
use atomr_agents_state::{Item, Journal, RunLogError, RunStatus};

use super::entry::{Entered, Request, Way, What};
use super::held::{Held, Seated};
use super::inbox::{Fate, Placed};
use super::limit::fault;
use super::unfinished::{self, Begun, Told};
use super::{OnUnfinished, outcome};
use crate::durable::{Kept, Turn, transcript, version_difference, version_of};
use crate::{AgentError, Decision, OnChange, RunError, RunInput, RunResult, SessionError};

impl Request {
    pub(super) async fn settle(&self, way: &mut Way, journal: &Journal) -> Result<Entered, AgentError> {
        let Told { history, unfinished } = unfinished::read(journal).await?;
        let mut history = self.shared.remembered(&self.session, journal, history)?;
        let messages = match &self.what {
            What::Input(messages) => messages.clone(),
            What::Resume(decisions) => {
                let nothing = || SessionError::NothingToResume { session: self.session.clone() };
                let begun = unfinished.ok_or_else(nothing)?;
                return self.again(way, journal, begun, decisions.clone());
            }
        };
        // Another process took it, and ended while it was at it or just now.
        if let Some(Fate::Turn(turn)) = self.fate(way).await? {
            way.waits = false;
            return match unfinished.filter(|begun| begun.step == u64::from(turn)) {
                Some(begun) if self.shared.options.on_unfinished == OnUnfinished::Resume => {
                    self.again(way, journal, begun, Vec::new())
                }
                Some(_) => Err(self.unfinished(journal.info().status)),
                None => {
                    let ended = outcome::of(journal.store(), &self.session, turn).await?;
                    journal.release().await?;
                    ended.unwrap_or(Err(AgentError::Cancelled)).map(|result| Entered::Ended(Box::new(result)))
                }
            };
        }
        if let Some(begun) = unfinished {
            history = self.finish(way, journal, begun).await?;
        }
        history = self.earlier(way, journal, history).await?;
        if let Some(shorter) = self.shorter(&history).await? {
            journal.stage(Item::Checkpoint(transcript(journal, u64::from(journal.turn().0), true, &shorter)?));
            journal.flush().await?;
            history = shorter;
        }
        journal.served_by(self.agent.name(), &version_of(&self.agent.engine));
        let held = self.held(way, journal)?;
        Ok(Entered::Turn(Box::new(Seated { held, turn: Turn { history, input: messages }, again: None })))
    }

    /// Goes on with a turn in the place of the input.
    fn again(
        &self,
        way: &mut Way,
        journal: &Journal,
        begun: Begun,
        decisions: Vec<Decision>,
    ) -> Result<Entered, AgentError> {
        self.fits(journal)?;
        let held = self.held(way, journal)?;
        Ok(Entered::Turn(Box::new(Seated { held, turn: begun.turn, again: Some(decisions) })))
    }

    /// The session while the turn of the input runs.
    fn held(&self, way: &mut Way, journal: &Journal) -> Result<Held, AgentError> {
        Ok(Held {
            shared: Arc::clone(&self.shared),
            session: self.session.clone(),
            journal: journal.clone(),
            inbox: self.shared.inbox(&self.session)?,
            seat: Mutex::new(Some(way.seat.take().ok_or(AgentError::Cancelled)?)),
            id: way.id.clone(),
            waits: std::mem::take(&mut way.waits),
            wanted: AtomicBool::new(self.id.is_some() || way.put),
            turns: journal.info().turns,
            cut: way.cut,
        })
    }

    /// The session while a turn runs that comes before that of the input.
    fn lent(&self, way: &Way, journal: &Journal, earlier: Option<&Placed>) -> Result<Held, AgentError> {
        Ok(Held {
            shared: Arc::clone(&self.shared),
            session: self.session.clone(),
            journal: journal.clone(),
            inbox: self.shared.inbox(&self.session)?,
            seat: Mutex::new(Some(way.seat.as_ref().ok_or(AgentError::Cancelled)?.lend())),
            id: earlier.map(|placed| placed.input.id.clone()).unwrap_or_default(),
            waits: earlier.is_some(),
            wanted: AtomicBool::new(true),
            turns: journal.info().turns,
            cut: earlier.map(|placed| placed.at),
        })
    }

    /// Runs a turn that comes before that of the input.
    async fn run(&self, seated: Seated) -> Result<RunResult, RunError> {
        let mut ctx = self.ctx.scoped();
        ctx.run = RunId::new();
        let shown = RunInput { messages: seated.turn.input.clone(), history: Vec::new() };
        self.agent.begin_kept(shown, Kept::Seated(Box::new(seated)), ctx).await
    }

    /// A turn that has not ended is ended first. Gives the history after it.
    async fn finish(&self, way: &Way, journal: &Journal, begun: Begun) -> Result<Vec<Message>, AgentError> {
        let status = journal.info().status;
        let dropped = way.seat.as_ref().is_some_and(|seat| seat.busy.dropped.swap(false, Ordering::AcqRel));
        let over = matches!(status, RunStatus::Cancelled | RunStatus::Failed) || dropped;
        match self.shared.options.on_unfinished {
            OnUnfinished::Abandon => return unfinished::abandon(journal, begun).await,
            _ if over => return unfinished::abandon(journal, begun).await,
            OnUnfinished::Resume if status != RunStatus::Suspended => self.fits(journal)?,
            OnUnfinished::Ask | OnUnfinished::Resume => return Err(self.unfinished(status)),
        }
        let held = self.lent(way, journal, None)?;
        let turn = Turn { history: begun.turn.history.clone(), input: begun.turn.input.clone() };
        match self.run(Seated { held, turn, again: Some(Vec::new()) }).await {
            Ok(result) if result.pending.is_some() => Err(self.unfinished(RunStatus::Suspended)),
            Ok(result) => Ok(result.messages),
            Err(error) if self.is_final(&error.error) => Err(error.error),
            // It ended, though not well: that is what happened in this turn.
            Err(_) => unfinished::abandon(journal, begun).await,
        }
    }

    /// Runs the inputs that came before this one, in their order. Gives the history after them.
    async fn earlier(
        &self,
        way: &mut Way,
        journal: &Journal,
        mut history: Vec<Message>,
    ) -> Result<Vec<Message>, AgentError> {
        for placed in self.shared.inbox(&self.session)?.front().await? {
            way.cut = Some(placed.at);
            if placed.fate != Fate::Waiting {
                continue;
            }
            if placed.input.id == way.id {
                break;
            }
            history = self.run_for(way, journal, &placed, history).await?;
        }
        Ok(history)
    }

    /// Runs the turn of an input that somebody else sent.
    async fn run_for(
        &self,
        way: &Way,
        journal: &Journal,
        placed: &Placed,
        history: Vec<Message>,
    ) -> Result<Vec<Message>, AgentError> {
        let before = journal.info().turns;
        journal.served_by(self.agent.name(), &version_of(&self.agent.engine));
        let held = self.lent(way, journal, Some(placed))?;
        let input = placed.input.messages.clone();
        let begun =
            Begun { step: u64::from(before) + 1, turn: Turn { history: history.clone(), input: input.clone() } };
        let turn = Turn { history: history.clone(), input };
        let ended = self.run(Seated { held, turn, again: None }).await;
        if let Some(seat) = &way.seat {
            seat.busy.told(&placed.input.id, &ended.clone().map_err(|error| error.error));
        }
        match ended {
            Ok(result) if result.pending.is_some() => Err(self.unfinished(RunStatus::Suspended)),
            Ok(result) => Ok(result.messages),
            Err(error) if self.is_final(&error.error) => Err(error.error),
            Err(_) if journal.info().turns == before => Ok(history),
            Err(_) => unfinished::abandon(journal, begun).await,
        }
    }

    /// Whether nothing can be done in this session after a turn that ended with this.
    fn is_final(&self, error: &AgentError) -> bool {
        matches!(error, AgentError::Log(_)) || self.ctx.cancel.is_cancelled()
    }

    /// A shorter history, where this one is over its limit.
    async fn shorter(&self, history: &[Message]) -> Result<Option<Vec<Message>>, AgentError> {
        let (options, engine) = (&self.shared.options, &self.agent.engine);
        if !options.history.exceeded(history, engine) {
            return Ok(None);
        }
        let Some(compaction) = &options.compaction else {
            return Ok(Some(options.history.cut(history, engine)));
        };
        let shorter = compaction.compact(history.to_vec(), &self.ctx).await?;
        match fault(&shorter) {
            Some(message) => Err(SessionError::BadCompaction { session: self.session.clone(), message }.into()),
            None => Ok(Some(shorter)),
        }
    }

    /// Whether this agent may go on with the turn that has not ended.
    fn fits(&self, journal: &Journal) -> Result<(), AgentError> {
        let (info, run, target) = (journal.info(), self.session.clone(), self.agent.name().to_owned());
        let difference = match self.shared.on_change() {
            _ if info.target != target => Some(format!("it is that of the agent {:?}", info.target)),
            OnChange::Refuse => version_difference(&info.version, &version_of(&self.agent.engine)),
            OnChange::Accept => None,
        };
        match difference {
            Some(difference) => Err(RunLogError::Changed { run, target, difference }.into()),
            None => Ok(()),
        }
    }
}
