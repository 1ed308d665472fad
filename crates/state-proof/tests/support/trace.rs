//! What is known of a run over all its lives, and what must hold of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_agent::{Found, resolve};
use atomr_agents_core::EffectClass;
use atomr_agents_state::{EffectKey, Item, Journal, JournalOptions, Placed, RunReader, RunStatus};
use atomr_agents_state_proof::{Ledger, PARALLEL, Task, Work};
use serde_json::json;

use super::{Home, Life, Moment, Told};

/// A run over all its lives.
pub(crate) struct Trace<'a> {
    home: &'a Home,
    pub(crate) task: Task,
    /// The last step that a caller was told is done.
    acked: u64,
    lives: u64,
    pub(crate) kills: u64,
    pub(crate) unknowns: u64,
    pub(crate) repeated: u64,
    pub(crate) resumes: Vec<Duration>,
    pub(crate) done: bool,
}

impl<'a> Trace<'a> {
    pub(crate) fn of(home: &'a Home, task: Task) -> Self {
        let (acked, lives, kills, unknowns, repeated) = (0, 0, 0, 0, 0);
        Self { home, task, acked, lives, kills, unknowns, repeated, resumes: Vec::new(), done: false }
    }

    /// The frames of the run, once it has any. Reading checks the chain over all of them.
    pub(crate) async fn frames(&self) -> Vec<Placed> {
        match RunReader::open(Arc::clone(&self.home.store), &self.task.run).await {
            Ok(reader) => reader.frames().await.unwrap(),
            Err(_) => Vec::new(),
        }
    }

    /// One more life, killed at that moment if it is still there.
    pub(crate) async fn live(&mut self, moment: Option<Moment>) -> Told {
        let (before, open) = (self.attempts(), self.open().await);
        let life = Life::begin(&self.task);
        let told = match moment {
            Some(moment) => life.end_at(moment).await,
            None => life.end().await,
        };
        self.lives += 1;
        self.kills += u64::from(told.killed);
        self.done = told.done;
        if self.lives > 1 {
            self.resumes.extend(told.began);
        }
        self.look(&told, &before, &open).await;
        told
    }

    async fn look(&mut self, told: &Told, before: &HashMap<String, u64>, open: &[EffectKey]) {
        // Nothing that was acknowledged is done again.
        assert!(told.acks.iter().all(|step| *step >= self.acked), "{} was acknowledged: {told:?}", self.acked);
        assert!(told.acks.is_sorted(), "{told:?}");
        self.acked = told.acks.last().copied().unwrap_or(self.acked);
        let after = self.attempts();
        let again = after.iter().filter(|(key, count)| before.get(*key).is_some_and(|had| had < count)).count();
        let most = if matches!(self.task.work, Work::Graph { .. }) { 1 } else { PARALLEL - 1 };
        assert!(again <= most, "{again} effects were attempted again after one kill");
        self.repeated += again as u64;
        // Of an effect that must not happen twice and whose outcome nobody knows the next life says so, and goes no further.
        if told.unknown.is_some() {
            assert!(open.contains(told.unknown.as_ref().unwrap()), "{told:?} of {open:?}");
            self.unknowns += 1;
            self.find_out(told.unknown.clone().unwrap()).await;
        } else if !open.is_empty() {
            // The siblings of a tool may be called again before that is said; a graph has one effect at a time.
            let passed = matches!(self.task.work, Work::Graph { .. }) && told.began.is_some();
            assert!(told.killed && !told.done && !passed, "{open:?} was passed over: {told:?}");
        }
    }

    /// The effects that must not happen twice, were begun, and have no outcome.
    async fn open(&self) -> Vec<EffectKey> {
        let mut open = Vec::new();
        for item in self.frames().await.iter().flat_map(|placed| &placed.frame.items) {
            match item {
                Item::Intent(intent) if intent.effect == EffectClass::Once => open.push(intent.key.clone()),
                Item::Outcome(outcome) => open.retain(|key| *key != outcome.key),
                _ => {}
            }
        }
        open
    }

    /// A person looks whether it happened, and says so.
    async fn find_out(&self, key: EffectKey) {
        let graph = matches!(self.task.work, Work::Graph { .. });
        let idempotency = key.idempotency(&self.task.run, if graph { "" } else { "0.0.0" });
        let happened = self.attempts().contains_key(&idempotency);
        let (store, run) = (Arc::clone(&self.home.store), &self.task.run);
        match happened {
            false => resolve(&store, run, &key, Found::DidNotHappen).await.unwrap(),
            true if graph => {
                let journal = Journal::resume(store, run, JournalOptions::default()).await.unwrap();
                journal.status(RunStatus::Paused);
                journal.record(key, &idempotency).await.unwrap();
                journal.release().await.unwrap();
            }
            true => resolve(&store, run, &key, Found::Happened(json!(idempotency))).await.unwrap(),
        }
    }

    /// How often each effect of this run was attempted.
    fn attempts(&self) -> HashMap<String, u64> {
        let mut attempts = HashMap::new();
        for done in Ledger::read(&self.home.ledger).unwrap() {
            *attempts.entry(done.key).or_default() += 1;
        }
        attempts
    }

    /// What must hold of a run that has ended.
    pub(crate) async fn check(&self) {
        assert!(self.done);
        let frames = self.frames().await;
        let mut steps = Vec::new();
        let (mut intents, mut outcomes) = (HashSet::new(), HashSet::new());
        for (at, placed) in frames.iter().enumerate() {
            assert_eq!(placed.at, at as u64, "no gap and no duplicate");
            for item in &placed.frame.items {
                match item {
                    Item::Checkpoint(checkpoint) => steps.push(checkpoint.step),
                    Item::Intent(intent) => _ = intents.insert(intent.key.clone()),
                    Item::Outcome(outcome) => _ = outcomes.insert(outcome.key.clone()),
                    _ => {}
                }
            }
        }
        assert!(frames.is_sorted_by_key(|placed| placed.frame.epoch), "epochs never go back");
        assert!(intents.is_subset(&outcomes), "{:?}", intents.difference(&outcomes).collect::<Vec<_>>());
        if let Work::Graph { steps: wanted, .. } = self.task.work {
            assert_eq!(steps, (0..=wanted).collect::<Vec<_>>(), "each step once, in order");
        }
        let mut once = HashSet::new();
        for done in Ledger::read(&self.home.ledger).unwrap() {
            assert!(done.class != EffectClass::Once || once.insert(done.key.clone()), "{done:?} happened twice");
        }
    }
}
