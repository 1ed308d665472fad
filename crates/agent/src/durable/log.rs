//! The part of a run's log that one conversation writes.

use std::sync::{Arc, OnceLock};

use atomr_agents_core::{CallCtx, FinishReason, Message, Money, ToolCall, Usage};
use atomr_agents_inference::ModelReply;
use atomr_agents_state::{Body, EffectKey, Intent, Item, Journal, JournalScope, Outcome, Recorded, RunLogError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::replay::Replayed;
use crate::{CallResult, EffectClass, Verdict};

/// Where what is recorded comes from, and where more of it goes.
#[derive(Clone)]
pub(crate) enum Source {
    Journal(Journal),
    /// A run that is only looked at.
    Replay(Arc<Replayed>),
}

/// The part of a run's log that one conversation writes, or reads.
///
/// Keys: the `n`-th model call of the conversation `path` in turn `t` is `t:path#n`, the call at position `i` in its answer
/// `t:path/n#i`, and what that call does itself is below `path/n.i`.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) source: Source,
    pub(crate) step: u64,
    pub(crate) path: Arc<str>,
    /// The conversation is the run: it begins and ends with it.
    pub(crate) top: bool,
    /// The lease is this conversation's to let go.
    pub(crate) own: bool,
}

/// A reply without its message, which is stored apart, as it is in later checkpoints too.
#[derive(Serialize, Deserialize)]
struct Rest {
    finish: FinishReason,
    finish_raw: String,
    usage: Usage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    alternatives: Vec<ModelReply>,
    /// What it cost, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
}

/// A reply that was recorded, and what it cost.
pub(crate) struct Said {
    pub(crate) reply: ModelReply,
    pub(crate) cost: Option<Money>,
}

/// What is known of a tool call.
pub(crate) enum Known {
    /// Nothing, or that an attempt that may be made again has no end: the number of the attempt to make.
    Open(u32),
    /// How it ended.
    Ended(Outcome),
    /// It must not happen twice, was begun, and nothing says how it ended.
    Unknown(u32),
}

/// What stops a run from below: an agent in a tool finds out that nothing can go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Halt(Arc<OnceLock<RunLogError>>);

impl Halt {
    pub(crate) fn set(&self, error: &RunLogError) {
        let _ = self.0.set(error.clone());
    }

    pub(crate) fn get(&self) -> Option<&RunLogError> {
        self.0.get()
    }
}

impl Log {
    /// The journal, unless the run is only looked at.
    pub(crate) fn journal(&self) -> Option<&Journal> {
        match &self.source {
            Source::Journal(journal) => Some(journal),
            Source::Replay(_) => None,
        }
    }

    /// The name of the run, where the conversation is the run.
    pub(crate) fn name(&self) -> Option<&str> {
        self.journal().filter(|_| self.top).map(Journal::run)
    }

    /// What is below this conversation records here, too.
    pub(crate) fn enter(&self, ctx: CallCtx) -> CallCtx {
        match self.journal() {
            Some(journal) => ctx.with(JournalScope::new(journal.clone(), self.step, &self.path)),
            None => ctx,
        }
    }

    /// The context of one call: what it does itself is recorded below it.
    pub(crate) fn enter_call(&self, ctx: &CallCtx, iteration: u32, index: usize) -> CallCtx {
        match self.journal() {
            Some(journal) => {
                let path = format!("{}/{iteration}.{index}", self.path);
                ctx.clone().with(JournalScope::new(journal.clone(), self.step, &path))
            }
            None => ctx.clone(),
        }
    }

    /// What is only looked at.
    pub(crate) fn replayed(&self) -> Option<&Replayed> {
        match &self.source {
            Source::Journal(_) => None,
            Source::Replay(replayed) => Some(replayed),
        }
    }

    pub(crate) fn model_key(&self, iteration: u32) -> EffectKey {
        EffectKey::new(self.step, &self.path, iteration)
    }

    /// The key of a call; a second attempt, after somebody found out that the first did not happen, has another one.
    pub(crate) fn call_key(&self, iteration: u32, index: usize, attempt: u32) -> EffectKey {
        let again = if attempt == 0 { String::new() } else { format!("+{attempt}") };
        self.key(&format!("/{iteration}{again}"), index)
    }

    fn key(&self, below: &str, index: usize) -> EffectKey {
        EffectKey::new(self.step, &format!("{}{below}", self.path), u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The key that a call hands on: that of its first attempt.
    pub(crate) fn idempotency(&self, iteration: u32, index: usize, version: &str) -> Option<String> {
        let journal = self.journal()?;
        Some(self.call_key(iteration, index, 0).idempotency(journal.run(), version))
    }

    pub(crate) fn recorded(&self, key: &EffectKey) -> Option<Recorded> {
        match &self.source {
            Source::Journal(journal) => journal.recorded(key),
            Source::Replay(replayed) => replayed.recorded.get(key).cloned(),
        }
    }

    pub(crate) fn outcome(&self, key: &EffectKey) -> Option<Outcome> {
        self.recorded(key).and_then(|recorded| recorded.outcome)
    }

    pub(crate) async fn values<T: DeserializeOwned>(&self, bodies: &[&Body]) -> Result<Vec<T>, RunLogError> {
        match &self.source {
            Source::Journal(journal) => journal.values(bodies).await,
            Source::Replay(replayed) => replayed.reader.values(bodies).await,
        }
    }

    /// The first value of each of these outcomes.
    pub(crate) async fn firsts<T: DeserializeOwned>(&self, outcomes: &[Outcome]) -> Result<Vec<T>, RunLogError> {
        let bodies: Vec<&Body> = outcomes.iter().filter_map(|outcome| outcome.bodies.first()).collect();
        self.values(&bodies).await
    }

    /// The reply of a model call, if it was recorded.
    pub(crate) async fn reply(&self, iteration: u32) -> Result<Option<Said>, RunLogError> {
        let Some(outcome) = self.outcome(&self.model_key(iteration)) else { return Ok(None) };
        let [message, rest] = &outcome.bodies[..] else {
            return Err(self.damaged(&outcome.key, "a reply has two parts"));
        };
        let message: Message = self.one(&outcome.key, message).await?;
        let Rest { finish, finish_raw, usage, id, model, alternatives, cost } = self.one(&outcome.key, rest).await?;
        Ok(Some(Said { reply: ModelReply { message, finish, finish_raw, usage, id, model, alternatives }, cost }))
    }

    async fn one<T: DeserializeOwned>(&self, key: &EffectKey, body: &Body) -> Result<T, RunLogError> {
        self.values(&[body]).await?.pop().ok_or_else(|| self.damaged(key, "a value is missing"))
    }

    fn damaged(&self, key: &EffectKey, message: &str) -> RunLogError {
        let run = match &self.source {
            Source::Journal(journal) => journal.run().to_owned(),
            Source::Replay(replayed) => replayed.reader.record().name.clone(),
        };
        RunLogError::Corrupt { run, at: 0, message: format!("{key}: {message}") }
    }

    /// Makes a model's reply part of the next commit; its message as the transcript has it.
    pub(crate) fn stage_reply(
        &self,
        iteration: u32,
        digest: String,
        message: &Message,
        said: Said,
    ) -> Result<(), RunLogError> {
        let Some(journal) = self.journal() else { return Ok(()) };
        let key = self.model_key(iteration);
        let Said { reply, cost } = said;
        let ModelReply { finish, finish_raw, usage, id, model, alternatives, .. } = reply;
        let subject = model.clone().unwrap_or_default();
        let rest = Rest { finish, finish_raw, usage, id, model, alternatives, cost };
        let bodies = vec![journal.body(message)?, journal.body(&rest)?];
        journal.stage(Item::Intent(Intent::new(key.clone(), "model", &subject).digest(digest)));
        journal.stage(Item::Outcome(Outcome { key, bodies, error: None }));
        Ok(())
    }

    /// What is known of a call.
    pub(crate) fn call(&self, iteration: u32, index: usize) -> Known {
        let attempt = self.attempt(iteration, index);
        match self.recorded(&self.call_key(iteration, index, attempt)) {
            Some(Recorded { outcome: Some(outcome), .. }) => Known::Ended(outcome),
            Some(Recorded { intent: Some(intent), .. }) if intent.effect == EffectClass::Once => {
                Known::Unknown(attempt)
            }
            _ => Known::Open(attempt),
        }
    }

    /// The number of the last attempt of a call: those before it were found not to have happened.
    pub(crate) fn attempt(&self, iteration: u32, index: usize) -> u32 {
        let nothing = |attempt: &u32| {
            let outcome = self.outcome(&self.call_key(iteration, index, *attempt));
            outcome.is_some_and(|outcome| outcome.bodies.is_empty())
        };
        (0..).find(|attempt| !nothing(attempt)).unwrap_or(0)
    }

    fn stage<T: Serialize + ?Sized>(&self, key: EffectKey, value: &T) -> Result<(), RunLogError> {
        let Some(journal) = self.journal() else { return Ok(()) };
        let bodies = vec![journal.body(value)?];
        journal.stage(Item::Outcome(Outcome { key, bodies, error: None }));
        Ok(())
    }

    /// Makes how a call ended part of the next commit.
    pub(crate) fn stage_result(&self, key: EffectKey, result: &CallResult) -> Result<(), RunLogError> {
        self.stage(key, result)
    }

    /// Makes it part of the next commit that a call was found not to have happened.
    pub(crate) fn stage_not_happened(&self, key: EffectKey) {
        if let Some(journal) = self.journal() {
            journal.stage(Item::Outcome(Outcome { key, bodies: Vec::new(), error: None }));
        }
    }

    /// Makes it part of the next commit that somebody must be asked about a call.
    pub(crate) fn stage_wait(&self, iteration: u32, index: usize, call: &ToolCall) -> Result<(), RunLogError> {
        self.stage(self.key(&format!("/{iteration}/ask"), index), call)
    }

    /// Makes what somebody said about a call part of the next commit.
    pub(crate) fn stage_verdict(&self, iteration: u32, index: usize, verdict: &Verdict) -> Result<(), RunLogError> {
        self.stage(self.key(&format!("/{iteration}/decided"), index), verdict)
    }

    /// The call that somebody was to be asked about, and what was said.
    pub(crate) async fn asked(
        &self,
        iteration: u32,
        index: usize,
    ) -> Result<Option<(ToolCall, Option<Verdict>)>, RunLogError> {
        let Some(asked) = self.outcome(&self.key(&format!("/{iteration}/ask"), index)) else { return Ok(None) };
        let Some(call) = self.firsts(std::slice::from_ref(&asked)).await?.pop() else { return Ok(None) };
        let verdict = match self.outcome(&self.key(&format!("/{iteration}/decided"), index)) {
            Some(decided) => self.firsts(&[decided]).await?.pop(),
            None => None,
        };
        Ok(Some((call, verdict)))
    }

    /// Writes what is staged.
    pub(crate) async fn commit(&self) -> Result<(), RunLogError> {
        match self.journal() {
            Some(journal) => journal.commit().await,
            None => Ok(()),
        }
    }

    /// Writes what is staged before anything begins that must not happen twice.
    pub(crate) async fn commit_before(&self, once: bool) -> Result<(), RunLogError> {
        match self.journal() {
            Some(journal) if once => journal.flush().await,
            _ => self.commit().await,
        }
    }
}
