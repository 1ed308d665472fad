//! How an input gets its turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomr_agents_core::{CallCtx, CancellationToken, Message, RunId};
use atomr_agents_state::{Item, Journal, NewRun, RunLogError, RunStatus, StoreError};
use tokio::time::Instant;

use super::held::Held;
use super::inbox::{Fate, Input};
use super::limit::fault;
use super::seat::{Seat, Waited};
use super::sessions::Shared;
use super::unfinished::{self, Begun, Told};
use super::{OnUnfinished, Policy, outcome};
use crate::durable::{Turn, transcript, version_difference, version_of};
use crate::{AgentError, BoxedAgent, Decision, OnChange, RunInput, RunResult, SessionError};

/// A wait that cannot be written as a moment.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// What somebody wants of a session.
pub(crate) enum What {
    Input(Vec<Message>),
    /// To go on with the turn that has not ended.
    Resume(Vec<Decision>),
}

/// Somebody who wants a turn.
pub(crate) struct Request {
    pub(crate) shared: Arc<Shared>,
    pub(crate) agent: BoxedAgent,
    pub(crate) session: String,
    pub(crate) what: What,
    pub(crate) policy: Policy,
    /// The name of the input, if its sender gave it one.
    pub(crate) id: Option<String>,
    pub(crate) ctx: CallCtx,
}

/// What came of it.
pub(crate) enum Entered {
    /// The turn begins.
    Turn(Held, Turn),
    /// A turn goes on that was begun before.
    Again(Held, Turn, Vec<Decision>),
    /// The input was part of a turn that somebody else ran.
    Ended(Box<RunResult>),
}

/// What is known of the input on its way.
struct Way {
    seat: Option<Seat>,
    id: String,
    /// It is in the inbox, or was.
    put: bool,
    /// It is in the inbox still.
    waits: bool,
    /// Up to where the inbox is done with when the turn begins.
    cut: Option<u64>,
    until: Instant,
}

impl Request {
    /// Waits for the turn. When the future is dropped the input is taken back, unless its turn has begun.
    pub(crate) async fn enter(self, cancel: &CancellationToken) -> Result<Entered, AgentError> {
        let now = Instant::now();
        let until = now.checked_add(self.shared.options.wait).unwrap_or(now + FOREVER);
        let id = self.id.clone().unwrap_or_else(|| RunId::new().to_string());
        let mut way = Way { seat: None, id, put: false, waits: false, cut: None, until };
        let entered = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(AgentError::Cancelled),
            entered = self.try_enter(&mut way) => entered,
        };
        // Whoever is told that it failed may send it again.
        if entered.is_err() && way.waits {
            let _ = self.shared.inbox(&self.session)?.take_back(&way.id).await;
        }
        entered
    }

    async fn try_enter(&self, way: &mut Way) -> Result<Entered, AgentError> {
        let busy = self.shared.busy(&self.session)?;
        way.seat = busy.sit(&self.shared.everybody, &self.session);
        if way.seat.is_none() {
            if let What::Input(_) = &self.what
                && self.policy == Policy::Reject
            {
                return Err(self.busy("this process"));
            }
            let arrival = busy.arrival.lock().await;
            if let Some(Fate::Turn(turn)) = self.put(way).await? {
                drop(arrival);
                return self.elsewhere(way, turn).await;
            }
            let mut line = busy.wait(&self.shared.everybody, &self.session, &way.id);
            drop(arrival);
            match self.policy {
                Policy::Steer => busy.arrived.store(true, Ordering::Release),
                Policy::Interrupt => {
                    busy.interrupt();
                }
                Policy::Queue | Policy::Reject => {}
            }
            drop(busy);
            match tokio::time::timeout_at(way.until, line.told()).await {
                Ok(Waited::Seat(seat)) => way.seat = Some(seat),
                Ok(Waited::Ended(result)) => {
                    way.waits = false;
                    return (*result).map(|result| Entered::Ended(Box::new(result)));
                }
                Err(_) => return Err(self.waited()),
            }
        } else {
            drop(busy);
        }
        self.with_seat(way).await
    }

    /// Puts the input into the inbox, if it is not there. Gives the turn that took it, if one did.
    async fn put(&self, way: &mut Way) -> Result<Option<Fate>, AgentError> {
        let What::Input(messages) = &self.what else { return Ok(None) };
        let inbox = self.shared.inbox(&self.session)?;
        let input = Input { id: way.id.clone(), policy: self.policy, messages: messages.clone() };
        let fate = inbox.put(&input).await?;
        (way.put, way.waits) = (true, fate == Fate::Waiting);
        match fate {
            Fate::TakenBack => Err(self.taken_back(&way.id)),
            Fate::Waiting => Ok(None),
            taken => Ok(Some(taken)),
        }
    }

    async fn with_seat(&self, way: &mut Way) -> Result<Entered, AgentError> {
        loop {
            if let Some(Fate::Turn(turn)) = self.fate(way).await? {
                way.waits = false;
                return self.elsewhere(way, turn).await;
            }
            match self.open().await {
                Ok(journal) => return self.opened(way, journal).await,
                Err(AgentError::Log(RunLogError::Store(StoreError::Held { owner, .. }))) => {
                    self.held_elsewhere(way, &owner).await?;
                }
                Err(AgentError::Log(RunLogError::Exists { .. })) => self.pause(way).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn held_elsewhere(&self, way: &mut Way, owner: &str) -> Result<(), AgentError> {
        if self.policy == Policy::Reject {
            return Err(self.busy(owner));
        }
        if !way.put {
            self.put(way).await?;
        }
        self.pause(way).await
    }

    async fn pause(&self, way: &Way) -> Result<(), AgentError> {
        if Instant::now() >= way.until {
            return Err(self.waited());
        }
        tokio::time::sleep(self.shared.options.poll).await;
        Ok(())
    }

    /// What became of the input, where that can be known.
    async fn fate(&self, way: &Way) -> Result<Option<Fate>, AgentError> {
        if !way.put && self.id.is_none() {
            return Ok(None);
        }
        match self.shared.inbox(&self.session)?.fate(&way.id).await? {
            Some(Fate::TakenBack) => Err(self.taken_back(&way.id)),
            fate => Ok(fate),
        }
    }

    /// The log of the session, under its lease.
    async fn open(&self) -> Result<Journal, AgentError> {
        let store = self.shared.store(&self.session)?;
        let options = self.shared.journal_options();
        match Journal::resume(Arc::clone(&store), &self.session, options.clone()).await {
            Err(RunLogError::NoSuchRun { .. }) => {
                let (target, version) = (self.agent.name().to_owned(), version_of(&self.agent.engine));
                let (kind, labels) = ("agent".to_owned(), self.shared.labels());
                let new = NewRun { name: self.session.clone(), kind, target, version, labels };
                Ok(Journal::create(store, new, RunId::new(), options).await?)
            }
            opened => Ok(opened?),
        }
    }

    /// The lease is ours: what came before the input is done first.
    async fn opened(&self, way: &mut Way, journal: Journal) -> Result<Entered, AgentError> {
        let entered = self.settle(way, &journal).await;
        if entered.is_err() {
            // It is the error that matters; a lease that is not let go runs out.
            let _ = journal.release().await;
        }
        entered
    }

    async fn settle(&self, way: &mut Way, journal: &Journal) -> Result<Entered, AgentError> {
        let Told { history, unfinished } = unfinished::read(journal).await?;
        let mut history = self.shared.remembered(&self.session, journal, history)?;
        if let What::Resume(decisions) = &self.what {
            let Some(begun) = unfinished else {
                return Err(SessionError::NothingToResume { session: self.session.clone() }.into());
            };
            self.fits(journal)?;
            let held = self.held(way, journal)?;
            return Ok(Entered::Again(held, begun.turn, decisions.clone()));
        }
        // Another process took it and ended while it was at it.
        if let Some(Fate::Turn(turn)) = self.fate(way).await? {
            way.waits = false;
            let Some(begun) = unfinished.filter(|begun| begun.step == u64::from(turn)) else {
                let ended = outcome::of(&self.shared.store(&self.session)?, &self.session, turn).await?;
                journal.release().await?;
                return ended.unwrap_or_else(|| Err(AgentError::Cancelled)).map(|it| Entered::Ended(Box::new(it)));
            };
            self.fits(journal)?;
            let held = self.held(way, journal)?;
            return Ok(Entered::Again(held, begun.turn, Vec::new()));
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
        let What::Input(messages) = &self.what else { return Err(AgentError::Cancelled) };
        Ok(Entered::Turn(self.held(way, journal)?, Turn { history, input: messages.clone() }))
    }

    /// A turn that has not ended is ended first.
    async fn finish(&self, way: &Way, journal: &Journal, begun: Begun) -> Result<Vec<Message>, AgentError> {
        let status = journal.info().status;
        let dropped = way.seat.as_ref().is_some_and(|seat| seat.busy.dropped.swap(false, Ordering::AcqRel));
        let over = matches!(status, RunStatus::Cancelled | RunStatus::Failed) || dropped;
        match self.shared.options.on_unfinished {
            OnUnfinished::Abandon => unfinished::abandon(journal, begun).await,
            _ if over => unfinished::abandon(journal, begun).await,
            OnUnfinished::Ask => Err(self.unfinished(status)),
            OnUnfinished::Resume if status == RunStatus::Suspended => Err(self.unfinished(status)),
            OnUnfinished::Resume => {
                let run = self.agent.resume_in(journal.clone(), self.shared.on_change(), &[], self.ctx.scoped());
                match run.await {
                    Ok(result) if result.pending.is_some() => Err(self.unfinished(RunStatus::Suspended)),
                    Ok(result) => Ok(result.messages),
                    // It ended, though not well: that is what happened in this turn.
                    Err(error) if !matches!(error.error, AgentError::Log(_) | AgentError::Cancelled) => {
                        unfinished::abandon(journal, begun).await
                    }
                    Err(error) => Err(error.error),
                }
            }
        }
    }

    /// Runs the inputs that came before this one, in their order.
    async fn earlier(
        &self,
        way: &mut Way,
        journal: &Journal,
        mut history: Vec<Message>,
    ) -> Result<Vec<Message>, AgentError> {
        let inbox = self.shared.inbox(&self.session)?;
        let front = inbox.front(self.shared.options.queue.saturating_add(1)).await?;
        for waiting in front {
            way.cut = Some(waiting.at);
            if waiting.input.id == way.id {
                break;
            }
            if waiting.fate == Fate::Waiting {
                history = self.run_for(journal, waiting.at, waiting.input, history).await?;
            }
        }
        Ok(history)
    }

    /// Runs the turn of an input that somebody else sent.
    async fn run_for(
        &self,
        journal: &Journal,
        at: u64,
        input: Input,
        history: Vec<Message>,
    ) -> Result<Vec<Message>, AgentError> {
        let inbox = self.shared.inbox(&self.session)?;
        let turn = journal.info().turns + 1;
        journal.served_by(self.agent.name(), &version_of(&self.agent.engine));
        inbox.stage_taken(journal, &input.id, turn)?;
        inbox.stage_cut(journal, at);
        let mut ctx = self.ctx.scoped().with(outcome::Wanted);
        ctx.run = RunId::new();
        let given = RunInput { messages: input.messages, history: history.clone() };
        let ended = self.agent.begin_in(journal.clone(), given, ctx).await;
        let told = match &ended {
            Ok(result) => Ok(result.clone()),
            Err(error) => Err(error.error.clone()),
        };
        if let Some(busy) = self.shared.everybody.find(&self.session) {
            busy.told(&input.id, &told);
        }
        match ended {
            Ok(result) if result.pending.is_some() => Err(self.unfinished(RunStatus::Suspended)),
            Ok(result) => Ok(result.messages),
            Err(error) if matches!(error.error, AgentError::Log(_)) || self.ctx.cancel.is_cancelled() => {
                Err(error.error)
            }
            Err(error) => {
                let said = error.partial.messages;
                let new = said.get(history.len()..).unwrap_or_default();
                journal.stage(Item::Checkpoint(transcript(journal, u64::from(turn), false, new)?));
                journal.flush().await?;
                Ok(said)
            }
        }
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

    fn held(&self, way: &mut Way, journal: &Journal) -> Result<Held, AgentError> {
        let seat = way.seat.take().ok_or(AgentError::Cancelled)?;
        Ok(Held {
            shared: Arc::clone(&self.shared),
            session: self.session.clone(),
            journal: journal.clone(),
            inbox: self.shared.inbox(&self.session)?,
            seat: Mutex::new(Some(seat)),
            id: way.id.clone(),
            put: std::mem::take(&mut way.waits),
            wanted: AtomicBool::new(self.id.is_some() || way.put),
            turns: journal.info().turns,
            cut: way.cut,
        })
    }

    /// The turn of the input is another process's, or was: waits for its end, or goes on with it where that process ended.
    async fn elsewhere(&self, way: &mut Way, turn: u32) -> Result<Entered, AgentError> {
        let store = self.shared.store(&self.session)?;
        loop {
            if let Some(ended) = outcome::of(&store, &self.session, turn).await? {
                return ended.map(|result| Entered::Ended(Box::new(result)));
            }
            if way.seat.is_none() {
                way.seat = self.shared.busy(&self.session)?.sit(&self.shared.everybody, &self.session);
            }
            if way.seat.is_some() {
                match self.open().await {
                    Ok(journal) => return self.opened_again(way, journal, turn).await,
                    Err(AgentError::Log(RunLogError::Store(StoreError::Held { .. }))) => {}
                    Err(error) => return Err(error),
                }
            }
            self.pause(way).await?;
        }
    }

    async fn opened_again(&self, way: &mut Way, journal: Journal, turn: u32) -> Result<Entered, AgentError> {
        let Told { unfinished, .. } = unfinished::read(&journal).await?;
        let status = journal.info().status;
        match unfinished.filter(|begun| begun.step == u64::from(turn)) {
            Some(begun) if self.shared.options.on_unfinished == OnUnfinished::Resume => {
                self.fits(&journal)?;
                Ok(Entered::Again(self.held(way, &journal)?, begun.turn, Vec::new()))
            }
            Some(_) => {
                journal.release().await?;
                Err(self.unfinished(status))
            }
            None => {
                let ended = outcome::of(&self.shared.store(&self.session)?, &self.session, turn).await?;
                journal.release().await?;
                ended.unwrap_or_else(|| Err(AgentError::Cancelled)).map(|result| Entered::Ended(Box::new(result)))
            }
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

    fn busy(&self, by: &str) -> AgentError {
        SessionError::Busy { session: self.session.clone(), by: by.to_owned() }.into()
    }

    fn waited(&self) -> AgentError {
        SessionError::Waited { session: self.session.clone(), after: self.shared.options.wait }.into()
    }

    fn taken_back(&self, id: &str) -> AgentError {
        SessionError::TakenBack { session: self.session.clone(), id: id.to_owned() }.into()
    }

    fn unfinished(&self, status: RunStatus) -> AgentError {
        SessionError::Unfinished { session: self.session.clone(), status }.into()
    }
}
