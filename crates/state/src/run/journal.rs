//! Writing a run.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use atomr_agents_core::{CancellationToken, Event, RunId};
use bytes::Bytes;
use serde::Serialize;

use super::heartbeat::Heartbeat;
use super::pen::Pen;
use crate::{
    Begin, Body, EffectKey, End, Intent, Item, JournalOptions, NewBody, Outcome, Placed, RunLogError, RunRecord,
    RunStatus, Store, StoreError, StoredEvent, When,
};

/// After so many events without a commit they are written by themselves.
const EVENTS_MAX: usize = 2_000;

/// What the journal knows of an effect.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// It was about to happen.
    pub intent: Option<Intent>,
    /// It happened.
    pub outcome: Option<Outcome>,
}

impl Recorded {
    /// It is about to happen. Somebody may have said of an attempt before that it did not happen; of this one nobody has.
    pub(crate) fn begin(&mut self, intent: &Intent) {
        self.intent = Some(intent.clone());
        self.outcome.take_if(|outcome| outcome.bodies.is_empty() && outcome.error.is_none());
    }
}

/// The one writer of a run. Cheap to clone: clones write the same run, and what several of them stage while a commit is
/// under way goes into the next one together.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_state::{
///     EffectKey, Intent, Journal, JournalOptions, MemoryStore, NewRun, Outcome, RunStatus, Store,
/// };
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let new = NewRun { name: "r1".into(), kind: "workflow".into(), target: "demo".into(), ..NewRun::default() };
/// let journal = Journal::begin(store.clone(), new, JournalOptions::default(), &json!("input")).await?;
/// let key = EffectKey::new(1, "pay", 0);
/// journal.intend(Intent::new(key.clone(), "tool", "pay")).await?;
/// journal.record(key.clone(), &json!({"receipt": 7})).await?;
/// journal.release().await?; // a process that is killed leaves the lease to run out
///
/// let journal = Journal::resume(store, "r1", JournalOptions::default()).await?;
/// assert_eq!(journal.result(&key).await?, Some(json!({"receipt": 7})));
/// journal.end(RunStatus::Finished, None, None).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Journal(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: JournalOptions,
    pub(crate) name: String,
    pub(crate) record: Mutex<RunRecord>,
    pub(crate) turn: Mutex<(u32, RunId)>,
    pub(crate) recorded: Mutex<HashMap<EffectKey, Recorded>>,
    pub(crate) loaded: Vec<Placed>,
    pub(crate) pen: Pen,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) fault: OnceLock<RunLogError>,
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Inner {
    /// Writes what is staged. Whoever was taken over stops for good.
    pub(crate) async fn write(&self, alone: bool) -> Result<(), RunLogError> {
        self.check()?;
        let result = self.pen.write(self, alone).await;
        // Fenced, or what cannot be written: what was staged is not written, so nothing that follows may be.
        if let Err(error @ (RunLogError::Store(StoreError::Fenced { .. }) | RunLogError::NotJson { .. })) = &result {
            let _ = self.fault.set(error.clone());
            if !matches!(error, RunLogError::NotJson { .. }) {
                self.heartbeat.lost().cancel();
            }
        }
        result
    }

    /// Fails once somebody else was found to have the run, by a commit or by a beat of the lease, also with nothing to write.
    fn check(&self) -> Result<(), RunLogError> {
        let taken = self.heartbeat.taken().map(|error| RunLogError::from(error.clone()));
        self.fault.get().cloned().or(taken).map_or(Ok(()), Err)
    }
}

impl Journal {
    /// The run's name.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.0.name
    }

    /// What is known of the run without its log.
    #[must_use]
    pub fn info(&self) -> RunRecord {
        lock(&self.0.record).clone()
    }

    /// The turn: its count, and its id in events.
    #[must_use]
    pub fn turn(&self) -> (u32, RunId) {
        *lock(&self.0.turn)
    }

    /// What was read when the run was resumed: the frames from the newest whole state on, or all.
    #[must_use]
    pub fn frames(&self) -> &[Placed] {
        &self.0.loaded
    }

    /// A number that no event of this run has had. It is higher than the last one by the events that may have been told
    /// and were not written before a crash.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.0.pen.next_seq()
    }

    /// Where it is written.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Cancelled when somebody else took the run over: nothing is written any more, and the work must stop.
    #[must_use]
    pub fn lost(&self) -> &CancellationToken {
        self.0.heartbeat.lost()
    }

    /// Renews the lease now, which its heartbeat does by itself: for who wants to know whether it is still held.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when somebody else took the run over; and when the store fails.
    pub async fn renew(&self) -> Result<(), RunLogError> {
        Ok(self.0.heartbeat.renew().await?)
    }

    /// What is known of an effect, in this process or one before.
    #[must_use]
    pub fn recorded(&self, key: &EffectKey) -> Option<Recorded> {
        lock(&self.0.recorded).get(key).cloned()
    }

    /// The one result of an effect that was recorded with [`Self::record`].
    ///
    /// # Errors
    /// [`RunLogError::OutcomeUnknown`] for one that must not happen twice, was begun, and has no outcome;
    /// [`RunLogError::Corrupt`]; and when the store fails.
    pub async fn result<T: serde::de::DeserializeOwned>(&self, key: &EffectKey) -> Result<Option<T>, RunLogError> {
        let Some(recorded) = self.recorded(key) else { return Ok(None) };
        match (recorded.outcome, recorded.intent) {
            (Some(outcome), _) => {
                let bodies: Vec<&Body> = outcome.bodies.iter().take(1).collect();
                Ok(self.values(&bodies).await?.pop())
            }
            (None, Some(intent)) if intent.effect == crate::EffectClass::Once => {
                Err(RunLogError::OutcomeUnknown { run: self.0.name.clone(), key: key.clone(), subject: intent.subject })
            }
            _ => Ok(None),
        }
    }

    /// The values of bodies, in the same order.
    ///
    /// # Errors
    /// As [`crate::RunReader::values`].
    pub async fn values<T: serde::de::DeserializeOwned>(&self, bodies: &[&Body]) -> Result<Vec<T>, RunLogError> {
        super::reader::read_bodies(&*self.0.store, &self.0.name, bodies).await
    }

    /// Makes a value part of the next commit.
    ///
    /// # Errors
    /// [`RunLogError::NotJson`].
    pub fn body<T: Serialize + ?Sized>(&self, value: &T) -> Result<Body, RunLogError> {
        let NewBody { body, bytes } = Body::of(value)?;
        if let (Body::Blob(id), Some(bytes)) = (&body, bytes) {
            self.0.pen.stage(|staged| staged.blobs.push((*id, bytes)));
        }
        Ok(body)
    }

    /// Makes bytes under their hash part of the next commit.
    pub fn stage_blobs(&self, blobs: impl IntoIterator<Item = (crate::BlobId, Bytes)>) {
        self.0.pen.stage(|staged| staged.blobs.extend(blobs));
    }

    /// Makes an item part of the next commit.
    pub fn stage(&self, item: Item) {
        match &item {
            Item::Intent(intent) => {
                lock(&self.0.recorded).entry(intent.key.clone()).or_default().begin(intent);
            }
            Item::Outcome(outcome) => {
                lock(&self.0.recorded).entry(outcome.key.clone()).or_default().outcome = Some(outcome.clone());
            }
            _ => {}
        }
        self.0.pen.stage(|staged| staged.items.push(item));
    }

    /// Makes a change of something else in the store part of the next commit: it happens with it or not at all. It may be made
    /// twice, so it expects nothing ([`crate::Expect::Any`]), and it adds to no log.
    pub fn stage_other(&self, change: crate::Change) {
        self.0.pen.stage(|staged| staged.others.push(change));
    }

    /// Who goes on with the run from here on: the name of the agent or graph, and its version. Written with the next status.
    pub fn served_by(&self, target: &str, version: &str) {
        let mut record = lock(&self.0.record);
        target.clone_into(&mut record.target);
        version.clone_into(&mut record.version);
    }

    /// Forgets in memory which effects were recorded in steps before `step`: nobody asks for them any more.
    pub fn forget_before(&self, step: u64) {
        lock(&self.0.recorded).retain(|key, _| key.step >= step);
    }

    /// Makes an event part of the next commit. For the recorder of a run's event stream, which calls it in the order
    /// of the events' numbers.
    ///
    /// # Errors
    /// [`RunLogError::NotJson`].
    pub fn stage_event(&self, event: &Event) -> Result<(), RunLogError> {
        let stored = StoredEvent::of(event, self.turn().1)?;
        self.0.pen.tell(event.seq);
        let waiting = self.0.pen.stage(|staged| {
            staged.last_seq = staged.last_seq.max(event.seq);
            staged.items.push(Item::Event(stored));
            staged.items.len()
        });
        // What is told before it is written must stay within the gap that a crash leaves in the numbers.
        if waiting.is_multiple_of(EVENTS_MAX) {
            self.0.pen.spawn_write(&self.0);
        }
        Ok(())
    }

    /// Writes what is staged, as [`JournalOptions::when`] says.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when somebody else took the run over; and when the store fails: then what was staged is kept, and
    /// the next commit tries again.
    pub async fn commit(&self) -> Result<(), RunLogError> {
        match self.0.options.when {
            When::Sync => self.flush().await,
            When::Async => self.0.pen.write_behind(&self.0).await,
            When::Exit => self.0.check(),
        }
    }

    /// [`Self::commit`] where nothing else of the run goes on before this returns: there is nothing to be written with it.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn commit_alone(&self) -> Result<(), RunLogError> {
        match self.0.options.when {
            When::Sync => self.0.write(true).await,
            When::Async | When::Exit => self.commit().await,
        }
    }

    /// Lets what is staged be written while the run goes on, unless all of it is written at the end of a turn
    /// ([`When::Exit`]). What goes wrong comes out of the next commit, and nothing is lost by it.
    pub fn commit_soon(&self) {
        if self.0.options.when != When::Exit {
            self.0.pen.spawn_write(&self.0);
        }
    }

    /// Writes what is staged, now.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn flush(&self) -> Result<(), RunLogError> {
        self.0.write(false).await
    }

    /// Writes that an effect is about to happen. When this returns it may be begun. The intent of one that must not happen
    /// twice is always written before this returns.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn intend(&self, intent: Intent) -> Result<(), RunLogError> {
        let once = intent.effect == crate::EffectClass::Once;
        self.stage(Item::Intent(intent));
        if once { self.flush().await } else { self.commit().await }
    }

    /// Writes what an effect gave.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn record<T: Serialize + ?Sized>(&self, key: EffectKey, value: &T) -> Result<(), RunLogError> {
        let bodies = vec![self.body(value)?];
        self.stage(Item::Outcome(Outcome { key, bodies, error: None }));
        self.commit().await
    }

    /// Begins another turn of a run whose last one is over.
    ///
    /// # Errors
    /// As [`Self::begin_turn_as`].
    pub async fn begin_turn<T: Serialize + ?Sized>(&self, input: &T) -> Result<(), RunLogError> {
        let first = lock(&self.0.record).turns == 0;
        let id = if first { lock(&self.0.record).id } else { RunId::new() };
        self.begin_turn_as(id, input).await
    }

    /// Begins the first turn of a run or another one, under the id `id` in events.
    ///
    /// # Errors
    /// [`RunLogError::Exists`] when a run of that name is there that was not resumed; and as [`Self::commit`].
    pub async fn begin_turn_as<T: Serialize + ?Sized>(&self, id: RunId, input: &T) -> Result<(), RunLogError> {
        let input = self.body(input)?;
        let turn = {
            let mut record = lock(&self.0.record);
            record.turns += 1;
            record.turns
        };
        *lock(&self.0.turn) = (turn, id);
        self.stage(Item::Begin(Begin { turn, id, input }));
        self.status(RunStatus::Running);
        match self.0.write(true).await {
            Err(RunLogError::Exists { run, status }) => Err(self.taken(run, status).await?),
            other => other,
        }
    }

    /// The run's status changes with the next commit.
    pub fn status(&self, status: RunStatus) {
        let record = {
            let mut record = lock(&self.0.record);
            record.status = status;
            record.format = super::record::RECORD_FORMAT;
            record.updated_ms = super::pen::clock_ms();
            record.clone()
        };
        self.0.pen.stage(|staged| staged.record = Some(record));
    }

    /// Ends the turn, or puts it away: writes everything that is staged, and that it ended.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn end(
        &self,
        status: RunStatus,
        output: Option<Body>,
        error: Option<crate::StoredError>,
    ) -> Result<(), RunLogError> {
        let (turn, _) = self.turn();
        self.stage(Item::End(End { turn, status, output, error }));
        self.status(status);
        self.0.write(true).await
    }

    /// Lets the run go, so that somebody else can go on with it at once. Dropping the last clone does the same, a little
    /// later.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release(&self) -> Result<(), RunLogError> {
        Ok(self.0.heartbeat.release().await?)
    }

    /// How many items wait for the next commit.
    #[must_use]
    pub fn staged(&self) -> usize {
        self.0.pen.waiting()
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("run", &self.0.name)
            .field("store", &self.0.store.kind())
            .finish_non_exhaustive()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
