//! What a step can do besides answering.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use atomr_agents_core::{CallCtx, CancellationToken, EventKind, Kind, Value};
use atomr_agents_state::{Body, EffectClass, EffectKey, Intent, Item, JournalScope, Outcome, StoredError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::NodeError;
use crate::life::Life;
use crate::run::parts::Part;
use crate::run::shared::RunShared;

/// What a step can do besides answering: ask somebody, have effects that happen once, read the time. Cheap to clone; a
/// clone may go into another task.
///
/// Whatever it hands out is recorded under the step's path and a count of its own, and comes out the same when the step is
/// run again after a crash. So a step must ask for the same things in the same order each time, as far as what it was
/// given is the same.
#[derive(Clone)]
pub struct NodeCtx(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) run: Arc<RunShared>,
    pub(crate) call: CallCtx,
    pub(crate) life: Arc<Life>,
    /// The super-step under which it is recorded: that of the outermost graph.
    pub(crate) key_step: u64,
    /// The path under which it is recorded.
    pub(crate) path: Arc<str>,
    /// The super-step of its own graph.
    pub(crate) step: u64,
    pub(crate) node: Arc<str>,
    pub(crate) attempt: u32,
    pub(crate) counts: Mutex<Vec<(String, u32)>>,
}

/// What an effect is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EffectCall {
    /// What it hands to the service that it calls, so that a second attempt does nothing there: the same at every
    /// attempt, and another for every other effect.
    pub idempotency_key: String,
}

impl NodeCtx {
    /// The context of the call: its cancellation, its deadline, its budget, and where events go. Agents and tools that the
    /// step calls are given it, each a new one: they find this very context in it by its type, and record their own effects
    /// in the run ([`JournalScope`]).
    #[must_use]
    pub fn call_ctx(&self) -> CallCtx {
        let key = self.key("call");
        self.call_at(&format!("call.{}", key.index))
    }

    /// The context of a call that has a name of its own among those of the step.
    pub(crate) fn call_at(&self, name: &str) -> CallCtx {
        let journal = self.0.run.live().journal.clone();
        let scope = JournalScope::new(journal, self.0.key_step, &format!("{}/{name}.calls", self.0.path));
        self.0.call.clone().with(self.clone()).with(scope)
    }

    /// Cancelled when nobody waits for the step any more.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.0.call.cancel
    }

    /// The context of a step, from within what the step calls.
    #[must_use]
    pub fn of(ctx: &CallCtx) -> Option<Self> {
        ctx.get::<Self>().map(|found| (*found).clone())
    }

    /// The run's name.
    #[must_use]
    pub fn run(&self) -> String {
        self.0.run.live().journal.run().to_owned()
    }

    /// The step's name.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// Its path: the name, with a number where it was sent something, after those of the steps that its graph is in.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The super-step, counted from 1 over all turns of the run.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.0.step
    }

    /// Which attempt it is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Asks somebody, and waits for the answer. When every step that is at work has ended or waits, the run is suspended,
    /// and its caller gets the question. The answer comes back here, into this very frame, while the process lives and the
    /// frame is kept; otherwise the step is run again from its beginning, and finds the answer here at once.
    ///
    /// Several may wait at the same time, in several steps or in one; each is answered by its id.
    ///
    /// # Errors
    /// When the log of the run cannot be read.
    pub async fn interrupt(&self, value: impl Into<Value>) -> Result<Value, NodeError> {
        self.ask(self.key("interrupt"), value.into()).await
    }

    /// The same for a step that cannot wait where it stands, as it runs on a thread of its own: without a recorded answer
    /// this is the error [`NodeError::Left`], which the step must end with. It is run again when the answer is there.
    ///
    /// # Errors
    /// [`NodeError::Left`]; and when the log of the run cannot be read.
    pub async fn interrupt_or_leave(&self, value: impl Into<Value>) -> Result<Value, NodeError> {
        let key = self.key("interrupt");
        match self.recorded_answer(&key).await? {
            Some(answer) => Ok(answer),
            None => {
                self.raise(&key);
                drop(self.0.run.ask(key, Arc::clone(&self.0.path), value.into(), None));
                Err(NodeError::Left)
            }
        }
    }

    /// Asks under a name that no other question or effect of the step has.
    pub(crate) async fn interrupt_at(&self, name: &str, value: Value) -> Result<Value, NodeError> {
        self.ask(self.key_at(name, 0), value).await
    }

    pub(crate) async fn ask(&self, key: EffectKey, value: Value) -> Result<Value, NodeError> {
        if let Some(answer) = self.recorded_answer(&key).await? {
            return Ok(answer);
        }
        self.raise(&key);
        let waiting = Some(self.0.life.wait_for_answer());
        let answered = self.0.run.ask(key.clone(), Arc::clone(&self.0.path), value, waiting);
        let _unask = Unask { run: &self.0.run, key: &key };
        answered.await.map_err(|_| NodeError::Cancelled)
    }

    async fn recorded_answer(&self, key: &EffectKey) -> Result<Option<Value>, NodeError> {
        let journal = self.0.run.live().journal.clone();
        Ok(journal.result(key).await?)
    }

    fn raise(&self, key: &EffectKey) {
        let node = Arc::clone(&self.0.node);
        self.0.call.emit(EventKind::InterruptRaised { interrupt: key.to_string(), node });
    }

    /// Does something in the world, once: what it gave is recorded, and a step that is run again is given that instead.
    ///
    /// `class` says what happens if the process ends between the doing and the recording. What only looks
    /// ([`EffectClass::None`]) and what is idempotent under the key it is handed are done again; what must not happen twice
    /// ([`EffectClass::Once`]) is not: the run stops with an error of kind
    /// [`OutcomeUnknown`](atomr_agents_core::Kind::OutcomeUnknown).
    ///
    /// # Errors
    /// The error of `perform`: of an effect that must not happen twice it is recorded and comes out again, others are done
    /// again when the step is. And when the log of the run cannot be written or read.
    pub async fn effect<T, F, Fut>(&self, name: &str, class: EffectClass, perform: F) -> Result<T, NodeError>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce(EffectCall) -> Fut,
        Fut: Future<Output = Result<T, NodeError>>,
    {
        self.record_once(self.key(name), name, class, perform).await
    }

    /// The same, under a name that no other question or effect of the step has.
    pub(crate) async fn effect_at<T, F, Fut>(&self, name: &str, class: EffectClass, perform: F) -> Result<T, NodeError>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce(EffectCall) -> Fut,
        Fut: Future<Output = Result<T, NodeError>>,
    {
        self.record_once(self.key_at(name, 0), name, class, perform).await
    }

    async fn record_once<T, F, Fut>(
        &self,
        key: EffectKey,
        name: &str,
        class: EffectClass,
        perform: F,
    ) -> Result<T, NodeError>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce(EffectCall) -> Fut,
        Fut: Future<Output = Result<T, NodeError>>,
    {
        let journal = self.0.run.live().journal.clone();
        if let Some(error) = journal.recorded(&key).and_then(|recorded| recorded.outcome?.error) {
            return Err(NodeError::failed(error.kind, error.message));
        }
        if let Some(result) = journal.result(&key).await? {
            return Ok(result);
        }
        let _work = self.0.life.work();
        let _once = (class == EffectClass::Once).then(|| self.0.life.once());
        if class != EffectClass::None {
            journal.intend(Intent::new(key.clone(), "effect", name).effect(class)).await?;
        }
        let idempotency_key = key.idempotency(journal.run(), "");
        match perform(EffectCall { idempotency_key }).await {
            Ok(result) => {
                journal.record(key, &result).await?;
                Ok(result)
            }
            Err(error) => {
                if class == EffectClass::Once {
                    let stored = StoredError { kind: error.kind(), message: error.to_string() };
                    journal.stage(Item::Outcome(Outcome { key, bodies: Vec::new(), error: Some(stored) }));
                    journal.commit().await?;
                }
                Err(error)
            }
        }
    }

    /// Milliseconds since the Unix epoch; recorded, so that a step that is run again reads the same.
    ///
    /// # Errors
    /// When what was recorded cannot be read.
    pub fn now_ms(&self) -> Result<u64, NodeError> {
        self.drawn("now", || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// A random number from 0 up to but not including 1; recorded.
    ///
    /// # Errors
    /// When what was recorded cannot be read.
    pub fn random(&self) -> Result<f64, NodeError> {
        self.drawn("random", || rand::random_range(0.0..1.0))
    }

    /// A random UUID (version 4); recorded.
    ///
    /// # Errors
    /// When what was recorded cannot be read.
    pub fn uuid(&self) -> Result<Uuid, NodeError> {
        self.drawn("uuid", || uuid::Builder::from_random_bytes(rand::random()).into_uuid())
    }

    /// Hands a value of the step's own choice to whoever reads the run's stream. Nothing happens if nobody does.
    pub fn write(&self, value: impl Into<Value>) {
        self.0.life.sign();
        if let Some(parts) = &self.0.run.live().parts {
            parts.push(Part::Custom { path: Arc::clone(&self.0.path), value: value.into() });
        }
    }

    /// Says that it is alive, so that an idle time-out begins anew.
    pub fn progress(&self) {
        self.0.life.sign();
    }

    /// A value that is drawn once. It goes with the next commit: what could show it to the world is an effect, whose
    /// intent is written together with it.
    fn drawn<T: Serialize + DeserializeOwned>(&self, name: &str, draw: impl FnOnce() -> T) -> Result<T, NodeError> {
        let key = self.key(name);
        let journal = &self.0.run.live().journal;
        let recorded = journal.recorded(&key).and_then(|recorded| recorded.outcome);
        if let Some(outcome) = recorded {
            return match outcome.bodies.first() {
                Some(Body::Inline(raw)) => serde_json::from_str(raw.get())
                    .map_err(|error| NodeError::failed(Kind::Corrupt, format!("what was recorded as {key}: {error}"))),
                _ => Err(NodeError::failed(Kind::Corrupt, format!("nothing was recorded as {key}"))),
            };
        }
        let value = draw();
        let bodies = vec![journal.body(&value)?];
        journal.stage(Item::Outcome(Outcome { key, bodies, error: None }));
        Ok(value)
    }

    /// The next key of this name.
    pub(crate) fn key(&self, name: &str) -> EffectKey {
        let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let index = match counts.iter_mut().find(|(counted, _)| counted == name) {
            Some((_, count)) => {
                *count += 1;
                *count - 1
            }
            None => {
                counts.push((name.to_owned(), 1));
                0
            }
        };
        drop(counts);
        self.key_at(name, index)
    }

    fn key_at(&self, name: &str, index: u32) -> EffectKey {
        EffectKey { step: self.0.key_step, path: format!("{}/{name}", self.0.path), index }
    }
}

/// Takes a question back when nobody waits for its answer any more.
pub(crate) struct Unask<'a> {
    pub(crate) run: &'a RunShared,
    pub(crate) key: &'a EffectKey,
}

impl Drop for Unask<'_> {
    fn drop(&mut self) {
        self.run.unask(self.key);
    }
}

impl fmt::Debug for NodeCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeCtx").field("path", &self.0.path).field("step", &self.0.step).finish_non_exhaustive()
    }
}
