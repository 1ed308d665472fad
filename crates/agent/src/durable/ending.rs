//! How a run that is kept ends.

use atomr_agents_core::Kind;
use atomr_agents_state::{Item, RunLogError, RunStatus, StoreError, StoredError};

use super::log::{Halt, Log};
use super::open::transcript;
use crate::driver::Driver;
use crate::{AgentError, RunError, RunResult};

/// From this turn on the whole transcript is written at some turns, so that a long one need not be read from its
/// beginning. At powers of two: together they cost no more than the transcript.
const BASE_FROM: u64 = 16;

impl Driver {
    /// Writes how the run ended. An error of that is the error of the run.
    pub(crate) async fn close_log(&self, result: &mut Result<RunResult, RunError>) -> Result<(), AgentError> {
        let Some(log) = &self.log else { return Ok(()) };
        if let Err(RunError { error: AgentError::Log(error), .. }) = &*result
            && let Some(halt) = self.ctx.get::<Halt>()
        {
            halt.set(error);
        }
        if !log.top || log.journal().is_none() {
            return Ok(());
        }
        if let Ok(result) = result {
            result.kept = log.name().map(str::to_owned);
        }
        let ended = self.write_end(log, result).await;
        if let Some(journal) = log.journal().filter(|_| log.own) {
            // Whoever cannot be told that the lease is free waits until it runs out.
            let _ = journal.release().await;
        }
        ended
    }

    async fn write_end(&self, log: &Log, result: &Result<RunResult, RunError>) -> Result<(), AgentError> {
        let Some(journal) = log.journal() else { return Ok(()) };
        if journal.info().turns == 0 {
            return Ok(()); // it never began
        }
        let (status, output, error) = match result {
            Ok(result) if result.pending.is_some() => (RunStatus::Suspended, None, None),
            Ok(result) => {
                let said = result.messages.last();
                let output = match &result.value {
                    Some(value) => Some(journal.body(value)?),
                    // The bytes that the transcript has under this name.
                    None => said.map(|message| journal.body(message)).transpose()?,
                };
                self.stage_transcript(log)?;
                self.stage_outcome(log, result)?;
                (RunStatus::Finished, output, None)
            }
            Err(error) => {
                let Some(status) = status_of(&error.error) else { return Ok(()) };
                if self.session.is_some() {
                    self.stage_closed(log)?;
                }
                let stored = StoredError { kind: error.kind(), message: error.to_string() };
                (status, None, Some(stored))
            }
        };
        let failed = result.is_err();
        match journal.end(status, output, error).await {
            // That it could not be written is what ended it.
            Err(_) if failed => Ok(()),
            ended => Ok(ended?),
        }
    }

    /// Makes what was said in this turn part of the transcript that the next one goes on from.
    fn stage_transcript(&self, log: &Log) -> Result<(), AgentError> {
        let Some(journal) = log.journal() else { return Ok(()) };
        let state = self.transcript.lock();
        let (messages, history) = (state.machine.messages(), state.machine.history_len());
        let base = log.step >= BASE_FROM && log.step.is_power_of_two();
        let new = if base { messages } else { messages.get(history..).unwrap_or_default() };
        journal.stage(Item::Checkpoint(transcript(journal, log.step, base, new)?));
        Ok(())
    }
}

/// How a run that ended with this error is doing; `None` where nothing may be written.
fn status_of(error: &AgentError) -> Option<RunStatus> {
    match error {
        AgentError::Log(RunLogError::Store(StoreError::Fenced { .. }) | RunLogError::Exists { .. }) => None,
        AgentError::Log(RunLogError::OutcomeUnknown { .. }) => Some(RunStatus::OutcomeUnknown),
        AgentError::Log(_) => Some(RunStatus::Paused),
        // It waits as it did before.
        AgentError::Approval(_) => Some(RunStatus::Suspended),
        error if error.kind() == Kind::Cancelled => Some(RunStatus::Cancelled),
        _ => Some(RunStatus::Failed),
    }
}
