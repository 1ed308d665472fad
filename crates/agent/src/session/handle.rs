//! One conversation.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use atomr_agents_core::{CallCtx, Message, RunId};
use atomr_agents_state::{
    Checkpoint, ForkAt, ForkOptions, Item, Journal, RunLogError, RunReader, RunStatus, StoredChannel, StoredDelta,
    StoredState, fork,
};

use super::entry::{Request, What};
use super::inbox::Input;
use super::seat::Seat;
use super::sessions::Shared;
use super::table::Remembered;
use super::{Policy, unfinished};
use crate::durable::{Kept, MESSAGES, OneOrMore, transcript, turns};
use crate::{AgentError, BoxedAgent, Decision, Run, RunError, RunInput, RunResult, SessionError};

/// How one input is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// What becomes of it while a turn runs; that of the sessions where it is not said.
    pub policy: Option<Policy>,
    /// Its name: an input is taken once, however often it is sent under the same one. Whoever sends it again is given what
    /// came of it. A fresh one where it is not said.
    pub id: Option<String>,
}

/// One conversation of an agent: many turns under one name. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    agent: BoxedAgent,
    shared: Arc<Shared>,
    name: String,
}

impl Session {
    pub(super) fn new(agent: BoxedAgent, shared: Arc<Shared>, name: &str) -> Self {
        Self { agent, shared, name: name.to_owned() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends an input and runs its turn to the end.
    ///
    /// # Errors
    /// As a run, and [`AgentError::Session`], [`AgentError::Overloaded`] when it does not get its turn. When somebody else took
    /// the session over, [`AgentError::Log`] with [`atomr_agents_state::StoreError::Fenced`].
    pub async fn send(&self, input: impl Into<RunInput>, ctx: CallCtx) -> Result<RunResult, RunError> {
        self.begin(input, Sending::default(), ctx).await
    }

    /// Sends an input; its turn is a run that is begun and waits to be polled. Its events begin with its turn. One that joined a
    /// turn has that turn's result. A history in the input is left out: the session has its own.
    ///
    /// Cancelling its context takes an input back that waits, and ends a turn that runs: what it did stays in the history.
    /// Dropping the run does so at once; an input that waits then may still get its turn.
    pub fn begin(&self, input: impl Into<RunInput>, sending: Sending, ctx: CallCtx) -> Run {
        let input: RunInput = input.into();
        let shown = RunInput { messages: input.messages.clone(), history: Vec::new() };
        self.start(What::Input(input.messages), shown, sending, ctx)
    }

    /// Goes on with the turn that has not ended: one that waits for somebody's word (`decisions`), whose process was killed,
    /// that failed or was stopped.
    pub fn resume(&self, decisions: &[Decision], ctx: CallCtx) -> Run {
        self.start(What::Resume(decisions.to_vec()), RunInput::default(), Sending::default(), ctx)
    }

    fn start(&self, what: What, shown: RunInput, sending: Sending, ctx: CallCtx) -> Run {
        let request = Request {
            shared: Arc::clone(&self.shared),
            agent: self.agent.clone(),
            session: self.name.clone(),
            what,
            policy: sending.policy.unwrap_or(self.shared.options.policy),
            id: sending.id,
            ctx: ctx.clone(),
        };
        self.agent.begin_kept(shown, Kept::Session(Box::new(request)), ctx)
    }

    /// Puts an input into the inbox and waits for nothing. When this returns it outlives the process (with a store), and is run
    /// by whoever holds the session or opens it next ([`Session::drain`]). Gives the input's name.
    ///
    /// # Errors
    /// [`AgentError::Overloaded`] when the inbox is full; and when the store fails.
    pub async fn post(&self, input: impl Into<RunInput>, sending: Sending) -> Result<String, AgentError> {
        let policy = sending.policy.unwrap_or(self.shared.options.policy);
        let id = sending.id.unwrap_or_else(|| RunId::new().to_string());
        let input = Input { id: id.clone(), policy, messages: input.into().messages };
        // In memory it is what holds the inbox; beside a store it is of use only while somebody is at the session.
        let busy = match self.shared.others() {
            true => self.shared.everybody.find(&self.name),
            false => Some(self.shared.busy(&self.name)?),
        };
        let arrival = match &busy {
            Some(busy) => Some(busy.arrival.lock().await),
            None => None,
        };
        self.shared.inbox(&self.name)?.put(&input).await?;
        drop(arrival);
        if let Some(busy) = self.shared.everybody.find(&self.name) {
            busy.posted.store(!self.shared.others(), Ordering::Relaxed);
            busy.arrives(policy);
        }
        Ok(id)
    }

    /// Runs the turns of the inputs that wait, in their order. Gives how many ended well.
    ///
    /// # Errors
    /// The first that did not.
    pub async fn drain(&self, ctx: &CallCtx) -> Result<usize, AgentError> {
        let mut done = 0;
        while let Some(next) = self.shared.inbox(&self.name)?.waiting().await?.into_iter().next() {
            let sending = Sending { policy: Some(Policy::Queue), id: Some(next.id) };
            let mut own = ctx.scoped();
            own.run = RunId::new();
            self.begin(RunInput::from(next.messages), sending, own).await.map_err(|error| error.error)?;
            done += 1;
        }
        Ok(done)
    }

    /// Stops the turn that runs in this process, or is about to; what it did is recorded. False if there is none.
    pub fn interrupt(&self) -> bool {
        self.shared.everybody.find(&self.name).is_some_and(|busy| busy.interrupt())
    }

    /// Whether a turn of this process runs or waits to run.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.shared.everybody.find(&self.name).is_some_and(|busy| busy.is_taken())
    }

    /// The transcript that the next turn goes on from. What a turn said that has not ended is at its end.
    ///
    /// # Errors
    /// [`AgentError::Log`] when the log is damaged or the store fails.
    pub async fn messages(&self) -> Result<Vec<Message>, AgentError> {
        let Some(reader) = self.reader().await? else { return self.remembered() };
        let frames = reader.frames_from_base().await?;
        let state = StoredState::after(&frames)?.unwrap_or_default();
        let mut messages = match state.channels.get(MESSAGES) {
            Some(StoredChannel::List(bodies)) => reader.values(&bodies.iter().collect::<Vec<_>>()).await?,
            _ => Vec::new(),
        };
        let begun = turns(&self.name, &frames)?.pop().filter(|(step, ..)| *step > state.step);
        if let Some((step, _, input)) = begun {
            match unfinished::closed(&frames, step) {
                Some(said) => messages.extend(reader.values::<Message>(&said.bodies.iter().collect::<Vec<_>>()).await?),
                None => {
                    let input = reader.values::<OneOrMore>(&[&input]).await?;
                    messages.extend(input.into_iter().flat_map(OneOrMore::all));
                }
            }
        }
        Ok(messages)
    }

    /// Everything that was said and is in the log, also what was compacted or cleared since.
    ///
    /// # Errors
    /// As [`Session::messages`].
    pub async fn all_messages(&self) -> Result<Vec<Message>, AgentError> {
        let Some(reader) = self.reader().await? else { return self.remembered() };
        let frames = reader.frames().await?;
        let (mut state, mut bodies) = (StoredState::default(), Vec::new());
        for placed in &frames {
            for item in &placed.frame.items {
                let Item::Checkpoint(checkpoint) = item else { continue };
                let known = match state.channels.get(MESSAGES) {
                    Some(StoredChannel::List(known)) => known.len(),
                    _ => 0,
                };
                let told = match checkpoint.channels.get(MESSAGES) {
                    // The whole of it, after a turn; without one it is a shorter form of what was said.
                    Some(StoredDelta::List(_)) => checkpoint.step > state.step || bodies.is_empty(),
                    changed => changed.is_some(),
                };
                let corrupt = |message| RunLogError::Corrupt { run: self.name.clone(), at: placed.at, message };
                state.apply(checkpoint, placed.frame.time_ms).map_err(corrupt)?;
                if told && let Some(StoredChannel::List(now)) = state.channels.get(MESSAGES) {
                    bodies.extend_from_slice(now.get(known..).unwrap_or_default());
                }
            }
        }
        Ok(reader.values(&bodies.iter().collect::<Vec<_>>()).await?)
    }

    async fn reader(&self) -> Result<Option<RunReader>, AgentError> {
        let store = match self.shared.table() {
            None => self.shared.store(&self.name)?,
            Some(table) => match (self.shared.everybody.find(&self.name), table.look(&self.name)?) {
                (Some(busy), _) => Arc::clone(&busy.store),
                (None, Remembered::Log(store)) => store,
                (None, _) => return Ok(None),
            },
        };
        match RunReader::open(store, &self.name).await {
            // Its first turn in this memory has not begun: what was said before is remembered in another form.
            Ok(reader) if reader.record().turns == 0 && self.shared.table().is_some() => Ok(None),
            Ok(reader) => Ok(Some(reader)),
            Err(RunLogError::NoSuchRun { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn remembered(&self) -> Result<Vec<Message>, AgentError> {
        Ok(match self.shared.table().map(|table| table.look(&self.name)).transpose()? {
            Some(Remembered::Transcript(messages)) => messages,
            _ => Vec::new(),
        })
    }

    /// Gives a turn up that has not ended: what it did stays in the history. False if there is none.
    ///
    /// # Errors
    /// [`AgentError::Log`] while somebody is at the session; and when the store fails.
    pub async fn abandon(&self) -> Result<bool, AgentError> {
        let Some((journal, _seat)) = self.opened().await? else { return Ok(false) };
        let abandoned = async {
            match unfinished::read(&journal).await?.unfinished {
                Some(begun) => unfinished::abandon(&journal, begun).await.map(|_| true),
                None => Ok(false),
            }
        };
        let abandoned = abandoned.await;
        journal.release().await?;
        abandoned
    }

    /// Forgets what was said: the next turn begins anew. The log is still there until it is pruned.
    ///
    /// # Errors
    /// [`AgentError::Log`] while somebody is at the session; and when the store fails.
    pub async fn clear(&self) -> Result<(), AgentError> {
        let Some((journal, _seat)) = self.opened().await? else {
            if let Some(table) = self.shared.table() {
                table.forget(&self.name);
            }
            return Ok(());
        };
        let empty =
            Checkpoint { source: "clear".to_owned(), ..transcript(&journal, journal.turn().0.into(), true, &[])? };
        journal.stage(Item::Checkpoint(empty));
        journal.status(RunStatus::Finished);
        let cleared = journal.flush().await;
        journal.release().await?;
        Ok(cleared?)
    }

    async fn opened(&self) -> Result<Option<(Journal, Seat)>, AgentError> {
        if self.reader().await?.is_none() {
            return Ok(None);
        }
        let busy = self.shared.busy(&self.name)?;
        let Some(seat) = busy.sit(&self.shared.everybody, &self.name) else {
            return Err(SessionError::Busy { session: self.name.clone(), by: "this process".to_owned() }.into());
        };
        let store = Arc::clone(&busy.store);
        drop(busy);
        Ok(Some((Journal::resume(store, &self.name, self.shared.journal_options()).await?, seat)))
    }

    /// Another session that has said what this one had said by the end of its last turn; nothing of it is stored again.
    ///
    /// # Errors
    /// [`RunLogError::Exists`] when there is a session of that name.
    pub async fn fork(&self, name: &str) -> Result<Self, AgentError> {
        let forked = Self::new(self.agent.clone(), Arc::clone(&self.shared), name);
        let exists = || RunLogError::Exists { run: name.to_owned(), status: RunStatus::Finished };
        if let Some(table) = self.shared.table() {
            if forked.is_busy() || !matches!(table.look(name)?, Remembered::Nothing) {
                return Err(exists().into());
            }
            let settled = match self.reader().await? {
                None => self.remembered()?,
                Some(reader) => settled(&reader).await?.1,
            };
            table.pack(name, &settled)?;
            return Ok(forked);
        }
        let store = self.shared.store(&self.name)?;
        let reader = RunReader::open(Arc::clone(&store), &self.name).await?;
        let (step, _) = settled(&reader).await?;
        if step == 0 {
            return Err(SessionError::NothingToResume { session: self.name.clone() }.into());
        }
        let options = ForkOptions { name: name.to_owned(), ..ForkOptions::default() };
        fork(&store, &self.name, ForkAt::Step(step), &options).await?;
        Ok(forked)
    }
}

/// The last turn that ended, and the transcript after it.
async fn settled(reader: &RunReader) -> Result<(u64, Vec<Message>), AgentError> {
    let state = StoredState::after(&reader.frames_from_base().await?)?.unwrap_or_default();
    match state.channels.get(MESSAGES) {
        Some(StoredChannel::List(bodies)) => Ok((state.step, reader.values(&bodies.iter().collect::<Vec<_>>()).await?)),
        _ => Ok((state.step, Vec::new())),
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("name", &self.name).finish_non_exhaustive()
    }
}
