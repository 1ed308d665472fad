//! A harness that is a part of a kept run: its iterations are effects of that run.

use std::sync::Arc;

use atomr_agents_core::{Amount, Value};
use atomr_agents_state::{EffectKey, Intent, Item, JournalScope, Outcome, RunLogError};
use atomr_agents_strategy::{HarnessState, LoopStep, StepEffect, StepEvent};
use serde::{Deserialize, Serialize};

use crate::HarnessSpec;
use crate::kept::class;
use crate::log::{Past, Written};

/// A harness that is a part of a kept run.
pub(crate) struct Within {
    scope: JournalScope,
    spec: HarnessSpec,
    effect: StepEffect,
}

/// What is written of an iteration besides its value.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    event: StepEvent,
    spent: Amount,
    elapsed_ms: u64,
    notes: Value,
    done: bool,
}

impl Within {
    /// The harness in the work of `scope`. Of two harnesses there each has keys of its own.
    pub(crate) fn new(scope: &JournalScope, spec: &HarnessSpec, effect: StepEffect) -> Self {
        let scope = scope.child(&format!("{}.{}", spec.id, scope.next_key().index));
        Self { scope, spec: spec.clone(), effect }
    }

    pub(crate) fn run(&self) -> &str {
        self.scope.journal().run()
    }

    fn key(&self, iteration: u64) -> EffectKey {
        EffectKey::new(self.scope.step(), self.scope.path(), u32::try_from(iteration).unwrap_or(u32::MAX))
    }

    pub(crate) fn idempotency(&self, iteration: u64) -> String {
        self.key(iteration).idempotency(self.run(), &self.spec.version)
    }

    /// Where the effects of an iteration are recorded.
    pub(crate) fn scope(&self, iteration: u64) -> JournalScope {
        self.scope.child(&iteration.to_string())
    }

    /// What was written by an attempt before, of a run that begins with `input`.
    pub(crate) async fn past(&self, input: Value) -> Result<Past, RunLogError> {
        let mut past = Past { state: HarnessState::new(input), ..Past::default() };
        let journal = self.scope.journal();
        while past.done.is_none() {
            let key = self.key(past.state.iteration + 1);
            // An iteration that was begun, must not be run twice and has no outcome is an error of its own.
            let Some(note) = journal.result::<Note>(&key).await? else { break };
            let bodies = journal.recorded(&key).and_then(|recorded| recorded.outcome).map(|outcome| outcome.bodies);
            let bodies: Vec<_> = bodies.iter().flatten().skip(1).collect();
            let value = journal.values::<Value>(&bodies).await?.pop().unwrap_or_default();
            let label = note.event.label.clone();
            if note.done {
                past.state.advance(note.event, None);
                past.done = Some(LoopStep::Done { output: value, label });
            } else {
                past.state.advance(note.event, Some(Arc::new(value)));
            }
            (past.state.spent, past.notes) = (note.spent, note.notes);
            past.state.elapsed = std::time::Duration::from_millis(note.elapsed_ms);
        }
        Ok(past)
    }

    pub(crate) async fn intend(&self, iteration: u64) -> Result<(), RunLogError> {
        let intent = Intent::new(self.key(iteration), "iteration", &self.spec.id).effect(class(self.effect));
        if self.effect == StepEffect::Once {
            return self.scope.journal().intend(intent).await;
        }
        self.scope.journal().stage(Item::Intent(intent));
        Ok(())
    }

    pub(crate) async fn record(&self, written: Written<'_>) -> Result<(), RunLogError> {
        let Written { step, state, notes, .. } = written;
        let note = Note {
            event: state.history.back().cloned().unwrap_or_default(),
            spent: state.spent,
            elapsed_ms: crate::limit::millis(state.elapsed),
            notes: notes.clone(),
            done: matches!(step, LoopStep::Done { .. }),
        };
        let value = match step {
            LoopStep::Continue { working_memory, .. } => working_memory,
            LoopStep::Done { output, .. } => output,
        };
        let journal = self.scope.journal();
        let bodies = vec![journal.body(&note)?, journal.body(value)?];
        journal.stage(Item::Outcome(Outcome { key: self.key(state.iteration), bodies, error: None }));
        if self.effect == StepEffect::Once { journal.flush().await } else { journal.commit().await }
    }
}
