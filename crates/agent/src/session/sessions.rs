//! The sessions of an agent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use atomr_agents_core::Message;
use atomr_agents_state::{Journal, JournalOptions, RunLogError, Store};

use super::inbox::Inbox;
use super::seat::{Busy, Everybody, Seat};
use super::table::{Remembered, Table};
use super::{Session, SessionOptions};
use crate::{AgentError, BoxedAgent, Durable, OnChange, RunError, RunResult};

/// Where sessions are between two turns.
enum Place {
    Store(Box<Durable>),
    Memory(Table),
}

/// What all sessions of an agent share.
pub(crate) struct Shared {
    pub(crate) options: SessionOptions,
    pub(crate) everybody: Arc<Everybody>,
    place: Place,
}

impl Shared {
    /// The session of this name, as this process is at it.
    pub(crate) fn busy(&self, name: &str) -> Result<Arc<Busy>, AgentError> {
        self.everybody.at(name, || {
            Ok(match &self.place {
                Place::Store(durable) => Arc::clone(&durable.store),
                Place::Memory(table) => match table.look(name)? {
                    Remembered::Log(store) => store,
                    _ => Table::fresh(),
                },
            })
        })
    }

    pub(crate) fn store(&self, name: &str) -> Result<Arc<dyn Store>, AgentError> {
        match &self.place {
            Place::Store(durable) => Ok(Arc::clone(&durable.store)),
            Place::Memory(_) => Ok(Arc::clone(&self.busy(name)?.store)),
        }
    }

    /// Whether other processes may be at the same sessions.
    pub(crate) fn others(&self) -> bool {
        matches!(self.place, Place::Store(_))
    }

    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.place {
            Place::Store(_) => None,
            Place::Memory(table) => Some(table),
        }
    }

    pub(crate) fn inbox(&self, name: &str) -> Result<Inbox, AgentError> {
        Inbox::new(self.store(name)?, name, self.options.queue)
    }

    pub(crate) fn journal_options(&self) -> JournalOptions {
        let options = match &self.place {
            Place::Store(durable) => durable.journal_options(),
            Place::Memory(_) => JournalOptions::default(),
        };
        JournalOptions { lease: self.options.lease, ..options }
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        match &self.place {
            Place::Store(durable) => durable.labels.clone(),
            Place::Memory(_) => BTreeMap::new(),
        }
    }

    pub(crate) fn on_change(&self) -> OnChange {
        match &self.place {
            Place::Store(durable) => durable.on_change,
            Place::Memory(_) => OnChange::Accept,
        }
    }

    /// The transcript of a session whose log says `history`.
    pub(crate) fn remembered(
        &self,
        name: &str,
        journal: &Journal,
        history: Vec<Message>,
    ) -> Result<Vec<Message>, AgentError> {
        match &self.place {
            Place::Memory(table) if journal.info().turns == 0 => Ok(match table.look(name)? {
                Remembered::Transcript(messages) => messages,
                _ => history,
            }),
            _ => Ok(history),
        }
    }

    /// A turn ended: a session without a store is packed, unless it goes on.
    pub(crate) async fn remember(&self, name: &str, seat: &Seat, inbox: &Inbox, result: &Result<RunResult, RunError>) {
        let Place::Memory(table) = &self.place else { return };
        let said = match result {
            Ok(result) if result.pending.is_none() => Some(&result.messages),
            Err(error) if !matches!(error.error, AgentError::Log(_)) => Some(&error.partial.messages),
            _ => None,
        };
        let waits = !inbox.waiting().await.unwrap_or_default().is_empty();
        seat.busy.posted.fetch_and(waits, Ordering::Relaxed);
        match said {
            Some(messages) if !seat.lent && !seat.wanted() && !waits && table.pack(name, messages).is_ok() => {}
            _ => table.keep(name, Arc::clone(&seat.busy.store)),
        }
    }
}

/// The conversations of an agent, each under its name. One turn of a session runs at a time, whoever sends what from
/// wherever; between two turns nobody holds it.
///
/// With a store (that of the agent, [`crate::AgentOptions::durable`]) sessions outlive the process and may be served by many;
/// without one they are remembered by this value, [`SessionOptions::remembered`] of them.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_agent::{AgentBuilder, SessionOptions, Sessions};
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_testkit::ScriptedModel;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = Arc::new(ScriptedModel::new().text("Rain.").text("Wind."));
/// let agent = AgentBuilder::new(model, "scripted").build()?;
/// let sessions = Sessions::new(agent, SessionOptions::default())?;
/// let session = sessions.session("u1")?;
/// session.send("Oslo?", CallCtx::new()).await?;
/// let result = session.send("And Bergen?", CallCtx::new()).await?;
/// assert_eq!((result.output.as_str(), result.messages.len()), ("Wind.", 4));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(super) agent: BoxedAgent,
    pub(super) shared: Arc<Shared>,
}

impl Sessions {
    /// The sessions of this agent, in its store if it has one.
    ///
    /// # Errors
    /// [`AgentError::Config`] for a setting that makes no sense.
    pub fn new(agent: impl Into<BoxedAgent>, options: SessionOptions) -> Result<Self, AgentError> {
        options.check()?;
        let agent = agent.into();
        let place = match &agent.engine.options.durable {
            Some(durable) => Place::Store(Box::new(durable.clone())),
            None => Place::Memory(Table::new(options.remembered)),
        };
        Ok(Self { agent, shared: Arc::new(Shared { options, everybody: Arc::default(), place }) })
    }

    /// The session of this name. Nothing is written before its first turn.
    ///
    /// # Errors
    /// [`AgentError::Log`] for a name that cannot be one.
    pub fn session(&self, name: &str) -> Result<Session, AgentError> {
        atomr_agents_state::Key::new("run", name).map_err(RunLogError::from)?;
        Ok(Session::new(self.agent.clone(), Arc::clone(&self.shared), name))
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &BoxedAgent {
        &self.agent
    }

    /// The names of the sessions that are remembered without a store; none with one: its runs are listed with
    /// [`atomr_agents_state::list_runs`].
    #[must_use]
    pub fn remembered(&self) -> Vec<String> {
        self.shared.table().map(Table::names).unwrap_or_default()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("agent", &self.agent.name()).field("kept", &self.shared.others()).finish()
    }
}
