//! How a run that is kept begins, and how it goes on.

use std::sync::{Arc, OnceLock};

use atomr_agents_core::{CallCtx, Message, TurnInput};
use atomr_agents_observability::Recorder;
use atomr_agents_state::{
    Body, Item, Journal, JournalScope, NewRun, Placed, RunLogError, RunStatus, StoredChannel, StoredDelta, StoredState,
};

use super::log::{Halt, Log, Source};
use super::{Durable, OnChange, version};
use crate::driver::Driver;
use crate::session::{Request, Seated};
use crate::{AgentError, Decision, Machine};

/// The channel in which a run's checkpoints have the transcript of its turns.
pub(crate) const MESSAGES: &str = "messages";

/// Whether and how a run is kept.
pub(crate) enum Kept {
    No,
    /// It is part of another run, and recorded there.
    Scope(Arc<JournalScope>),
    /// It begins.
    New(Where),
    /// It goes on.
    GoOn(Where, Vec<Decision>),
    /// It is only looked at.
    Replay(Log),
    /// It is a turn of a session, for which it waits.
    Session(Box<Request>),
    /// It is a turn of a session, and has its place.
    Seated(Box<Seated>),
    /// It should be, and the agent has no store.
    Nowhere,
}

impl Kept {
    /// Whether the events of the run are recorded by itself.
    pub(crate) fn has_events(&self) -> bool {
        matches!(self, Self::New(_) | Self::GoOn(..) | Self::Session(_) | Self::Seated(_))
    }
}

/// The log of a run.
pub(crate) enum Where {
    /// Under this name in a store; a fresh one if it is empty.
    Named(Box<Durable>, String),
    /// Here; whoever opened it lets it go.
    Open(Journal, OnChange),
}

/// What writes a run's events down, once it is known where.
pub(crate) fn recorder(journal: &Arc<OnceLock<Journal>>) -> Recorder {
    let journal = Arc::clone(journal);
    Box::new(move |event| {
        if let Some(journal) = journal.get() {
            // An event that JSON has no form for is not stored; there is none.
            let _ = journal.stage_event(event);
        }
    })
}

/// The conversation that a log's last turn is.
pub(crate) struct Turn {
    pub(crate) history: Vec<Message>,
    pub(crate) input: Vec<Message>,
}

impl Driver {
    /// Opens the log, unless the run is cancelled before it could be.
    pub(crate) async fn opened(&mut self) -> Result<(), AgentError> {
        if matches!(self.kept, Kept::Session(_)) {
            return Box::pin(self.open()).await; // it is told itself, and takes the input back
        }
        let cancel = self.ctx.cancel.clone();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(AgentError::Cancelled),
            opened = Box::pin(self.open()) => opened,
        }
    }

    /// Opens the log before anything else happens.
    async fn open(&mut self) -> Result<(), AgentError> {
        match std::mem::replace(&mut self.kept, Kept::No) {
            Kept::No => {}
            Kept::Nowhere => {
                let message = "it is not set, so there is nowhere to keep a run under a name or to find one".to_owned();
                return Err(AgentError::Config { setting: "store", message });
            }
            Kept::Scope(scope) => self.log = Some(self.within(&scope)),
            Kept::Replay(log) => {
                self.log = Some(log);
                self.again = true;
            }
            Kept::New(place) => self.open_new(place).await?,
            Kept::Session(request) => self.open_session(*request).await?,
            Kept::Seated(seated) => self.seated(*seated)?,
            Kept::GoOn(place, decisions) => {
                self.open_again(place).await?;
                self.decisions = decisions;
                self.again = true;
            }
        }
        Ok(())
    }

    /// A part of another run.
    fn within(&self, scope: &JournalScope) -> Log {
        let key = scope.next_key();
        let nth = if key.index == 0 { String::new() } else { format!(".{}", key.index) };
        let slash = if key.path.is_empty() { "" } else { "/" };
        let path = format!("{}{slash}{}{nth}", key.path, self.engine.options.name);
        let source = Source::Journal(scope.journal().clone());
        Log { source, step: key.step, path: path.into(), top: false, own: false }
    }

    async fn open_new(&mut self, place: Where) -> Result<(), AgentError> {
        let (journal, own) = match place {
            Where::Open(journal, _) => (journal, false),
            Where::Named(durable, name) => {
                let (target, version) = (self.engine.options.name.clone(), version::of(&self.engine));
                let new = NewRun { name, kind: "agent".into(), target, version, labels: durable.labels.clone() };
                let options = durable.journal_options();
                (Journal::create(durable.store, new, self.ctx.run, options).await?, true)
            }
        };
        self.keep(&journal, own, self.ctx.run, journal.info().turns + 1);
        Ok(())
    }

    async fn open_again(&mut self, place: Where) -> Result<(), AgentError> {
        let (journal, own, on_change) = match place {
            Where::Open(journal, on_change) => (journal, false, on_change),
            Where::Named(durable, name) => {
                let options = durable.journal_options();
                (Journal::resume(durable.store, &name, options).await?, true, durable.on_change)
            }
        };
        match self.fit(&journal, on_change).await {
            Ok(turn) => {
                let (number, id) = journal.turn();
                self.keep(&journal, own, id, number);
                self.set_turn(turn)
            }
            Err(error) => {
                if own {
                    // It is the error that matters; a lease that is not let go runs out.
                    let _ = journal.release().await;
                }
                Err(error)
            }
        }
    }

    /// Whether the run can go on here, and what its last turn began with.
    async fn fit(&self, journal: &Journal, on_change: OnChange) -> Result<Turn, AgentError> {
        let (info, target) = (journal.info(), &self.engine.options.name);
        let run = info.name.clone();
        if info.status == RunStatus::Finished {
            return Err(RunLogError::Over { run, status: info.status }.into());
        }
        if info.kind != "agent" || info.target != *target {
            let difference = format!("it is the {} {:?}", info.kind, info.target);
            return Err(RunLogError::Changed { run, target: target.clone(), difference }.into());
        }
        if on_change == OnChange::Refuse
            && let Some(difference) = version::difference(&info.version, &version::of(&self.engine))
        {
            return Err(RunLogError::Changed { run, target: target.clone(), difference }.into());
        }
        Ok(turn_of(journal).await?)
    }

    /// From here on everything is written to `journal`.
    pub(crate) fn keep(&mut self, journal: &Journal, own: bool, id: atomr_agents_core::RunId, turn: u32) {
        let path = self.engine.options.name.as_str().into();
        let log = Log { source: Source::Journal(journal.clone()), step: u64::from(turn), path, top: true, own };
        self.ctx.run = id;
        self.key = id;
        self.transcript.lock().run = id;
        self.ctx = log.enter(self.ctx.clone().with(Halt::default()));
        if let Some(events) = &self.events {
            events.go_on_from(journal.next_seq());
        }
        if let Some(slot) = &self.recorder {
            let _ = slot.set(journal.clone());
        }
        self.log = Some(log);
    }

    /// Makes a machine that begins with this.
    pub(crate) fn set_turn(&mut self, turn: Turn) -> Result<(), AgentError> {
        let Turn { history, input } = turn;
        let mut state = self.transcript.lock();
        state.machine = Machine::new(history.clone(), input.clone(), self.engine.options.max_iterations);
        drop(state);
        self.turn = TurnInput { input, history };
        Ok(())
    }

    /// Writes that the turn begins, with what it begins with.
    pub(crate) async fn begin_turn(&self, turn: &TurnInput) -> Result<(), AgentError> {
        let Some(log) = self.log.as_ref().filter(|log| log.top && !self.again) else { return Ok(()) };
        let Some(journal) = log.journal() else { return Ok(()) };
        journal.forget_before(log.step);
        if log.step <= 1 && !turn.history.is_empty() {
            journal.stage(Item::Checkpoint(transcript(journal, 0, true, &turn.history)?));
        }
        if let Some(session) = &self.session {
            session.stage_begin(log.step)?;
        }
        Ok(match &turn.input[..] {
            // The same bytes as in the transcript, which stores them under the same name.
            [message] => journal.begin_turn_as(self.ctx.run, message).await,
            several => journal.begin_turn_as(self.ctx.run, several).await,
        }?)
    }
}

/// A checkpoint of the transcript: the whole of it, or what is new.
pub(crate) fn transcript(
    journal: &Journal,
    step: u64,
    base: bool,
    messages: &[Message],
) -> Result<atomr_agents_state::Checkpoint, RunLogError> {
    let bodies = messages.iter().map(|message| journal.body(message)).collect::<Result<Vec<Body>, _>>()?;
    let delta = if base { StoredDelta::List(bodies) } else { StoredDelta::Append(bodies) };
    let source = if step == 0 { "input" } else { "turn" };
    Ok(atomr_agents_state::Checkpoint {
        step,
        base,
        source: source.to_owned(),
        channels: [(MESSAGES.to_owned(), delta)].into(),
        ..atomr_agents_state::Checkpoint::default()
    })
}

/// What the last turn of a log began with.
async fn turn_of(journal: &Journal) -> Result<Turn, RunLogError> {
    let (history, input) = began_with(journal.run(), journal.frames())?;
    let history: Vec<Message> = journal.values(&history.iter().collect::<Vec<_>>()).await?;
    let input = journal.values::<OneOrMore>(&[&input]).await?.pop().map(OneOrMore::all).unwrap_or_default();
    Ok(Turn { history, input })
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    One(Message),
    More(Vec<Message>),
}

impl OneOrMore {
    pub(crate) fn all(self) -> Vec<Message> {
        match self {
            Self::One(message) => vec![message],
            Self::More(messages) => messages,
        }
    }
}

/// The transcript before the last turn in these frames, and what that turn began with.
fn began_with(run: &str, frames: &[Placed]) -> Result<(Vec<Body>, Body), RunLogError> {
    let last = turns(run, frames)?.pop().map(|(_, history, input)| (history, input));
    last.ok_or_else(|| RunLogError::Corrupt { run: run.to_owned(), at: 0, message: "there is no turn in it".into() })
}

/// Each turn in these frames: its count, the transcript before it, and what it began with.
pub(crate) fn turns(run: &str, frames: &[Placed]) -> Result<Vec<(u64, Vec<Body>, Body)>, RunLogError> {
    let (mut state, mut found) = (StoredState::default(), Vec::new());
    for placed in frames {
        for item in &placed.frame.items {
            match item {
                Item::Checkpoint(checkpoint) => {
                    let applied = state.apply(checkpoint, placed.frame.time_ms);
                    let corrupt = |message| RunLogError::Corrupt { run: run.to_owned(), at: placed.at, message };
                    applied.map_err(corrupt)?;
                }
                Item::Begin(begin) => {
                    let history = match state.channels.get(MESSAGES) {
                        Some(StoredChannel::List(bodies)) => bodies.clone(),
                        _ => Vec::new(),
                    };
                    found.push((u64::from(begin.turn), history, begin.input.clone()));
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The run that is kept and that this context is a part of.
pub(crate) fn scope_of(ctx: &CallCtx) -> Option<Arc<JournalScope>> {
    ctx.get::<JournalScope>()
}
