//! What a person found out about an effect of which nobody knows whether it happened.

use std::sync::Arc;

use serde_json::Value;

use crate::Store;
use crate::run::{EffectClass, EffectKey, Intent, Item, Journal, JournalOptions, Outcome, RunLogError, RunStatus};
use crate::run::{Recorded, StoredError};

/// What a person found out about an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It happened, and this is what it gave.
    Happened(Value),
    /// It did not happen. When the run goes on, it is done.
    DidNotHappen,
    /// It happened and failed, with this message.
    Failed(String),
}

/// Records what a person found out about the effect `key` of a run that stopped with [`RunLogError::OutcomeUnknown`]. Then the
/// run can be resumed.
///
/// What a tool of an agent gave is told with the agent's own `resolve`, which knows the form of it.
///
/// # Errors
/// [`RunLogError::NotOpen`] when nobody asks about that effect; as [`Journal::resume`], and when the store fails.
///
/// ```
/// # use std::sync::Arc;
/// # use atomr_agents_state::{
/// #     EffectClass, EffectKey, Found, Intent, Journal, JournalOptions, MemoryStore, NewRun, RunLogError, Store, resolve,
/// # };
/// # use serde_json::{Value, json};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let new = NewRun { name: "r1".into(), kind: "script".into(), target: "shop".into(), ..NewRun::default() };
/// let journal = Journal::begin(store.clone(), new, JournalOptions::default(), &json!(1)).await?;
/// let key = EffectKey::new(0, "pay", 0);
/// journal.intend(Intent::new(key.clone(), "effect", "pay").effect(EffectClass::Once)).await?;
/// journal.release().await?; // and dies
///
/// let again = Journal::resume(store.clone(), "r1", JournalOptions::default()).await?;
/// assert!(matches!(again.result::<Value>(&key).await, Err(RunLogError::OutcomeUnknown { .. })));
/// again.release().await?;
///
/// resolve(&store, "r1", &key, Found::Happened(json!("receipt 7"))).await?;
/// let again = Journal::resume(store, "r1", JournalOptions::default()).await?;
/// assert_eq!(again.result::<Value>(&key).await?, Some(json!("receipt 7")));
/// # Ok(()) }
/// ```
pub async fn resolve(store: &Arc<dyn Store>, run: &str, key: &EffectKey, found: Found) -> Result<(), RunLogError> {
    resolve_with(store, run, key, |_| Ok(found)).await
}

/// [`resolve`], where what is recorded depends on what was about to happen.
///
/// # Errors
/// As [`resolve`], and those of `found`.
pub async fn resolve_with(
    store: &Arc<dyn Store>,
    run: &str,
    key: &EffectKey,
    found: impl FnOnce(&Intent) -> Result<Found, RunLogError> + Send,
) -> Result<(), RunLogError> {
    let journal = Journal::resume(Arc::clone(store), run, JournalOptions::default()).await?;
    let resolved = record(&journal, key, found).await;
    // What was found counts; a lease that is not let go runs out.
    let _ = journal.release().await;
    resolved
}

async fn record(
    journal: &Journal,
    key: &EffectKey,
    found: impl FnOnce(&Intent) -> Result<Found, RunLogError> + Send,
) -> Result<(), RunLogError> {
    let Some(Recorded { intent: Some(intent), outcome: None }) = journal.recorded(key) else {
        let open = unknown(journal).into_iter().map(|each| format!("{} ({})", each.key, each.subject)).collect();
        return Err(RunLogError::NotOpen { run: journal.run().to_owned(), key: key.clone(), open });
    };
    let (bodies, error) = match found(&intent)? {
        Found::Happened(value) => (vec![journal.body(&value)?], None),
        Found::Failed(message) => (Vec::new(), Some(StoredError { kind: atomr_agents_core::Kind::Guest, message })),
        Found::DidNotHappen => (Vec::new(), None),
    };
    journal.stage(Item::Outcome(Outcome { key: key.clone(), bodies, error }));
    if unknown(journal).is_empty() {
        journal.status(RunStatus::Paused);
    }
    journal.flush().await
}

/// The effects of a run of which nobody knows whether they happened.
fn unknown(journal: &Journal) -> Vec<Intent> {
    let items = journal.frames().iter().flat_map(|placed| &placed.frame.items);
    let intents = items.filter_map(|item| match item {
        Item::Intent(intent) if intent.effect == EffectClass::Once => Some(intent),
        _ => None,
    });
    let open = intents.filter(|intent| journal.recorded(&intent.key).is_some_and(|known| known.outcome.is_none()));
    open.cloned().collect()
}
