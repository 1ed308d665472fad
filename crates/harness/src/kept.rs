//! A run of its own in a store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{Amount, CancellationToken, Kind, RunId, Value};
use atomr_agents_observability::RunEvents;
use atomr_agents_state::{
    Body, Checkpoint, EffectClass, EffectKey, Intent, Item, Journal, JournalOptions, JournalScope, NewRun, Outcome,
    RunLogError, RunReader, RunStatus, Store, StoredDelta, StoredState,
};
use atomr_agents_strategy::{HarnessState, LoopStep, StepEffect, StepEvent};
use serde::{Deserialize, Serialize};

use crate::limit::millis;
use crate::log::{Past, Written};
use crate::memory::{Shape, deltas};
use crate::{HarnessError, HarnessOutcome, HarnessSpec};

/// What runs, in the record of a run.
const KIND: &str = "harness";

/// After so many iterations everything is written anew, so that no more than these are read to go on.
const BASE_EVERY: u64 = HarnessState::HISTORY as u64;

/// How long the store may take to hear of a failure.
const TELL_WITHIN: Duration = Duration::from_secs(5);

/// A run of its own in a store.
pub(crate) struct Kept {
    journal: Journal,
    spec: HarnessSpec,
    effect: StepEffect,
}

/// What a checkpoint says besides the working memory.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The iteration that has ended; `None` where the run stopped after the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<StepEvent>,
    spent: Amount,
    elapsed_ms: u64,
    /// The termination's, where an iteration has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notes: Option<Value>,
    /// Where it is another one than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<Shape>,
    /// The iterations before it, where everything is written anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<StepEvent>,
    /// The iteration was the last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    done: bool,
}

impl Kept {
    /// Begins a run of that name, or of the name that its id is.
    pub(crate) async fn begin(
        store: Arc<dyn Store>,
        options: JournalOptions,
        (spec, effect): (&HarnessSpec, StepEffect),
        (name, id, input): (&str, RunId, &Value),
    ) -> Result<Self, RunLogError> {
        let new = NewRun {
            name: name.to_owned(),
            kind: KIND.to_owned(),
            target: spec.id.clone(),
            version: spec.version.clone(),
            ..NewRun::default()
        };
        let journal = Journal::create(store, new, id, options).await?;
        if let Err(error) = journal.begin_turn_as(id, input).await {
            // A lease that is not let go runs out.
            let _ = journal.release().await;
            return Err(error);
        }
        Ok(Self { journal, spec: spec.clone(), effect })
    }

    /// Goes on with a run.
    pub(crate) async fn resume(
        store: Arc<dyn Store>,
        options: JournalOptions,
        (spec, effect): (&HarnessSpec, StepEffect),
        name: &str,
    ) -> Result<(Self, Past), RunLogError> {
        let journal = Journal::resume(Arc::clone(&store), name, options).await?;
        let kept = Self { journal, spec: spec.clone(), effect };
        match kept.look_back(store).await {
            Ok(past) => Ok((kept, past)),
            Err(error) => {
                // It is the error that matters; a lease that is not let go runs out.
                let _ = kept.journal.release().await;
                Err(error)
            }
        }
    }

    async fn look_back(&self, store: Arc<dyn Store>) -> Result<Past, RunLogError> {
        self.check()?;
        let past = self.past(&RunReader::open(store, self.run()).await?).await?;
        if self.journal.info().status != RunStatus::Running {
            self.journal.status(RunStatus::Running);
        }
        Ok(past)
    }

    /// Whether it is a run of this harness, and not over.
    fn check(&self) -> Result<(), RunLogError> {
        let record = self.journal.info();
        let HarnessSpec { id, version, .. } = &self.spec;
        let difference = if record.kind != KIND || record.target != *id {
            format!("it is a run of the {} {:?}", record.kind, record.target)
        } else if record.version != *version {
            format!("it was version {:?} and is {version:?} now", record.version)
        } else if record.status == RunStatus::Finished {
            return Err(RunLogError::Over { run: record.name, status: record.status });
        } else {
            return Ok(());
        };
        Err(RunLogError::Changed { run: record.name, target: id.clone(), difference })
    }

    /// What was written of it.
    async fn past(&self, reader: &RunReader) -> Result<Past, RunLogError> {
        let mut found = Found::default();
        for placed in self.journal.frames() {
            for item in &placed.frame.items {
                found.add(item, placed.frame.time_ms).map_err(|message| RunLogError::Corrupt {
                    run: placed.run.to_string(),
                    at: placed.at,
                    message,
                })?;
            }
        }
        let mut values = found.stored.values(reader).await?;
        let input = match (values.remove("input"), &found.input) {
            (Some(input), _) => input,
            (None, Some(body)) => self.journal.values(&[body]).await?.pop().unwrap_or_default(),
            (None, None) => Value::Null,
        };
        Ok(found.past(input, values))
    }

    pub(crate) fn run(&self) -> &str {
        self.journal.run()
    }

    /// The id of the run in events.
    pub(crate) fn id(&self) -> RunId {
        self.journal.turn().1
    }

    pub(crate) fn lost(&self) -> CancellationToken {
        self.journal.lost().clone()
    }

    /// The same events, written down too, with numbers that no event of this run has had.
    pub(crate) fn recording(&self, events: RunEvents) -> RunEvents {
        let journal = self.journal.clone();
        // An event that JSON has no form for is not written; there is none.
        let first = journal.next_seq();
        events.recorded(
            first,
            Box::new(move |event| {
                let _ = journal.stage_event(event);
            }),
        )
    }

    fn key(&self, iteration: u64) -> EffectKey {
        EffectKey::new(iteration, &self.spec.id, 0)
    }

    pub(crate) fn idempotency(&self, iteration: u64) -> String {
        self.key(iteration).idempotency(self.run(), &self.spec.version)
    }

    /// Where the effects of an iteration are recorded.
    pub(crate) fn scope(&self, iteration: u64) -> JournalScope {
        JournalScope::new(self.journal.clone(), iteration, &format!("{}/step", self.spec.id))
    }

    /// Whether the iteration was begun, must not be run twice, and has no outcome.
    pub(crate) fn unknown(&self, iteration: u64) -> Option<RunLogError> {
        let key = self.key(iteration);
        let recorded = self.journal.recorded(&key)?;
        let once = recorded.intent.is_some_and(|intent| intent.effect == EffectClass::Once);
        (once && recorded.outcome.is_none()).then(|| RunLogError::OutcomeUnknown {
            run: self.run().to_owned(),
            key,
            subject: format!("iteration {iteration} of {}", self.spec.id),
        })
    }

    pub(crate) async fn intend(&self, iteration: u64) -> Result<(), RunLogError> {
        let intent = Intent::new(self.key(iteration), "iteration", &self.spec.id).effect(class(self.effect));
        match self.effect {
            StepEffect::Once => self.journal.intend(intent).await,
            // It is run again in any case: its intent is written with its outcome.
            StepEffect::None | StepEffect::Idempotent => {
                self.journal.stage(Item::Intent(intent));
                Ok(())
            }
        }
    }

    pub(crate) async fn record(&self, written: Written<'_>) -> Result<(), RunLogError> {
        let Written { step, before, state, .. } = &written;
        let base = state.iteration.is_multiple_of(BASE_EVERY);
        let known = (state.iteration > 1 && !base).then_some(*before);
        let mut channels = deltas(&self.journal, known, &state.working_memory)?;
        if base {
            channels.insert("input".to_owned(), StoredDelta::Set(self.journal.body(&*state.input)?));
        }
        if let LoopStep::Done { output, .. } = step {
            channels.insert("output".to_owned(), StoredDelta::Set(self.journal.body(output)?));
        }
        self.journal.stage(Item::Outcome(Outcome { key: self.key(state.iteration), bodies: Vec::new(), error: None }));
        let note = note_of(&written, base, known);
        self.journal.stage(Item::Checkpoint(Checkpoint {
            step: state.iteration,
            base,
            source: "step".to_owned(),
            channels,
            next: Vec::new(),
            version: self.spec.version.clone(),
            note: Some(raw(&note)?),
        }));
        self.written().await?;
        self.journal.forget_before(state.iteration);
        Ok(())
    }

    async fn written(&self) -> Result<(), RunLogError> {
        if self.effect == StepEffect::Once { self.journal.flush().await } else { self.journal.commit_alone().await }
    }

    pub(crate) async fn finish(&self, outcome: &HarnessOutcome) -> Result<(), RunLogError> {
        let body = self.journal.body(outcome)?;
        self.journal.end(RunStatus::Finished, Some(body), None).await?;
        // It is over; a lease that is not let go runs out.
        let _ = self.journal.release().await;
        Ok(())
    }

    /// Tells the store how the run failed, and what it had used by then, if it will hear it.
    pub(crate) async fn fail(&self, error: &HarnessError, state: &HarnessState) {
        let status = match error.kind() {
            Kind::Fenced => return,
            Kind::Cancelled => RunStatus::Cancelled,
            Kind::OutcomeUnknown => RunStatus::OutcomeUnknown,
            Kind::Storage | Kind::StorageFull => RunStatus::Paused,
            _ => RunStatus::Failed,
        };
        let note = Note {
            event: None,
            spent: state.spent,
            elapsed_ms: millis(state.elapsed),
            notes: None,
            shape: None,
            history: Vec::new(),
            done: false,
        };
        let told = async {
            let (step, version) = (state.iteration, self.spec.version.clone());
            let (source, note) = ("stop".to_owned(), Some(raw(&note)?));
            self.journal.stage(Item::Checkpoint(Checkpoint { step, source, version, note, ..Checkpoint::default() }));
            self.journal.end(status, None, Some((error.kind(), error.to_string()).into())).await
        };
        // A store that does not hear of it has all that matters; a lease that is not let go runs out.
        let _ = tokio::time::timeout(TELL_WITHIN, told).await;
        let _ = tokio::time::timeout(TELL_WITHIN, self.journal.release()).await;
    }
}

/// What the frames of a run say together.
#[derive(Default)]
struct Found {
    stored: StoredState,
    input: Option<Body>,
    history: Vec<StepEvent>,
    shape: Shape,
    notes: Value,
    spent: Amount,
    elapsed_ms: u64,
    done: bool,
}

impl Found {
    fn add(&mut self, item: &Item, time_ms: u64) -> Result<(), String> {
        let checkpoint = match item {
            Item::Begin(begin) => {
                self.input = Some(begin.input.clone());
                return Ok(());
            }
            Item::Checkpoint(checkpoint) => checkpoint,
            _ => return Ok(()),
        };
        self.stored.apply(checkpoint, time_ms)?;
        let note = checkpoint.note.as_ref().map_or("null", |raw| raw.get());
        let note: Note = serde_json::from_str(note).map_err(|error| error.to_string())?;
        if checkpoint.base {
            self.history = note.history;
        }
        self.history.extend(note.event);
        self.shape = note.shape.unwrap_or(std::mem::take(&mut self.shape));
        self.notes = note.notes.unwrap_or(std::mem::take(&mut self.notes));
        (self.spent, self.elapsed_ms, self.done) = (note.spent, note.elapsed_ms, note.done);
        Ok(())
    }

    fn past(self, input: Value, mut values: BTreeMap<String, Value>) -> Past {
        let mut state = HarnessState::new(input);
        let label = self.history.last().map(|event| event.label.clone()).unwrap_or_default();
        self.history.into_iter().for_each(|event| state.advance(event, None));
        if state.iteration > 0 {
            state.working_memory = Arc::new(self.shape.read(&mut values));
        }
        (state.spent, state.elapsed) = (self.spent, Duration::from_millis(self.elapsed_ms));
        let done = self.done.then(|| LoopStep::Done { output: values.remove("output").unwrap_or_default(), label });
        Past { state, notes: self.notes, done, settled: None }
    }
}

fn note_of(written: &Written<'_>, base: bool, known: Option<&Value>) -> Note {
    let Written { step, state, notes, .. } = written;
    let shape = Shape::of(&state.working_memory);
    let mut history: Vec<StepEvent> = if base { state.history.iter().cloned().collect() } else { Vec::new() };
    // The last one is the event itself.
    history.pop();
    Note {
        event: state.history.back().cloned(),
        spent: state.spent,
        elapsed_ms: millis(state.elapsed),
        notes: Some((*notes).clone()),
        shape: known.is_none_or(|known| Shape::of(known) != shape).then_some(shape),
        history,
        done: matches!(step, LoopStep::Done { .. }),
    }
}

fn raw(note: &Note) -> Result<Box<serde_json::value::RawValue>, RunLogError> {
    serde_json::value::to_raw_value(note).map_err(|error| RunLogError::NotJson { message: error.to_string() })
}

pub(crate) fn class(effect: StepEffect) -> EffectClass {
    match effect {
        StepEffect::None => EffectClass::None,
        StepEffect::Idempotent => EffectClass::Idempotent,
        StepEffect::Once => EffectClass::Once,
    }
}
