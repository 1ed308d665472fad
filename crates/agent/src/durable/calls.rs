//! What is recorded of the calls of an answer, before any of them is made.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::Amount;
use atomr_agents_state::{Intent, Item, RunLogError};
use atomr_agents_tool::{IdempotencyKey, Invocation, Reconciled, parse_arguments};

use super::log::{Known, Log};
use crate::driver::Driver;
use crate::engine::Prepared;
use crate::tool_calls::seen_by_model;
use crate::{AgentError, CallResult, EffectClass, ToolTask};

/// How long a tool may take to find out about a call.
const RECONCILE_WITHIN: Duration = Duration::from_secs(60);

/// A call that is to be made.
pub(crate) struct Fresh {
    pub(crate) task: ToolTask,
    /// The number of the attempt, in the keys of the log.
    pub(crate) attempt: u32,
}

/// Tells the machine what is recorded of these calls, and gives those that are to be made.
pub(crate) async fn settle(
    driver: &Arc<Driver>,
    prepared: &Arc<Prepared>,
    log: &Log,
    iteration: u32,
    tasks: Vec<ToolTask>,
) -> Result<Vec<Fresh>, AgentError> {
    let (mut fresh, mut positions, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for task in tasks {
        if !task.approved
            && let Some((call, verdict)) = log.asked(iteration, task.index).await?
        {
            // Asked again, the machine says what is to be done with it.
            let machine = &mut driver.transcript.lock().machine;
            machine.wait(task.index, call)?;
            if let Some(verdict) = verdict {
                machine.decide(task.index, verdict)?;
            }
            continue;
        }
        if let Some(replayed) = log.replayed() {
            let attempt = log.attempt(iteration, task.index);
            replayed.compare(&log.call_key(iteration, task.index, attempt), "tool", &super::of_call(&task.call))?;
        }
        match log.call(iteration, task.index) {
            Known::Ended(outcome) => {
                positions.push(task.index);
                outcomes.push(outcome);
            }
            Known::Open(attempt) => fresh.push(Fresh { task, attempt }),
            Known::Unknown(attempt) if log.replayed().is_some() => fresh.push(Fresh { task, attempt }),
            Known::Unknown(attempt) => match find_out(driver, prepared, log, iteration, &task, attempt).await? {
                Some(result) => driver.transcript.lock().machine.feed_tool(task.index, result)?,
                None => fresh.push(Fresh { task, attempt: attempt + 1 }),
            },
        }
    }
    if let Some(replayed) = log.replayed().filter(|_| !fresh.is_empty()) {
        return Err(replayed.end());
    }
    if let Some(meter) = driver.ctx.meter() {
        meter.carry_over(Amount { tool_calls: positions.len() as u64, ..Amount::default() });
    }
    let results: Vec<CallResult> = log.firsts(&outcomes).await?;
    for (index, result) in positions.into_iter().zip(results) {
        driver.transcript.lock().machine.feed_tool(index, result)?;
    }
    Ok(fresh)
}

/// Asks the tool about a call whose end nobody saw: its result, or nothing if it did not happen.
async fn find_out(
    driver: &Arc<Driver>,
    prepared: &Arc<Prepared>,
    log: &Log,
    iteration: u32,
    task: &ToolTask,
    attempt: u32,
) -> Result<Option<CallResult>, AgentError> {
    let key = log.call_key(iteration, task.index, attempt);
    let unknown = || {
        let run = log.journal().map(|journal| journal.run().to_owned()).unwrap_or_default();
        RunLogError::OutcomeUnknown { run, key: key.clone(), subject: task.call.name.clone() }
    };
    let mut call = task.call.clone();
    if !task.approved {
        for each in &prepared.engine.options.middleware {
            each.before_tool(&mut call, &driver.ctx).await?;
        }
    }
    let (Ok(tool), Ok(arguments)) = (prepared.tools().find(&call.name), parse_arguments(&call)) else {
        return Err(unknown().into());
    };
    let version = tool.tool().meta().version.to_string();
    let mut ctx = driver.ctx.scoped();
    if let Some(key) = log.idempotency(iteration, task.index, &version) {
        ctx = ctx.with(IdempotencyKey::new(key));
    }
    let cancel = ctx.cancel.clone();
    let _end = cancel.clone().drop_guard();
    let asking = tool.tool().reconcile(Invocation { call: call.clone(), arguments, ctx });
    let found = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(AgentError::Cancelled),
        // What fails to find out has not found out.
        found = tokio::time::timeout(RECONCILE_WITHIN, asking) => found.ok().and_then(Result::ok),
    };
    let result = match found {
        Some(Reconciled::Happened(returned)) => Some(seen_by_model(&call.name, Ok(returned))),
        Some(Reconciled::DidNotHappen) => None,
        Some(Reconciled::Unknown) | None => return Err(unknown().into()),
    };
    match &result {
        Some(result) => log.stage_result(key, result)?,
        None => log.stage_not_happened(key),
    }
    log.commit().await?;
    Ok(result)
}

/// Makes it part of the next commit that these calls are about to be made; the digest is of the call as the model, or
/// whoever approved it, wrote it. Tells whether one of them must not happen twice.
pub(crate) fn stage_intents<'a>(
    prepared: &Prepared,
    log: &Log,
    iteration: u32,
    calls: impl Iterator<Item = (&'a Fresh, &'a str)>,
) -> bool {
    let Some(journal) = log.journal() else { return false };
    let mut once = false;
    for (fresh, name) in calls {
        let effect = effect_of(prepared, name);
        once |= effect == EffectClass::Once;
        let key = log.call_key(iteration, fresh.task.index, fresh.attempt);
        let intent =
            Intent::new(key, super::resolve::TOOL, name).effect(effect).digest(super::of_call(&fresh.task.call));
        let known = log.recorded(&intent.key).and_then(|recorded| recorded.intent);
        if known.as_ref() != Some(&intent) {
            journal.stage(Item::Intent(intent));
        }
    }
    once
}

/// What happens when a tool is called twice; nothing if there is no such tool.
pub(crate) fn effect_of(prepared: &Prepared, name: &str) -> EffectClass {
    prepared.tools().find(name).map_or(EffectClass::None, |tool| tool.tool().meta().effect)
}
