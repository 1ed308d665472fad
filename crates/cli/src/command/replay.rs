//! `runs replay` without an agent: whether what is recorded of a run agrees with itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atomr_agents_state::{EffectKey, Item, Placed, RunReader, RunStatus, Store, StoredState, open_effects};
use serde_json::json;

use super::{Out, count};
use crate::CliError;
use crate::args::Replay;

pub(crate) async fn replay(store: &Arc<dyn Store>, args: &Replay, out: &mut Out) -> Result<u8, CliError> {
    let reader = RunReader::open(Arc::clone(store), &args.run).await?;
    // Reading checks the chain; folding checks the states.
    let frames = reader.frames().await?;
    let mut checkpoints = 0;
    StoredState::walk(&frames, |_| checkpoints += 1)?;
    let status = reader.record().status;
    let effects = frames.iter().flat_map(|placed| &placed.frame.items);
    let effects = effects.filter(|item| matches!(item, Item::Intent(_))).count() as u64;
    let wrong = disagreements(status, &frames);
    if out.json {
        out.value(&json!({
            "run": args.run, "agrees": wrong.is_empty(), "wrong": wrong, "commits": frames.len(),
            "checkpoints": checkpoints, "effects": effects, "agent": null,
        }))?;
    } else {
        let (commits, effects) = (count(frames.len() as u64, "commit"), count(effects, "effect"));
        let checkpoints = count(checkpoints, "checkpoint");
        out.line(&format!(
            "{}: {commits}, {checkpoints}, {effects}; no agent was given, so nothing was run",
            args.run
        ))?;
        for each in &wrong {
            out.line(&format!("  {each}"))?;
        }
        out.line(if wrong.is_empty() {
            "the record agrees with itself"
        } else {
            "the record does not agree with itself"
        })?;
    }
    Ok(if wrong.is_empty() { 0 } else { 3 })
}

/// The first things in the frames that cannot have happened as they are told.
fn disagreements(status: RunStatus, frames: &[Placed]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut epoch, mut seq) = (BTreeMap::new(), 0);
    let mut begun: BTreeSet<&EffectKey> = BTreeSet::new();
    let pruned = frames.first().is_some_and(|placed| placed.at > 0);
    for placed in frames {
        let place = format!("{} at {}", placed.run, placed.at);
        let last = epoch.entry(&placed.run).or_insert(0);
        if placed.frame.epoch < *last {
            wrong.push(format!("{place}: the writer of token {} wrote after that of {last}", placed.frame.epoch));
        }
        *last = placed.frame.epoch;
        for item in &placed.frame.items {
            match item {
                Item::Intent(intent) => {
                    begun.insert(&intent.key);
                }
                Item::Outcome(outcome) if !pruned && !begun.contains(&outcome.key) => {
                    wrong.push(format!("{place}: {} ended and never began", outcome.key));
                }
                Item::Event(event) if event.seq <= seq => {
                    wrong.push(format!("{place}: event {} was told after event {seq}", event.seq));
                }
                Item::Event(event) => seq = event.seq,
                _ => {}
            }
        }
    }
    if status == RunStatus::Finished {
        let open = open_effects(frames).into_iter();
        wrong.extend(open.map(|intent| format!("{} ({}) has no outcome", intent.key, intent.subject)));
    }
    wrong
}
