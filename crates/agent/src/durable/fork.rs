//! A run that begins where another one was, with something else said.

use std::sync::Arc;

use atomr_agents_core::Message;
use atomr_agents_state::{
    EffectKey, ForkAt, ForkOptions, Item, Journal, JournalOptions, Outcome, RunLogError, RunStatus, Store, fork,
};

use super::log::Log;

/// What is another thing in a fork from where it begins on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// The whole transcript that the next model call is to see, history included; calls of tools in it that nobody answered
    /// are not made.
    pub messages: Option<Vec<Message>>,
    /// What the model is told to be instead.
    pub instructions: Option<String>,
}

/// What is another thing from a model call on.
#[derive(Debug, Default)]
pub(crate) struct Edited {
    pub(crate) messages: Option<Vec<Message>>,
    pub(crate) instructions: Option<String>,
}

/// Forks an agent's run: the new one shares what `run` did up to `at` and stores nothing of it again. It is resumed by its
/// name, which is given back, as a run of its own: what it does from there on has other idempotency keys. A call that must
/// not happen twice and has no outcome before `at` is as unknown in it as in the run.
///
/// # Errors
/// As [`fork`]; [`RunLogError::Exists`] when the new name is taken.
pub async fn fork_run(
    store: &Arc<dyn Store>,
    run: &str,
    at: ForkAt,
    options: &ForkOptions,
    edits: &Edits,
) -> Result<String, RunLogError> {
    let name = fork(store, run, at, options).await?;
    if *edits == Edits::default() {
        return Ok(name);
    }
    let journal = Journal::resume(Arc::clone(store), &name, JournalOptions::default()).await?;
    let written = write(&journal, edits).await;
    // The fork is there; a lease that is not let go runs out.
    let _ = journal.release().await;
    written.map(|()| name)
}

async fn write(journal: &Journal, edits: &Edits) -> Result<(), RunLogError> {
    let (step, path) = (u64::from(journal.turn().0), journal.info().target);
    let items = journal.frames().iter().flat_map(|placed| &placed.frame.items);
    let answered = items.filter_map(|item| match item {
        Item::Outcome(outcome) if outcome.key.step == step && outcome.key.path == path => Some(outcome.key.index),
        _ => None,
    });
    let next = answered.max().unwrap_or(0) + 1;
    if let Some(messages) = &edits.messages {
        let bodies = messages.iter().map(|message| journal.body(message)).collect::<Result<_, _>>()?;
        let key = EffectKey::new(step, &format!("{path}/messages"), next);
        journal.stage(Item::Outcome(Outcome { key, bodies, error: None }));
    }
    if let Some(instructions) = &edits.instructions {
        let key = EffectKey::new(step, &format!("{path}/instructions"), next);
        let bodies = vec![journal.body(instructions)?];
        journal.stage(Item::Outcome(Outcome { key, bodies, error: None }));
    }
    journal.status(RunStatus::Paused);
    journal.flush().await
}

impl Log {
    /// What is another thing from this model call on.
    pub(crate) async fn edited(&self, iteration: u32) -> Result<Option<Edited>, RunLogError> {
        let key = |what: &str| EffectKey::new(self.step, &format!("{}/{what}", self.path), iteration);
        let (messages, instructions) = (self.outcome(&key("messages")), self.outcome(&key("instructions")));
        if messages.is_none() && instructions.is_none() {
            return Ok(None);
        }
        let mut edited = Edited::default();
        if let Some(outcome) = messages {
            edited.messages = Some(self.values(&outcome.bodies.iter().collect::<Vec<_>>()).await?);
        }
        if let Some(outcome) = instructions {
            edited.instructions = self.firsts(&[outcome]).await?.pop();
        }
        Ok(Some(edited))
    }
}
