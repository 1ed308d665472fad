//! What a person found out about a call of which nobody knows whether it happened.

use std::sync::Arc;

use atomr_agents_core::{ToolReturn, Value};
use atomr_agents_state::{
    EffectClass, EffectKey, Item, Journal, JournalOptions, Outcome, Recorded, RunLogError, RunStatus, Store,
};

use crate::CallResult;
use crate::tool_calls::seen_by_model;

/// What a person found out about a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It happened, and this is what the tool would have returned: a string as it is, anything else as JSON.
    Happened(Value),
    /// It did not happen. When the run goes on, it is made.
    DidNotHappen,
    /// It happened and failed, and this is what the model is told.
    Failed(String),
}

/// Records what a person found out about the call `key` of a run that stopped with
/// [`RunLogError::OutcomeUnknown`]. Then the run can be resumed.
///
/// # Errors
/// [`RunLogError::NotOpen`] when nobody asks about that call; as [`Journal::resume`], and when the store fails.
pub async fn resolve(store: &Arc<dyn Store>, run: &str, key: &EffectKey, found: Found) -> Result<(), RunLogError> {
    let journal = Journal::resume(Arc::clone(store), run, JournalOptions::default()).await?;
    let resolved = record(&journal, key, found).await;
    // What was found counts; a lease that is not let go runs out.
    let _ = journal.release().await;
    resolved
}

async fn record(journal: &Journal, key: &EffectKey, found: Found) -> Result<(), RunLogError> {
    let open = matches!(journal.recorded(key), Some(Recorded { intent: Some(_), outcome: None }));
    if !open {
        let open = unknown(journal).into_iter().map(|(key, subject)| format!("{key} ({subject})")).collect();
        return Err(RunLogError::NotOpen { run: journal.run().to_owned(), key: key.clone(), open });
    }
    let bodies = match found {
        Found::Happened(value) => vec![journal.body(&seen_by_model(&key.path, Ok(ToolReturn::json(value))))?],
        Found::Failed(message) => vec![journal.body(&CallResult::error(message))?],
        Found::DidNotHappen => Vec::new(),
    };
    journal.stage(Item::Outcome(Outcome { key: key.clone(), bodies, error: None }));
    if unknown(journal).is_empty() {
        journal.status(RunStatus::Paused);
    }
    journal.flush().await
}

/// The calls of a run of which nobody knows whether they happened, with the tool of each.
fn unknown(journal: &Journal) -> Vec<(EffectKey, String)> {
    let items = journal.frames().iter().flat_map(|placed| &placed.frame.items);
    let intents = items.filter_map(|item| match item {
        Item::Intent(intent) if intent.effect == EffectClass::Once => Some(intent),
        _ => None,
    });
    let open = intents.filter(|intent| journal.recorded(&intent.key).is_some_and(|known| known.outcome.is_none()));
    open.map(|intent| (intent.key.clone(), intent.subject.clone())).collect()
}
