//! Performs what the run machine asks for.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atomr_agents_core::{AgentContext, CallCtx, EventKind, FinishReason, Kind, Message, TurnInput};
use atomr_agents_inference::{InferenceError, Phase};
use atomr_agents_observability::RunEvents;

use crate::engine::{Engine, Prepared};
use crate::model_call::call_model;
use crate::tool_calls::call_tools;
use crate::{AgentError, Effect, Failure, RunError, RunResult, Transcript};

/// How long the parts of a run may take to end once it was cancelled.
const WIND_DOWN: Duration = Duration::from_secs(1);

/// One run: the engine, the machine it drives and the context it does so in.
pub(crate) struct Driver {
    pub(crate) engine: Arc<Engine>,
    pub(crate) transcript: Transcript,
    pub(crate) turn: TurnInput,
    pub(crate) ctx: CallCtx,
    pub(crate) events: Option<Arc<RunEvents>>,
}

impl Driver {
    pub(crate) async fn run(mut self) -> Result<RunResult, RunError> {
        let started = Instant::now();
        let limit = [self.engine.options.timeout, self.ctx.remaining()].into_iter().flatten().min();
        if let Some(limit) = limit {
            // Everything below sees how much time is left, so that nobody begins a wait that cannot end in time.
            self.ctx = self.ctx.clone().with_timeout(limit);
        }
        // Whatever was started below this run ends with it, however it ends.
        let _end = self.ctx.cancel.clone().drop_guard();
        self.ctx
            .emit(EventKind::RunStarted { agent: self.engine.options.name.clone(), model: self.engine.model.clone() });
        let untold = Untold { driver: &self, started };
        let outcome = self.guarded(limit).await;
        std::mem::forget(untold);
        let result = self.conclude(outcome, started);
        self.close();
        result
    }

    /// Ends the stream of the run's events; a run inside another one leaves the outer stream open.
    fn close(&self) {
        if let Some(events) = &self.events {
            events.close();
        }
    }

    /// The loop, ended by whatever comes first: its end, cancellation, or the limit on the run's time. When it is ended
    /// early, the model's stream and the tools are told and waited for, so that nothing runs on once the caller
    /// knows.
    async fn guarded(&self, limit: Option<Duration>) -> Result<RunResult, AgentError> {
        let mut turns = pin!(self.turns());
        let early = tokio::select! {
            biased;
            () = self.ctx.cancel.cancelled() => AgentError::Cancelled,
            () = wait(limit) => AgentError::Timeout { after: limit.unwrap_or_default() },
            outcome = &mut turns => return outcome.map_err(|error| match (error, limit) {
                // The model call may be the first to notice that the run's time is up.
                (AgentError::Inference(InferenceError::Timeout { phase: Phase::Deadline, .. }), Some(after)) => {
                    AgentError::Timeout { after }
                }
                (error, _) => error,
            }),
        };
        self.ctx.cancel.cancel();
        // What does not end in time is dropped with this future.
        let _ = tokio::time::timeout(WIND_DOWN, turns).await;
        Err(early)
    }

    async fn turns(&self) -> Result<RunResult, AgentError> {
        let context =
            AgentContext { agent: self.engine.options.name.clone(), run: self.ctx.run, turn: self.turn.clone() };
        let prepared = self.engine.prepare(&context, &self.ctx).await?;
        loop {
            let effect = self.transcript.lock().machine.next();
            match effect {
                Effect::CallModel { iteration } => self.model(&prepared, iteration).await?,
                Effect::CallTools(calls) => call_tools(self, &prepared.toolbox, calls).await?,
                Effect::Fail(failure) => return Err(AgentError::Failure(failure)),
                Effect::Finish { finish, .. } => {
                    let result = self.result(finish)?;
                    self.engine.memory.store(&context, &result.messages[result.history..], &self.ctx).await?;
                    return Ok(result);
                }
            }
        }
    }

    async fn model(&self, prepared: &Prepared, iteration: u32) -> Result<(), AgentError> {
        let request = {
            let state = self.transcript.lock();
            Arc::new(self.engine.request(prepared, state.machine.messages(), iteration))
        };
        let reply = call_model(self, request, iteration).await?;
        let model = reply.model.clone();
        let mut state = self.transcript.lock();
        state.streaming = None;
        let prices = &self.engine.options.prices;
        let cost = model
            .and_then(|model| prices.cost(&model, &reply.usage))
            .or_else(|| prices.cost(&self.engine.model, &reply.usage));
        // One call of unknown price makes the whole unknown.
        state.cost = state.cost.zip(cost).map(|(mut sum, cost)| {
            sum += cost;
            sum
        });
        state.machine.feed_reply(reply)?;
        Ok(())
    }

    /// Records the end of the run in the machine and announces it.
    fn conclude(&self, outcome: Result<RunResult, AgentError>, started: Instant) -> Result<RunResult, RunError> {
        let elapsed_ms = millis(started.elapsed());
        match outcome {
            Ok(mut result) => {
                self.ctx.emit(EventKind::RunFinished {
                    usage: Box::new(result.usage.clone()),
                    cost: result.cost,
                    elapsed_ms,
                });
                result.events = self.events.as_ref().map_or(0, |events| events.count());
                Ok(result)
            }
            Err(error) => {
                self.record_failure(&error);
                self.ctx.emit(EventKind::RunFailed { error: error.kind(), message: error.to_string(), elapsed_ms });
                Err(RunError { error, partial: Box::new(self.transcript.partial()) })
            }
        }
    }

    fn result(&self, finish: FinishReason) -> Result<RunResult, AgentError> {
        let state = self.transcript.lock();
        let messages = state.machine.messages().to_vec();
        let output = messages.last().map(Message::text).unwrap_or_default();
        let value = self.engine.output.as_ref().map(|check| check.read(&output)).transpose()?;
        Ok(RunResult {
            run: self.ctx.run,
            output,
            value,
            history: state.machine.history_len(),
            messages,
            usage: state.machine.usage().clone(),
            cost: state.cost,
            finish,
            iterations: state.machine.iteration(),
            events: 0,
        })
    }

    fn record_failure(&self, error: &AgentError) {
        if matches!(error, AgentError::Failure(_) | AgentError::InvalidOutput { .. }) {
            return; // the machine knows, or the answer is complete as it is
        }
        let mut state = self.transcript.lock();
        let (partial, usage) = match state.streaming.take() {
            Some(builder) => {
                if builder.has_begun() {
                    // What the provider charges for an answer that broke off, nobody knows.
                    state.cost = None;
                }
                (builder.partial(), builder.usage().clone())
            }
            None => Default::default(),
        };
        let failure = Failure::Effect { kind: error.kind(), message: error.to_string() };
        state.machine.fail(failure, partial, &usage);
    }
}

/// Announces the end of a run that was dropped before its end, so that those who listen are not left waiting.
struct Untold<'a> {
    driver: &'a Driver,
    started: Instant,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        let (error, message) = if std::thread::panicking() {
            (Kind::Internal, "the run panicked")
        } else {
            (Kind::Cancelled, "the run was dropped")
        };
        let elapsed_ms = millis(self.started.elapsed());
        self.driver.ctx.emit(EventKind::RunFailed { error, message: message.into(), elapsed_ms });
        self.driver.close();
    }
}

async fn wait(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
