//! What is known of a run over all its lives, and what must hold of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_agent::{Found, resolve};
use atomr_agents_core::EffectClass;
use atomr_agents_state::{EffectKey, Item, Outcome, Placed, RunReader, RunStatus, verify_run};
use atomr_agents_state_proof::{Ledger, PARALLEL, Task, Work};
use serde_json::json;

use super::{Home, Life, Moment, Told};

/// A run over all its lives.
pub(crate) struct Trace<'a> {
    home: &'a Home,
    pub(crate) task: Task,
    /// What its log says, as far as it was read.
    known: Known,
    /// The last step that a caller was told is done.
    acked: u64,
    /// The effects of which a caller was told that they are done.
    told: HashSet<String>,
    pub(crate) lives: u64,
    pub(crate) kills: u64,
    pub(crate) unknowns: u64,
    /// How often an effect was attempted that had been attempted before.
    pub(crate) repeated: u64,
    /// From a process having been loaded to its first new effect, in each life but the first.
    pub(crate) resumes: Vec<Duration>,
    /// Whether the last life stopped at an effect of which nobody knew, and before it the one before.
    found_out: (bool, bool),
    pub(crate) done: bool,
}

/// What the log of a run says.
#[derive(Default)]
struct Known {
    frames: usize,
    /// Commits in which there was something that had not been there before.
    news: u64,
    epoch: u64,
    begun: bool,
    intents: HashMap<EffectKey, EffectClass>,
    outcomes: HashSet<EffectKey>,
    /// The idempotency keys of effects that are recorded as done.
    done: HashSet<String>,
    /// Effects that must not happen twice, were begun, and have no outcome.
    open: Vec<EffectKey>,
    steps: Vec<u64>,
    ended: bool,
}

impl Known {
    /// Takes in a commit. Whatever it says, the history must be one line.
    fn add(&mut self, task: &Task, placed: &Placed) {
        assert_eq!(placed.at, self.frames as u64, "a gap, or a position twice");
        assert!(placed.frame.epoch >= self.epoch, "the epoch goes back at {}", placed.at);
        (self.frames, self.epoch) = (self.frames + 1, placed.frame.epoch);
        let mut news = false;
        for item in &placed.frame.items {
            match item {
                Item::Begin(_) => {
                    assert!(!self.begun, "it was begun twice");
                    (self.begun, news) = (true, true);
                }
                Item::Intent(intent) => {
                    news |= self.intents.insert(intent.key.clone(), intent.effect).is_none();
                    if intent.effect == EffectClass::Once && !self.open.contains(&intent.key) {
                        self.open.push(intent.key.clone());
                    }
                }
                Item::Outcome(outcome) => {
                    self.outcome(task, outcome);
                    news = true;
                }
                Item::Checkpoint(checkpoint) => {
                    self.steps.push(checkpoint.step);
                    news = true;
                }
                Item::End(end) => {
                    self.ended = end.status == RunStatus::Finished;
                    news |= self.ended;
                }
                Item::Event(_) => {}
            }
        }
        self.news += u64::from(news);
    }

    fn outcome(&mut self, task: &Task, outcome: &Outcome) {
        self.open.retain(|key| *key != outcome.key);
        // One without a body says that it did not happen; then it is made under another key.
        if !outcome.bodies.is_empty() || outcome.error.is_some() {
            self.done.insert(idempotency(task, &outcome.key));
        }
        self.outcomes.insert(outcome.key.clone());
    }
}

/// The key that an effect hands on: that of its first attempt.
fn idempotency(task: &Task, key: &EffectKey) -> String {
    match task.work {
        Work::Graph { .. } => key.idempotency(&task.run, ""),
        Work::Agent { .. } => {
            let path = key.path.split_once('+').map_or(key.path.as_str(), |(path, _)| path);
            EffectKey::new(key.step, path, key.index).idempotency(&task.run, "0.0.0")
        }
    }
}

impl<'a> Trace<'a> {
    pub(crate) fn of(home: &'a Home, task: Task) -> Self {
        Self {
            home,
            task,
            known: Known::default(),
            acked: 0,
            told: HashSet::new(),
            lives: 0,
            kills: 0,
            unknowns: 0,
            repeated: 0,
            resumes: Vec::new(),
            found_out: (false, false),
            done: false,
        }
    }

    fn is_graph(&self) -> bool {
        matches!(self.task.work, Work::Graph { .. })
    }

    /// How many commits brought the run on.
    pub(crate) fn news(&self) -> u64 {
        self.known.news
    }

    /// Whether the life before the last one stopped at an effect of which nobody knew.
    pub(crate) fn found_out_before(&self) -> bool {
        self.found_out.0
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.known.begun
    }

    /// Reads what is new in the log. Reading checks the chain over all of it.
    pub(crate) async fn read(&mut self) {
        let Ok(reader) = RunReader::open(Arc::clone(self.home.store().await), &self.task.run).await else {
            assert_eq!(self.known.frames, 0, "the run is gone");
            return;
        };
        let frames = reader.frames().await.unwrap();
        assert!(frames.len() >= self.known.frames, "commits are lost");
        for placed in &frames[self.known.frames..] {
            self.known.add(&self.task, placed);
        }
    }

    /// One more life, killed at that moment if it is still there.
    pub(crate) async fn live(&mut self, moment: Option<Moment>) -> Told {
        let told = self.live_in(&[], moment).await;
        assert!(told.failed.is_none(), "a life failed: {told:?}");
        told
    }

    /// The same with these variables in its environment; it may fail.
    pub(crate) async fn live_in(&mut self, variables: &[(&'static str, String)], moment: Option<Moment>) -> Told {
        let before = self.attempts();
        let name = format!("{}-{}", self.task.run, self.lives);
        let task = Task { place: self.home.named(&name), ..self.task.clone() };
        let life = Life::begin_in(&task, variables);
        let told = match moment {
            Some(moment) => life.end_at(moment).await,
            None => life.end().await,
        };
        self.home.settled(&name).await;
        self.lives += 1;
        self.kills += u64::from(told.killed);
        self.done = told.done;
        if self.lives > 1 {
            self.resumes.extend(told.began);
        }
        self.found_out = (self.found_out.1, told.unknown.is_some());
        self.look(&told, &before);
        self.read().await;
        self.acknowledged(&told);
        if let Some(key) = &told.unknown {
            self.find_out(key.clone()).await;
            self.read().await;
        }
        told
    }

    /// What a life did, beside what was known before it.
    fn look(&mut self, told: &Told, before: &HashMap<String, u64>) {
        let after = self.attempts();
        let again: Vec<&String> =
            after.keys().filter(|key| before.get(*key).is_some_and(|had| after[*key] > *had)).collect();
        // Nothing is done again that is recorded, or that somebody was told is done.
        for key in &again {
            assert!(!self.known.done.contains(*key), "{key} was recorded, and is attempted again");
            assert!(!self.told.contains(*key), "{key} was told, and is attempted again");
        }
        let most = if self.is_graph() { 1 } else { PARALLEL - 1 };
        assert!(again.len() <= most, "{} effects were attempted again after one kill", again.len());
        self.repeated += again.len() as u64;
        assert!(
            told.acks.is_sorted() && told.acks.iter().all(|step| *step >= self.acked),
            "{} again: {told:?}",
            self.acked
        );
        // Of an effect that must not happen twice and whose outcome nobody knows the next life says so, and goes no further.
        let open = &self.known.open;
        match &told.unknown {
            Some(key) => {
                assert!(open.contains(key), "{told:?} of {open:?}");
                assert!(!told.done);
                self.unknowns += 1;
            }
            None if open.is_empty() => {}
            // The siblings of a tool may be called again before that is said; a graph has one effect at a time.
            None => {
                let passed = self.is_graph() && told.began.is_some();
                assert!(
                    (told.killed || told.failed.is_some()) && !told.done && !passed,
                    "{open:?} was passed over: {told:?}"
                );
            }
        }
    }

    /// What the caller of a life was told is there.
    fn acknowledged(&mut self, told: &Told) {
        self.acked = told.acks.last().copied().unwrap_or(self.acked);
        if self.is_graph() {
            let last = self.known.steps.last().copied().unwrap_or(0);
            assert!(self.acked <= last, "step {} was acknowledged, {last} is the last that is kept", self.acked);
        }
        for key in &told.told {
            assert!(self.known.done.contains(key), "{key} was told and is not recorded");
        }
        self.told.extend(told.told.iter().cloned());
        assert!(!told.done || self.known.ended, "it was told that it ended, and that is not recorded");
    }

    /// A person looks whether it happened, and says so.
    async fn find_out(&self, key: EffectKey) {
        let idempotency = idempotency(&self.task, &key);
        let happened = self.attempts().contains_key(&idempotency);
        let found = if happened { Found::Happened(json!(idempotency)) } else { Found::DidNotHappen };
        resolve(self.home.store().await, &self.task.run, &key, found).await.unwrap();
    }

    /// How often each effect of this run was attempted.
    fn attempts(&self) -> HashMap<String, u64> {
        let mut attempts = HashMap::new();
        for done in Ledger::read(&self.task.ledger).unwrap() {
            *attempts.entry(done.key).or_default() += 1;
        }
        attempts
    }

    /// What must hold of a run that has ended.
    pub(crate) async fn check(&mut self) {
        assert!(self.done);
        self.read().await;
        let Known { intents, outcomes, steps, ended, .. } = &self.known;
        assert!(ended);
        let open: Vec<_> = intents.keys().filter(|key| !outcomes.contains(*key)).collect();
        assert!(open.is_empty(), "{open:?} were begun and have no outcome");
        let wanted = match self.task.work {
            Work::Graph { steps: wanted, .. } => {
                assert_eq!(*steps, (0..=wanted).collect::<Vec<_>>(), "each step once, in order");
                usize::try_from(wanted).unwrap()
            }
            Work::Agent { rounds } => rounds * PARALLEL,
        };
        // Whoever knows the keys saw each effect once, whatever was attempted; what must not happen twice was not.
        let mut keys: HashMap<String, u64> = HashMap::new();
        for done in Ledger::read(&self.task.ledger).unwrap() {
            let times = keys.entry(done.key.clone()).or_default();
            *times += 1;
            assert!(done.class != EffectClass::Once || *times == 1, "{done:?} happened twice");
            assert!(self.known.done.contains(&done.key), "{done:?} is not recorded");
        }
        assert_eq!(keys.len(), wanted, "each effect happened");
        let verified = verify_run(self.home.store().await, &self.task.run).await.unwrap();
        assert!(verified.is_whole() && verified.open.is_empty(), "{verified:?}");
    }
}
