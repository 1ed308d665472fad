//! What a run that is kept does besides what every run does.

use std::sync::Arc;
use std::time::Instant;

use atomr_agents_core::{Amount, EventKind};
use atomr_agents_inference::ModelReply;
use atomr_agents_tokens::TokenCounts;

use super::digest::of_request;
use super::fork::Edited;
use super::log::{Log, Said};
use crate::approval::decide;
use crate::driver::Driver;
use crate::engine::Prepared;
use crate::{AgentError, Decision, Effect, RunError, RunResult};

impl Driver {
    /// Waits until somebody else took the run over; for ever in one that is not kept.
    pub(crate) async fn taken_over(&self) -> AgentError {
        let Some(journal) = self.log.as_ref().and_then(Log::journal) else { return std::future::pending().await };
        tokio::select! {
            () = journal.lost().cancelled() => {}
            () = self.replaced() => return AgentError::Cancelled,
        }
        let told = match journal.flush().await {
            // There was nothing to write: the store says who has it.
            Ok(()) => journal.renew().await,
            failed => failed,
        };
        told.map_or_else(AgentError::from, |()| AgentError::Cancelled)
    }

    /// Waits until an input of another process takes the turn's place in its session.
    async fn replaced(&self) {
        match &self.session {
            Some(session) => session.interrupted().await,
            None => std::future::pending().await,
        }
    }

    /// What a fork has said otherwise from the next model call on, once.
    pub(crate) async fn edited(&self, done: &mut u32) -> Result<Option<Edited>, AgentError> {
        let Some(log) = &self.log else { return Ok(None) };
        let next = self.transcript.lock().machine.iteration() + 1;
        if *done == next {
            return Ok(None);
        }
        *done = next;
        let Some(mut edited) = log.edited(next).await? else { return Ok(None) };
        if let Some(messages) = edited.messages.take() {
            self.transcript.lock().machine.rewrite(messages);
        }
        Ok(Some(edited))
    }

    /// Feeds the machine a reply that is recorded, if it is.
    pub(crate) async fn said_before(&self, log: &Log, prepared: &Prepared, iteration: u32) -> Result<bool, AgentError> {
        if let Some(replayed) = log.replayed() {
            let request = prepared.request(self.transcript.lock().machine.messages(), iteration);
            replayed.compare(&log.model_key(iteration), "model", &of_request(&request))?;
        }
        let Some(Said { reply, cost }) = log.reply(iteration).await? else {
            return log.replayed().map_or(Ok(false), |replayed| Err(replayed.end()));
        };
        if let Some(meter) = self.ctx.meter() {
            let tokens = TokenCounts::of(&reply.usage).total();
            meter.carry_over(Amount { tokens, cost: cost.unwrap_or_default(), iterations: 1, tool_calls: 0 });
        }
        let mut state = self.transcript.lock();
        state.bill.recorded(cost);
        state.machine.feed_reply(reply, prepared.rule())?;
        Ok(true)
    }

    /// Feeds the machine a reply and records it. It is written with the intents of its calls, or with the end of the run.
    pub(crate) async fn said(
        &self,
        log: &Log,
        prepared: &Prepared,
        mut reply: ModelReply,
        digest: String,
    ) -> Result<(), AgentError> {
        let now = {
            let mut state = self.transcript.lock();
            reply.usage = state.bill.take();
            let cost = state.bill.paid();
            state.machine.feed_reply(reply.clone(), prepared.rule())?;
            let iteration = state.machine.iteration();
            // The message as the transcript has it.
            if let Some(message) = state.machine.messages().last() {
                log.stage_reply(iteration, digest, message, Said { reply, cost })?;
            }
            matches!(state.machine.next(), Effect::CallModel { .. } | Effect::CheckAnswer { .. })
        };
        if now || !self.engine.options.middleware.is_empty() {
            log.commit().await?;
        }
        Ok(())
    }

    /// Makes the decisions that the run goes on with, if it has some. False if there are none.
    pub(crate) async fn decide(&self, decisions: &mut &[Decision]) -> Result<bool, AgentError> {
        let (Some(log), [_, ..]) = (&self.log, *decisions) else { return Ok(false) };
        let made = std::mem::take(decisions);
        let mut machine = self.transcript.machine();
        let used = decide(self.key, &mut machine, made)?;
        for (call, decision) in used.iter().zip(made) {
            log.stage_verdict(machine.iteration(), call.call_index, &decision.verdict)?;
        }
        // What somebody said is recorded before it is acted on: it is said once.
        log.commit_before(true).await?;
        for call in &used {
            self.ctx.emit(EventKind::ApprovalResolved {
                call_index: u32::try_from(call.call_index).unwrap_or(u32::MAX),
                call_id: call.call_id.as_str().into(),
                name: call.name.as_str().into(),
                approved: machine.is_approved(call.call_index),
            });
        }
        self.transcript.lock().machine = machine;
        Ok(true)
    }

    /// As [`Driver::conclude`], and writes it down before anybody is told.
    pub(crate) async fn conclude_kept(
        self: &Arc<Self>,
        log: &Log,
        outcome: Result<RunResult, AgentError>,
        started: Instant,
    ) -> Result<RunResult, RunError> {
        let hold = self.events.as_ref().filter(|_| log.top).map(|events| events.hold());
        let mut result = self.conclude(outcome, started);
        if let Err(error) = self.close_log(&mut result).await {
            // That it ended well was told to nobody yet.
            if let Some(hold) = hold {
                hold.discard();
            }
            return self.conclude(Err(error), started);
        }
        drop(hold);
        result
    }
}
