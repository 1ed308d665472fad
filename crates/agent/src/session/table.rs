//! Sessions without a store: what is remembered of them between two turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomr_agents_core::Message;
use atomr_agents_state::{MemoryStore, RunLogError, Store};

use crate::AgentError;

/// A session that nobody is at.
enum Idle {
    /// Its transcript as JSON: a tenth of what the messages take when they are unpacked.
    Packed(Box<[u8]>),
    /// Its log, while its last turn has not ended.
    Open(Arc<dyn Store>),
}

struct Slot {
    used: u64,
    idle: Idle,
}

#[derive(Default)]
struct Slots {
    clock: u64,
    all: HashMap<Box<str>, Slot>,
}

/// The sessions of one process, the ones used last.
pub(crate) struct Table {
    slots: Mutex<Slots>,
    limit: usize,
}

/// What is remembered of a session.
pub(crate) enum Remembered {
    Nothing,
    Transcript(Vec<Message>),
    Log(Arc<dyn Store>),
}

impl Table {
    pub(crate) fn new(limit: usize) -> Self {
        Self { slots: Mutex::default(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of a session.
    pub(crate) fn look(&self, name: &str) -> Result<Remembered, AgentError> {
        let slots = self.lock();
        Ok(match slots.all.get(name).map(|slot| &slot.idle) {
            None => Remembered::Nothing,
            Some(Idle::Open(store)) => Remembered::Log(Arc::clone(store)),
            Some(Idle::Packed(bytes)) => {
                Remembered::Transcript(serde_json::from_slice(bytes).map_err(|error| RunLogError::Corrupt {
                    run: name.to_owned(),
                    at: 0,
                    message: error.to_string(),
                })?)
            }
        })
    }

    /// Remembers a transcript.
    pub(crate) fn pack(&self, name: &str, messages: &[Message]) -> Result<(), AgentError> {
        let bytes = serde_json::to_vec(messages);
        let bytes = bytes.map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
        self.put(name, Idle::Packed(bytes.into_boxed_slice()));
        Ok(())
    }

    /// Remembers a log.
    pub(crate) fn keep(&self, name: &str, store: Arc<dyn Store>) {
        self.put(name, Idle::Open(store));
    }

    /// A fresh store for one session that somebody is at.
    pub(crate) fn fresh() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }

    fn put(&self, name: &str, idle: Idle) {
        let mut slots = self.lock();
        slots.clock += 1;
        let used = slots.clock;
        slots.all.insert(name.into(), Slot { used, idle });
        // A sixteenth at once, so that it is not looked through for every session.
        if slots.all.len() > self.limit {
            let mut ages: Vec<u64> = slots.all.values().map(|slot| slot.used).collect();
            let keep = self.limit - self.limit / 16;
            let surplus = ages.len() - keep.max(1);
            let (_, oldest, _) = ages.select_nth_unstable(surplus.saturating_sub(1));
            let oldest = *oldest;
            slots.all.retain(|_, slot| slot.used > oldest);
        }
    }

    pub(crate) fn forget(&self, name: &str) {
        self.lock().all.remove(name);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().all.keys().map(ToString::to_string).collect()
    }
}
