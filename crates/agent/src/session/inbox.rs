//! The inputs that wait for their turn.
//!
//! A log `inbox/<session>` has those that wait, the oldest first; a record of each input says what became of it. The commit
//! of the session's own log that begins a turn with an input (or lets it join one) also cuts it off the inbox and writes in
//! its record which turn that is: so it is taken once, whoever takes it.

use std::sync::Arc;

use atomr_agents_core::Message;
use atomr_agents_state::{
    Batch, Change, Expect, Journal, Key, RunLogError, Store, StoreError, inbox_log, inbox_record,
};
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::AgentError;

/// How many entries are read for each input that may wait: those that were taken back stay until a turn begins.
const ENTRIES: usize = 8;

/// How often an input is put into an inbox that others write at the same time.
const TRIES: usize = 64;

/// An input that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    /// Names it: an input is taken once, however often it is sent.
    pub(crate) id: String,
    pub(crate) policy: Policy,
    pub(crate) messages: Vec<Message>,
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Waiting,
    /// It began this turn, or joined it.
    Turn(u32),
    TakenBack,
}

/// An input and where it stands in the inbox.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) at: u64,
    pub(crate) input: Input,
    pub(crate) fate: Fate,
}

#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    store: Arc<dyn Store>,
    session: String,
    log: Key,
    limit: usize,
}

impl Inbox {
    pub(crate) fn new(store: Arc<dyn Store>, session: &str, limit: usize) -> Result<Self, AgentError> {
        let log = inbox_log(session).map_err(RunLogError::from)?;
        Ok(Self { store, session: session.to_owned(), log, limit })
    }

    fn record(&self, id: &str) -> Result<Key, StoreError> {
        inbox_record(&self.session, id)
    }

    /// Puts an input in. When this returns it outlives the process. Gives what became of it if it was sent before; one that was
    /// taken back is put in anew.
    pub(crate) async fn put(&self, input: &Input) -> Result<Fate, AgentError> {
        let record = self.record(&input.id).map_err(RunLogError::from)?;
        let body = encode(input)?;
        for _ in 0..TRIES {
            let before = self.store.get(&record).await.map_err(RunLogError::from)?;
            let expect = match before {
                None => Expect::Absent,
                Some(stored) => match self.decode(&stored.value)? {
                    Fate::TakenBack => Expect::Version(stored.version),
                    fate => return Ok(fate),
                },
            };
            let end = self.store.end(&self.log).await.map_err(RunLogError::from)?;
            let front = self.front().await?;
            let waiting = front.iter().filter(|entry| entry.fate == Fate::Waiting).count();
            if waiting >= self.limit || front.len() >= self.entries() {
                return Err(AgentError::Overloaded { queue: "inbox of the session", limit: self.limit });
            }
            let batch = Batch::new().put(&record, encode(&Fate::Waiting)?, expect).append(
                &self.log,
                Some(end),
                bytes::Bytes::from(body.clone()),
            );
            match self.store.commit(batch).await {
                Ok(()) => return Ok(Fate::Waiting),
                // Somebody else put one in, or sent the same.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(RunLogError::from(error).into()),
            }
        }
        Err(AgentError::Overloaded { queue: "inbox of the session", limit: self.limit })
    }

    /// What became of an input; `None` if it never arrived.
    pub(crate) async fn fate(&self, id: &str) -> Result<Option<Fate>, AgentError> {
        let record = self.record(id).map_err(RunLogError::from)?;
        let stored = self.store.get(&record).await.map_err(RunLogError::from)?;
        stored.map(|stored| self.decode(&stored.value)).transpose()
    }

    fn entries(&self) -> usize {
        self.limit.saturating_mul(ENTRIES)
    }

    /// The inputs that wait, the oldest first.
    pub(crate) async fn waiting(&self) -> Result<Vec<Input>, AgentError> {
        let front = self.front().await?.into_iter();
        Ok(front.filter(|entry| entry.fate == Fate::Waiting).map(|entry| entry.input).collect())
    }

    /// What is in the log, the oldest first.
    pub(crate) async fn front(&self) -> Result<Vec<Placed>, AgentError> {
        let entries = self.store.read(&self.log, 0, self.entries()).await.map_err(RunLogError::from)?;
        let mut front = Vec::with_capacity(entries.len());
        for entry in entries {
            let input: Input = self.decode(&entry.body)?;
            // A record that is gone was swept with its session.
            let fate = self.fate(&input.id).await?.unwrap_or(Fate::TakenBack);
            // One that was taken back and sent again stands where it was sent last.
            front.iter_mut().filter(|before: &&mut Placed| before.input.id == input.id).for_each(|before| {
                before.fate = Fate::TakenBack;
            });
            front.push(Placed { at: entry.at, input, fate });
        }
        Ok(front)
    }

    /// Takes an input back that waits. False if it was taken meanwhile.
    pub(crate) async fn take_back(&self, id: &str) -> Result<bool, AgentError> {
        let record = self.record(id).map_err(RunLogError::from)?;
        let Some(stored) = self.store.get(&record).await.map_err(RunLogError::from)? else { return Ok(true) };
        if self.decode::<Fate>(&stored.value)? != Fate::Waiting {
            return Ok(false);
        }
        let batch = Batch::new().put(&record, encode(&Fate::TakenBack)?, Expect::Version(stored.version));
        match self.store.commit(batch).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(RunLogError::from(error).into()),
        }
    }

    /// Makes it part of the journal's next commit that this input is in turn `turn`.
    pub(crate) fn stage_taken(&self, journal: &Journal, id: &str, turn: u32) -> Result<(), AgentError> {
        let key = self.record(id).map_err(RunLogError::from)?;
        let value = bytes::Bytes::from(encode(&Fate::Turn(turn))?);
        journal.stage_other(Change::Put { key, value, refs: Vec::new(), due_ms: None, expect: Expect::Any });
        Ok(())
    }

    /// Makes it part of the journal's next commit that everything up to position `at` is out of the inbox.
    pub(crate) fn stage_cut(&self, journal: &Journal, at: u64) {
        journal.stage_other(Change::Cut { stream: self.log.clone(), before: at + 1 });
    }

    fn decode<T: serde::de::DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, AgentError> {
        serde_json::from_slice(bytes).map_err(|error| {
            let subject = format!("the inbox of session {:?}", self.session);
            RunLogError::from(StoreError::Corrupt { subject, message: error.to_string() }).into()
        })
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, AgentError> {
    serde_json::to_vec(value).map_err(|error| RunLogError::NotJson { message: error.to_string() }.into())
}
