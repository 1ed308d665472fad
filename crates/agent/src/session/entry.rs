//! How an input gets its turn.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, CancellationToken, Message, RunId};
use atomr_agents_state::{Journal, NewRun, RunLogError, RunStatus, StoreError};
use tokio::time::Instant;

use super::held::Seated;
use super::inbox::{Fate, Input};
use super::seat::{Seat, Waited};
use super::sessions::Shared;
use super::{Policy, outcome};
use crate::durable::version_of;
use crate::{AgentError, BoxedAgent, Decision, RunResult, SessionError};

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
    /// Its turn begins, or goes on.
    Turn(Box<Seated>),
    /// The input was part of a turn that somebody else ran.
    Ended(Box<RunResult>),
}

/// What is known of the input on its way.
pub(super) struct Way {
    pub(super) seat: Option<Seat>,
    pub(super) id: String,
    /// It is in the inbox, or was.
    pub(super) put: bool,
    /// It is in the inbox still.
    pub(super) waits: bool,
    /// Up to where the inbox is done with when the turn begins.
    pub(super) cut: Option<u64>,
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
            let interrupts = self.policy == Policy::Interrupt;
            let mut line = busy.wait(&self.shared.everybody, &self.session, &way.id, interrupts);
            drop(arrival);
            busy.arrives(self.policy);
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
        Ok(Some(fate).filter(|fate| *fate != Fate::Waiting))
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
    pub(super) async fn fate(&self, way: &Way) -> Result<Option<Fate>, AgentError> {
        if !way.put && self.id.is_none() {
            return Ok(None);
        }
        match self.shared.inbox(&self.session)?.fate(&way.id).await? {
            Some(Fate::TakenBack) if way.put => Err(self.taken_back(&way.id)),
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
                    Ok(journal) => return self.opened(way, journal).await,
                    Err(AgentError::Log(RunLogError::Store(StoreError::Held { .. }))) => {}
                    Err(error) => return Err(error),
                }
            }
            self.pause(way).await?;
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

    pub(super) fn unfinished(&self, status: RunStatus) -> AgentError {
        SessionError::Unfinished { session: self.session.clone(), status }.into()
    }
}
