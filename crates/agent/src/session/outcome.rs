//! How a turn ended that another process ran.

use std::sync::Arc;

use atomr_agents_core::{Kind, Message};
use atomr_agents_state::{
    EffectKey, Item, Journal, Outcome, Placed, RunReader, RunStatus, Store, StoredChannel, StoredState,
};

use crate::{AgentError, RunResult, SessionError};

/// Makes it part of the next commit how a turn ended, for those who wait for it elsewhere. The transcript is in the log.
pub(crate) fn stage(journal: &Journal, step: u64, path: &str, result: &RunResult) -> Result<(), AgentError> {
    let slim = RunResult { messages: Vec::new(), pending: None, kept: None, ..result.clone() };
    let bodies = vec![journal.body(&slim)?];
    let key = EffectKey::new(step, &format!("{path}/result"), 0);
    journal.stage(Item::Outcome(Outcome { key, bodies, error: None }));
    Ok(())
}

/// How a turn ended; `None` while it has not.
pub(crate) async fn of(
    store: &Arc<dyn Store>,
    session: &str,
    turn: u32,
) -> Result<Option<Result<RunResult, AgentError>>, AgentError> {
    let reader = RunReader::open(Arc::clone(store), session).await?;
    let record = reader.record();
    if record.turns < turn || (record.turns == turn && record.status == RunStatus::Running) {
        return Ok(None);
    }
    let passed = record.turns > turn;
    let frames = reader.frames().await?;
    let ends = frames.iter().rev().flat_map(|placed| placed.frame.items.iter().rev());
    let end = ends.filter_map(|item| if let Item::End(end) = item { Some(end) } else { None });
    let Some(end) = end.clone().find(|end| end.turn == turn) else {
        let message = "its end is not in the log any more".to_owned();
        return Ok(passed.then(|| Err(SessionError::Elsewhere { kind: Kind::Conflict, message }.into())));
    };
    match (end.status, &end.error) {
        (RunStatus::Finished, _) => {}
        (RunStatus::Suspended, _) => {
            let session = session.to_owned();
            return Ok(Some(Err(SessionError::Unfinished { session, status: RunStatus::Suspended }.into())));
        }
        // It stopped where it goes on.
        (RunStatus::Paused | RunStatus::Running, _) if !passed => return Ok(None),
        (_, Some(error)) => {
            let (kind, message) = (error.kind, error.message.clone());
            return Ok(Some(Err(SessionError::Elsewhere { kind, message }.into())));
        }
        (_, None) => return Ok(Some(Err(AgentError::Cancelled))),
    }
    let Some(mut result) = recorded(&reader, &frames, turn).await? else {
        let message = "what it gave was not recorded for others".to_owned();
        return Ok(Some(Err(SessionError::Elsewhere { kind: Kind::Conflict, message }.into())));
    };
    result.messages = transcript_at(&reader, &frames, turn).await?;
    Ok(Some(Ok(result)))
}

async fn recorded(reader: &RunReader, frames: &[Placed], turn: u32) -> Result<Option<RunResult>, AgentError> {
    let items = frames.iter().rev().flat_map(|placed| placed.frame.items.iter().rev());
    let of_turn = items.filter_map(|item| match item {
        Item::Outcome(outcome) if outcome.key.step == u64::from(turn) => Some(outcome),
        _ => None,
    });
    let found = of_turn.filter(|outcome| outcome.key.path.ends_with("/result")).map(|outcome| &outcome.bodies);
    let Some(bodies) = found.clone().next() else { return Ok(None) };
    Ok(reader.values(&bodies.iter().collect::<Vec<_>>()).await?.pop())
}

/// The transcript after this turn.
async fn transcript_at(reader: &RunReader, frames: &[Placed], turn: u32) -> Result<Vec<Message>, AgentError> {
    let mut at_end = None;
    StoredState::walk(frames, |state| {
        if state.step == u64::from(turn) && at_end.is_none() {
            at_end = state.channels.get(crate::durable::MESSAGES).cloned();
        }
    })?;
    match at_end {
        Some(StoredChannel::List(bodies)) => Ok(reader.values(&bodies.iter().collect::<Vec<_>>()).await?),
        _ => Ok(Vec::new()),
    }
}
