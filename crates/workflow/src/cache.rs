//! Answers of steps that are kept for equal inputs.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atomr_agents_core::Value;
use atomr_agents_state::StateView;
use tokio::time::Instant;

use crate::Update;

/// What makes two inputs of a step equal; `None` for one whose answer is not kept.
pub type CacheKey = Arc<dyn Fn(&StateView, Option<&Value>) -> Option<String> + Send + Sync>;

/// How long the answers of a step are kept. They are kept in the memory of the runner, for all of its runs.
#[derive(Clone, Default)]
pub struct CachePolicy {
    /// How long an answer is good. `None` for as long as there is room.
    pub ttl: Option<Duration>,
    /// What makes two inputs equal. `None` for every byte: of what the step was sent, or of the whole state.
    pub key: Option<CacheKey>,
}

impl fmt::Debug for CachePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachePolicy").field("ttl", &self.ttl).field("own_key", &self.key.is_some()).finish()
    }
}

impl CachePolicy {
    /// The key of an input of a step.
    pub(crate) fn key_of(&self, place: usize, state: &StateView, input: Option<&Value>) -> Option<Key> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(place as u64).to_le_bytes());
        match (&self.key, input) {
            (Some(key), input) => hasher.update(key(state, input)?.as_bytes()),
            (None, Some(input)) => hasher.update(serde_json::to_string(input).ok()?.as_bytes()),
            (None, None) => hasher.update(serde_json::to_string(state).ok()?.as_bytes()),
        };
        Some(*hasher.finalize().as_bytes())
    }
}

pub(crate) type Key = [u8; 32];

/// The most answers that are kept; the oldest goes first.
const ROOM: usize = 4_096;

/// Answers that are kept.
#[derive(Debug, Default)]
pub(crate) struct NodeCache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Key, (Update, Option<Instant>)>,
    /// In the order in which they came.
    order: VecDeque<Key>,
}

impl NodeCache {
    /// The answer, if there is a good one.
    pub(crate) fn get(&self, key: &Key) -> Option<Update> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (update, until) = kept.answers.get(key)?;
        if until.is_none_or(|until| Instant::now() < until) {
            return Some(update.clone());
        }
        kept.answers.remove(key);
        kept.order.retain(|other| other != key);
        None
    }

    /// Keeps an answer.
    pub(crate) fn put(&self, key: Key, update: Update, ttl: Option<Duration>) {
        let until = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.answers.insert(key, (update, until)).is_none() {
            kept.order.push_back(key);
        }
        while kept.answers.len() > ROOM {
            let Some(oldest) = kept.order.pop_front() else { break };
            kept.answers.remove(&oldest);
        }
    }
}
