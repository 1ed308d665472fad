//! A turn that has not ended, as its log tells it.

use atomr_agents_core::Message;
use atomr_agents_state::{EffectKey, Item, Journal, Outcome, Placed, RunLogError, StoredChannel, StoredState};

use crate::driver::Driver;
use crate::durable::{Known, Log, MESSAGES, OneOrMore, Source, Turn, transcript, turns};
use crate::{AgentError, AnswerRule, CallResult, Effect, Machine};

/// What a call is answered with of which nobody knows whether it happened.
const UNKNOWN: &str = "nobody knows whether this call happened: the process ended while it was under way";
/// What a call is answered with that the turn went on without.
const PASSED: &str = "not run: the conversation went on without it";

/// What a session's log says: the transcript up to the last turn that ended, and the one that did not.
pub(crate) struct Told {
    pub(crate) history: Vec<Message>,
    pub(crate) unfinished: Option<Begun>,
}

/// A turn that was begun and has not ended.
pub(crate) struct Begun {
    pub(crate) step: u64,
    pub(crate) turn: Turn,
}

/// Reads what the frames of a log say.
pub(crate) async fn read(journal: &Journal) -> Result<Told, RunLogError> {
    let frames = journal.frames();
    let state = StoredState::after(frames)?.unwrap_or_default();
    let begun = turns(journal.run(), frames)?.pop().filter(|(step, ..)| *step > state.step);
    let history = match state.channels.get(MESSAGES) {
        Some(StoredChannel::List(bodies)) => journal.values(&bodies.iter().collect::<Vec<_>>()).await?,
        _ => Vec::new(),
    };
    let unfinished = match begun {
        Some((step, _, input)) => {
            let input = journal.values::<OneOrMore>(&[&input]).await?.pop().map(OneOrMore::all).unwrap_or_default();
            Some(Begun { step, turn: Turn { history: history.clone(), input } })
        }
        None => None,
    };
    Ok(Told { history, unfinished })
}

/// The key under which the messages of a turn are recorded that was stopped.
fn closed_key(step: u64, path: &str) -> EffectKey {
    EffectKey::new(step, &format!("{path}/closed"), 0)
}

/// The messages of a turn that was stopped, as far as its frames say.
pub(crate) fn closed(frames: &[Placed], step: u64) -> Option<&Outcome> {
    let items = frames.iter().rev().flat_map(|placed| placed.frame.items.iter().rev());
    items
        .filter_map(|item| if let Item::Outcome(outcome) = item { Some(outcome) } else { None })
        .find(|outcome| outcome.key.step == step && outcome.key.path.ends_with("/closed"))
}

/// What a turn said that has not ended, its input included, fit to be sent to a model.
pub(crate) async fn said(journal: &Journal, begun: &Begun) -> Result<Vec<Message>, AgentError> {
    let path = journal.info().target;
    let log = Log {
        source: Source::Journal(journal.clone()),
        step: begun.step,
        path: path.as_str().into(),
        top: true,
        own: false,
    };
    let mut machine = Machine::new(begun.turn.history.clone(), begun.turn.input.clone(), u32::MAX);
    loop {
        let answered = log.outcome(&log.model_key(machine.iteration() + 1)).is_some();
        match machine.next() {
            Effect::CallModel { iteration } => {
                let steered = steered(&log, iteration).await?;
                if !steered.is_empty() {
                    machine.rewrite([machine.messages(), &steered].concat());
                }
                let Some(said) = log.reply(iteration).await? else { break };
                machine.feed_reply(said.reply, AnswerRule { tool: None, checked: false })?;
            }
            Effect::CallTools(tasks) => {
                let mut fed = false;
                for task in tasks {
                    let result = match log.call(machine.iteration(), task.index) {
                        Known::Ended(outcome) => log.firsts(&[outcome]).await?.pop(),
                        Known::Unknown(_) => Some(CallResult::error(UNKNOWN)),
                        Known::Open(_) if answered => Some(CallResult::error(PASSED)),
                        Known::Open(_) => None,
                    };
                    if let Some(result) = result {
                        machine.feed_tool(task.index, result)?;
                        fed = true;
                    }
                }
                if !fed {
                    break;
                }
            }
            // It was asked again for another answer.
            Effect::Finish { .. } if answered => {
                let mut messages = machine.messages().to_vec();
                messages.push(Message::user("That was no valid answer."));
                machine.rewrite(messages);
            }
            _ => break,
        }
    }
    let rebuilt = machine.closed_messages().split_off(machine.history_len());
    // What was heard of an answer that was cut is in no outcome, but in what the stopped turn left.
    let left = match log.outcome(&closed_key(begun.step, &path)) {
        Some(outcome) => log.values(&outcome.bodies.iter().collect::<Vec<_>>()).await?,
        None => Vec::new(),
    };
    Ok(if left.len() >= rebuilt.len() { left } else { rebuilt })
}

/// Gives a turn up that has not ended: what it said joins the transcript. Gives the whole of it.
pub(crate) async fn abandon(journal: &Journal, begun: Begun) -> Result<Vec<Message>, AgentError> {
    let said = said(journal, &begun).await?;
    journal.stage(Item::Checkpoint(transcript(journal, begun.step, false, &said)?));
    journal.status(atomr_agents_state::RunStatus::Cancelled);
    journal.flush().await?;
    let mut history = begun.turn.history;
    history.extend(said);
    Ok(history)
}

/// The key of what joins a turn before a model call.
pub(crate) fn steer_key(log: &Log, iteration: u32) -> EffectKey {
    EffectKey::new(log.step, &format!("{}/steer", log.path), iteration)
}

/// What joined a turn before this model call.
pub(crate) async fn steered(log: &Log, iteration: u32) -> Result<Vec<Message>, RunLogError> {
    match log.outcome(&steer_key(log, iteration)) {
        Some(outcome) => log.values(&outcome.bodies.iter().collect::<Vec<_>>()).await,
        None => Ok(Vec::new()),
    }
}

impl Driver {
    /// Makes what was said in a turn that does not end well part of the next commit.
    pub(crate) fn stage_closed(&self, log: &Log) -> Result<(), AgentError> {
        let Some(journal) = log.journal() else { return Ok(()) };
        let history = self.transcript.lock().machine.history_len();
        let said = self.transcript.partial().messages;
        let new = said.get(history..).unwrap_or_default();
        let bodies = new.iter().map(|message| journal.body(message)).collect::<Result<_, _>>()?;
        let key = closed_key(log.step, &log.path);
        journal.stage(Item::Outcome(Outcome { key, bodies, error: None }));
        Ok(())
    }
}
