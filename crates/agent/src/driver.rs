//! Performs what the run machine asks for.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use atomr_agents_core::{AgentContext, Amount, CallCtx, EventKind, Message, Meter, RunId, TurnInput};
use atomr_agents_inference::{InferenceError, Phase};
use atomr_agents_observability::RunEvents;
use atomr_agents_state::Journal;
use atomr_agents_tool::{ToolError, Toolbox};

use crate::approval::PendingCall;
use crate::durable::{Kept, Log, of_request};
use crate::engine::{Engine, Prepared};
use crate::handoff;
use crate::ledger::claim_all;
use crate::limit::{Limit, millis, too_late, wait};
use crate::middleware::model_chain;
use crate::model_call::Number;
use crate::run::{Answer, Ending};
use crate::session::Held;
use crate::tool_calls::call_tools;
use crate::untold::Untold;
use crate::{AgentError, ApprovalError, Decision, Effect, Failure, PendingRun, RunError, RunResult, Transcript};

/// How long the parts of a run may take to end once it was cancelled.
const WIND_DOWN: Duration = Duration::from_secs(1);

/// How long calls that must not happen twice are waited for, so that how they ended is known.
pub const ONCE_WITHIN: Duration = Duration::from_secs(10);

/// How long they may take when the run's time is up: whoever set the limit waits for it.
const LATE: Duration = Duration::from_millis(30);

/// One run: the engine, the machine it drives and the context it does so in.
pub(crate) struct Driver {
    pub(crate) engine: Arc<Engine>,
    pub(crate) transcript: Transcript,
    pub(crate) turn: TurnInput,
    pub(crate) ctx: CallCtx,
    pub(crate) events: Option<Arc<RunEvents>>,
    /// Names this conversation alone: runs inside another one share its id.
    pub(crate) key: RunId,
    pub(crate) resumed: Option<Resumed>,
    pub(crate) kept: Kept,
    /// Its log, once it is open.
    pub(crate) log: Option<Log>,
    /// Tells the recorder of its events where the log is.
    pub(crate) recorder: Option<Arc<OnceLock<Journal>>>,
    /// The session whose turn it is, while it is.
    pub(crate) session: Option<Held>,
    /// The result of the turn that the input joined, or that another process ran.
    pub(crate) joined: Option<Box<RunResult>>,
    /// It goes on in its log, with decisions about calls that wait.
    pub(crate) again: bool,
    pub(crate) decisions: Vec<Decision>,
    /// How many calls are under way that are waited for if the run ends early: they must not happen twice.
    pub(crate) once: AtomicUsize,
}

/// What is known of a run that was put away.
pub(crate) struct Resumed {
    /// The calls that were decided about; an error if the decisions make no sense.
    pub(crate) used: Result<Vec<PendingCall>, ApprovalError>,
    /// What it had used by then.
    pub(crate) spent: Amount,
    /// Who had the conversation before the decisions; `None` for the agent that began it.
    pub(crate) holder: Option<String>,
}

impl Driver {
    pub(crate) async fn run(mut self) -> Result<RunResult, RunError> {
        let started = Instant::now();
        let opened = match self.kept {
            Kept::No => Ok(()),
            _ => self.opened().await,
        };
        let options = &self.engine.options;
        let meter = match self.ctx.meter() {
            Some(outer) => outer.child(options.budget),
            None => Meter::new(options.budget),
        };
        if let Some(resumed) = &self.resumed {
            meter.carry_over(resumed.spent);
        }
        let limit = Limit::of(options, &self.ctx);
        self.ctx = self.ctx.clone().with_meter(meter);
        if let Some(limit) = limit {
            // Everything below sees how much time is left, so that nobody begins a wait that cannot end in time.
            self.ctx = self.ctx.with_timeout(limit.after);
        }
        // Whatever was started below this run ends with it, however it ends.
        let _end = self.ctx.cancel.clone().drop_guard();
        let this = Arc::new(self);
        let (agent, model) = (this.engine.options.name.clone(), this.engine.model.clone());
        let untold = Untold { driver: &this, started };
        let outcome = match (opened, &this.joined) {
            (Ok(()), Some(joined)) => Ok(RunResult::clone(joined)),
            (Ok(()), None) => {
                this.ctx.emit(EventKind::RunStarted { agent, model });
                this.guarded(limit).await
            }
            (Err(error), _) => Err(error),
        };
        std::mem::forget(untold);
        let mut result = match &this.log {
            None => this.conclude(outcome, started),
            Some(log) => this.conclude_kept(log, outcome, started).await,
        };
        if let Some(session) = &this.session {
            session.leave(&mut result).await;
        }
        this.close();
        result
    }

    /// Ends the stream of the run's events; a run inside another one leaves the outer stream open.
    pub(crate) fn close(&self) {
        if let Some(events) = &self.events {
            events.close();
        }
    }

    /// The loop, ended by whatever comes first: its end, cancellation, or the limit on the run's time. When it is ended
    /// early, the model's stream and the tools are told and waited for, so that nothing runs on once the caller
    /// knows.
    async fn guarded(self: &Arc<Self>, limit: Option<Limit>) -> Result<RunResult, AgentError> {
        let mut turns = pin!(self.turns());
        let (early, grace) = tokio::select! {
            biased;
            () = self.ctx.cancel.cancelled() => (AgentError::Cancelled, WIND_DOWN),
            () = wait(limit) => (too_late(limit), LATE),
            error = self.taken_over() => (error, LATE),
            outcome = &mut turns => return outcome.map_err(|error| match error {
                // The model call may be the first to notice that the run's time is up.
                AgentError::Inference(InferenceError::Timeout { phase: Phase::Deadline, .. }) if limit.is_some() => {
                    too_late(limit)
                }
                error => error,
            }),
        };
        self.ctx.cancel.cancel();
        let grace = if self.once.load(Ordering::Relaxed) > 0 { ONCE_WITHIN } else { grace };
        // What does not end in time is dropped with this future.
        let _ = tokio::time::timeout(grace, turns).await;
        Err(early)
    }

    async fn turns(self: &Arc<Self>) -> Result<RunResult, AgentError> {
        let (turn, mut active) = self.begin().await?;
        let mut holder = self.resumed.as_ref().and_then(|resumed| resumed.holder.clone());
        let mut decisions = &self.decisions[..];
        let (mut edits, mut instructions) = (0, None);
        loop {
            if self.log.is_some()
                && let Some(edited) = self.edited(&mut edits).await?
            {
                instructions = edited.instructions.or(instructions);
                active = None;
            }
            let (effect, name) = {
                let state = self.transcript.lock();
                (state.machine.next(), state.machine.agent().map(str::to_owned))
            };
            if name != holder
                && let Some(to) = &name
            {
                let from = holder.unwrap_or_else(|| self.engine.options.name.clone());
                self.ctx.emit(EventKind::HandedOff { from, to: to.clone() });
            }
            let engine = self.engine_of(active.as_deref(), name.as_deref())?;
            holder = name;
            let prepared = match active.take().filter(|active| Arc::ptr_eq(&active.engine, &engine)) {
                Some(active) => active,
                None => {
                    let mut prepared = self.prepare(&engine, &turn).await?;
                    if let Some(instead) = &instructions {
                        prepared.system = Some(Message::system(instead.clone()));
                    }
                    Arc::new(prepared)
                }
            };
            match effect {
                Effect::CallModel { iteration } => {
                    self.steer(iteration).await?;
                    match &self.log {
                        Some(log) if self.said_before(log, &prepared, iteration).await? => {}
                        _ => self.model(&prepared, iteration).await?,
                    }
                }
                Effect::CallTools(tasks) => call_tools(self, &prepared, tasks).await?,
                Effect::CheckAnswer { text, .. } => self.check(&prepared, text).await?,
                Effect::Fail(failure) => return Err(AgentError::Failure(failure)),
                Effect::Suspend(_) if self.decide(&mut decisions).await? => {}
                Effect::Suspend(_) => return self.suspended(&prepared),
                Effect::Finish { finish, text, value, .. } => {
                    let answer = Answer { text, value, ending: Ending::Done(finish) };
                    return self.finished(&prepared, answer).await;
                }
            }
            active = Some(prepared);
        }
    }

    /// The first thing of a run: hooks of a new one, the decisions of one that was put away. Gives what was asked.
    async fn begin(&self) -> Result<(TurnInput, Option<Arc<Prepared>>), AgentError> {
        let mut turn = self.turn.clone();
        let Some(resumed) = &self.resumed else {
            if self.again {
                return Ok((turn, None)); // what it began with is recorded
            }
            for each in &self.engine.options.middleware {
                each.before_agent(&mut turn, &self.ctx).await?;
            }
            self.begin_turn(&turn).await?;
            if turn != self.turn {
                self.transcript.lock().machine.set_input(turn.history.clone(), turn.input.clone())?;
            }
            return Ok((turn, None));
        };
        let used = resumed.used.as_ref().map_err(Clone::clone)?;
        // Whatever can fail before a call is run shall fail before the decisions count as used.
        let engine = self.engine_of(None, resumed.holder.as_deref())?;
        let prepared = Arc::new(self.prepare(&engine, &turn).await?);
        claim_all(&self.engine.options.ledger, used).await?;
        let machine = self.transcript.machine();
        for call in used {
            self.ctx.emit(EventKind::ApprovalResolved {
                call_index: u32::try_from(call.call_index).unwrap_or(u32::MAX),
                call_id: call.call_id.as_str().into(),
                name: call.name.as_str().into(),
                approved: machine.is_approved(call.call_index),
            });
        }
        Ok((turn, Some(prepared)))
    }

    /// The agent that has the conversation, seen from the one that had it before.
    fn engine_of(&self, before: Option<&Prepared>, name: Option<&str>) -> Result<Arc<Engine>, AgentError> {
        let Some(name) = name else { return Ok(Arc::clone(&self.engine)) };
        let here = before.map_or(&self.engine, |before| &before.engine);
        handoff::find(&self.engine, here, name).ok_or_else(|| {
            let message = format!("the run was handed to {name:?}, and no such agent can be reached from this one");
            AgentError::Config { setting: "handoffs", message }
        })
    }

    async fn prepare(&self, engine: &Arc<Engine>, turn: &TurnInput) -> Result<Prepared, AgentError> {
        let (agent, run) = (engine.options.name.clone(), self.ctx.run);
        engine.prepare(AgentContext { agent, run, turn: turn.clone() }, &self.ctx).await
    }

    async fn model(self: &Arc<Self>, prepared: &Arc<Prepared>, iteration: u32) -> Result<(), AgentError> {
        let mut request = {
            let state = self.transcript.lock();
            prepared.request(state.machine.messages(), iteration)
        };
        let digest = self.log.as_ref().map(|_| of_request(&request));
        let middleware = &prepared.engine.options.middleware;
        for each in middleware {
            each.before_model(&mut request, &self.ctx).await?;
        }
        let number = Number { iteration, prompt_hash: prepared.watch(&request, &self.ctx)? };
        let mut reply = if middleware.is_empty() {
            self.call_model(prepared, request, number, &self.ctx).await?
        } else {
            let (this, own) = (Arc::clone(self), Arc::clone(prepared));
            let chain = model_chain(middleware, move |request, ctx| {
                let (this, own, number) = (Arc::clone(&this), Arc::clone(&own), number.clone());
                Box::pin(async move { this.call_model(&own, Arc::unwrap_or_clone(request), number, &ctx).await })
            });
            let mut reply = chain.run(Arc::new(request), self.ctx.clone()).await?;
            for each in middleware.iter().rev() {
                each.after_model(&mut reply, &self.ctx).await?;
            }
            reply
        };
        if let (Some(log), Some(digest)) = (&self.log, digest) {
            return self.said(log, prepared, reply, digest).await;
        }
        let mut state = self.transcript.lock();
        // Not what the middleware says was used: it may have made the call several times, or not at all.
        reply.usage = state.bill.take();
        state.machine.feed_reply(reply, prepared.rule())?;
        Ok(())
    }

    /// Accepts the answer, or tells the model what is wrong with it.
    async fn check(&self, prepared: &Prepared, text: String) -> Result<(), AgentError> {
        let Some(output) = &prepared.engine.output else { return Ok(()) };
        let read = output.read(&text, &self.ctx).await?;
        let mut state = self.transcript.lock();
        let message = match read {
            Ok(value) => return Ok(state.machine.accept(value)?),
            Err(message) => message,
        };
        let attempt = state.machine.rejections() + 1;
        if attempt > prepared.engine.options.output_retries || !state.machine.may_call_again() {
            return Err(AgentError::InvalidOutput { message, text });
        }
        let told = format!("That is no valid answer: {message}. Give the whole answer again, corrected.");
        state.machine.reject(&told)?;
        drop(state);
        self.ctx.emit(EventKind::OutputRejected { attempt, message });
        Ok(())
    }

    /// The run ends until somebody has said what is to be done with the calls that wait.
    fn suspended(&self, prepared: &Prepared) -> Result<RunResult, AgentError> {
        let spent = self.ctx.meter().map(Meter::spent).unwrap_or_default();
        let state = self.transcript.lock();
        let pending = PendingRun::of(self.ctx.run, self.key, &self.engine.options.name, &state, spent)
            .ok_or(crate::MachineError("to be suspended"))?
            .kept_as(self.log.as_ref().and_then(Log::name));
        let answer = Answer { text: String::new(), value: None, ending: Ending::Suspended(Box::new(pending)) };
        Ok(state.result(&prepared.engine.options.name, answer))
    }

    async fn finished(&self, prepared: &Prepared, answer: Answer) -> Result<RunResult, AgentError> {
        let mut result = self.transcript.lock().result(&prepared.engine.options.name, answer);
        if self.log.as_ref().is_some_and(|log| log.replayed().is_some()) {
            return Ok(result); // it is only looked at
        }
        for each in self.engine.options.middleware.iter().rev() {
            each.after_agent(&mut result, &self.ctx).await?;
        }
        // A hook may have left fewer messages than there were before the run.
        let added = result.messages.get(result.history..).unwrap_or_default();
        prepared.engine.memory.store(&prepared.context, added, &self.ctx).await?;
        Ok(result)
    }

    /// Records the end of the run in the machine and announces it.
    pub(crate) fn conclude(
        &self,
        outcome: Result<RunResult, AgentError>,
        started: Instant,
    ) -> Result<RunResult, RunError> {
        let elapsed_ms = millis(started.elapsed());
        match outcome {
            Ok(mut result) => {
                self.ctx.emit(match &result.pending {
                    Some(pending) => EventKind::RunSuspended { pending: pending.calls().len(), elapsed_ms },
                    None => {
                        let usage = Box::new(result.usage.clone());
                        EventKind::RunFinished { usage, cost: result.cost, elapsed_ms }
                    }
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

    fn record_failure(&self, error: &AgentError) {
        if matches!(error, AgentError::Failure(_) | AgentError::InvalidOutput { .. } | AgentError::Approval(_)) {
            return; // the machine knows, or its state is complete as it is
        }
        let mut state = self.transcript.lock();
        let (partial, usage) = state.bill.close();
        let failure = Failure::Effect { kind: error.kind(), message: error.to_string() };
        state.machine.fail(failure, partial, &usage);
    }

    /// Whether a handoff to that agent can be done, as what the model is told if not.
    pub(crate) fn may_hand_to(&self, prepared: &Prepared, target: &str) -> Result<(), ToolError> {
        match handoff::find(&self.engine, &prepared.engine, target) {
            Some(_) => Ok(()),
            None => Err(ToolError::failed(format!("there is no agent named {target:?} to hand over to"))),
        }
    }
}

impl Prepared {
    pub(crate) fn tools(&self) -> &Arc<Toolbox> {
        &self.toolbox
    }
}
