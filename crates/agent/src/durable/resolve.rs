//! What a person found out about a call of which nobody knows whether it happened.

use std::sync::Arc;

use atomr_agents_core::ToolReturn;
use atomr_agents_state::{EffectKey, Found, Intent, RunLogError, Store, resolve_with};

use crate::CallResult;
use crate::tool_calls::seen_by_model;

/// Records what a person found out about the call `key` of a run that stopped with
/// [`RunLogError::OutcomeUnknown`]. Then the run can be resumed.
///
/// Of a tool's call it is told what the tool would have returned (a string as it is, anything else as JSON) or, where it failed,
/// what the model is to see. Runs of graphs and harnesses that have agents in them are resolved with this as well.
///
/// # Errors
/// As [`atomr_agents_state::resolve`].
pub async fn resolve(store: &Arc<dyn Store>, run: &str, key: &EffectKey, found: Found) -> Result<(), RunLogError> {
    resolve_with(store, run, key, |intent| if intent.kind == TOOL { of_tool(intent, found) } else { Ok(found) }).await
}

/// The kind of the intents of tools' calls.
pub(super) const TOOL: &str = "tool";

fn of_tool(intent: &Intent, found: Found) -> Result<Found, RunLogError> {
    let result = match found {
        Found::DidNotHappen => return Ok(found),
        Found::Happened(value) => seen_by_model(&intent.key.path, Ok(ToolReturn::json(value))),
        Found::Failed(message) => CallResult::error(message),
    };
    let form = serde_json::to_value(result).map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
    Ok(Found::Happened(form))
}
