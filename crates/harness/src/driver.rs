//! Runs a harness.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use atomr_agents_core::{Amount, Budget, BudgetExceeded, CallCtx, EventKind, Kind, Meter, Money, Resource, Value};
use atomr_agents_observability::{Hold, RunEvents};
use atomr_agents_strategy::{HarnessState, LoopStep, StepEvent, StrategyError, Verdict};
use futures_util::FutureExt;

use crate::engine::Engine;
use crate::limit::{Limit, millis, wait};
use crate::log::{Log, Past, Written};
use crate::{Ended, HarnessError, HarnessFailure, HarnessOutcome};

/// How long an iteration may take to end once it was cancelled.
const WIND_DOWN: Duration = Duration::from_secs(1);

/// How long it may take when the time is up: whoever set the limit waits for it.
const LATE: Duration = Duration::from_millis(30);

/// One run of a harness.
pub(crate) struct Driver {
    engine: Arc<Engine>,
    ctx: CallCtx,
    events: Option<Arc<RunEvents>>,
    log: Log,
    state: HarnessState,
    /// The termination's own.
    notes: Value,
    /// What its last iteration said, if that was written in a process before.
    done: Option<LoopStep>,
    /// What came of the next iteration, if somebody found out.
    settled: Option<LoopStep>,
    meter: Meter,
    limit: Option<Limit>,
    begun: Instant,
    /// How long it had run before.
    before: Duration,
}

/// Why a run is ended before its loop ends.
enum Early {
    Cancelled,
    Lost,
    Late(Limit),
}

/// What a run begins with.
pub(crate) struct Start {
    pub(crate) log: Log,
    pub(crate) past: Past,
    pub(crate) ctx: CallCtx,
    pub(crate) events: Option<Arc<RunEvents>>,
}

impl Driver {
    pub(crate) fn new(engine: &Arc<Engine>, start: Start) -> Self {
        let Start { log, past: Past { state, notes, done, settled }, ctx, events } = start;
        let budget = engine.spec.budget;
        let meter = ctx.meter().map_or_else(|| Meter::new(budget), |outer| outer.child(budget));
        match meter.reserve(Amount::default()) {
            Ok(nothing) if log.counts_above() => nothing.settle(state.spent),
            _ => meter.carry_over(state.spent),
        }
        let limit = Limit::of(budget.time, state.elapsed, &ctx);
        let mut ctx = ctx.with_meter(meter.clone());
        // Everything below sees how much time is left, so that nobody begins a wait that cannot end in time.
        ctx.deadline = limit.map(|limit| limit.at).or(ctx.deadline);
        let (engine, before, begun) = (Arc::clone(engine), state.elapsed, Instant::now());
        Self { engine, ctx, events, log, state, notes, done, settled, meter, limit, begun, before }
    }

    pub(crate) async fn run(mut self) -> Result<HarnessOutcome, HarnessFailure> {
        // Whatever was started below this run ends with it, however it ends.
        let _end = self.ctx.cancel.clone().drop_guard();
        let harness = self.engine.spec.id.clone();
        self.ctx.emit(EventKind::HarnessStarted { harness, iteration: self.state.iteration });
        let untold = Untold { ctx: self.ctx.clone(), events: self.events.clone(), begun: self.begun };
        let result = self.guarded().await;
        std::mem::forget(untold);
        self.conclude(result).await
    }

    /// The loop, ended by whatever comes first: its end, cancellation, or the limit on its time. When it is ended early,
    /// the iteration is told and waited for, so that nothing runs on once the caller knows.
    async fn guarded(&mut self) -> Result<HarnessOutcome, HarnessError> {
        let (cancel, lost, limit) = (self.ctx.cancel.clone(), self.log.lost(), self.limit);
        let early = {
            let mut turns = pin!(self.turns());
            let early = tokio::select! {
                biased;
                () = cancel.cancelled() => Early::Cancelled,
                result = &mut turns => return result,
                () = lost.cancelled() => Early::Lost,
                limit = wait(limit) => Early::Late(limit),
            };
            cancel.cancel();
            let grace = if let Early::Late(_) = early { LATE } else { WIND_DOWN };
            // An iteration that ends in time counts; what does not is dropped.
            if let Ok(Ok(outcome)) = tokio::time::timeout(grace, turns).await {
                return Ok(outcome);
            }
            early
        };
        match early {
            Early::Cancelled => Err(HarnessError::Cancelled),
            Early::Lost => Err(HarnessError::Lost { run: self.log.run().to_owned() }),
            Early::Late(limit) => self.too_late(limit).await,
        }
    }

    async fn too_late(&mut self, limit: Limit) -> Result<HarnessOutcome, HarnessError> {
        if !limit.budget {
            return Err(HarnessError::Timeout { after: limit.whole });
        }
        self.refresh();
        self.used_up(&limit.exceeded()).await
    }

    async fn turns(&mut self) -> Result<HarnessOutcome, HarnessError> {
        if let Some(LoopStep::Done { output, label }) = self.done.take() {
            self.refresh();
            return self.ended(Ended::Done { label }, Some(output)).await;
        }
        loop {
            if self.ctx.cancel.is_cancelled() {
                return Err(HarnessError::Cancelled);
            }
            self.refresh();
            let iteration = self.state.iteration + 1;
            let asked = self.engine.termination.should_terminate(&self.state, &mut self.notes, &self.ctx);
            let verdict = asked.await.map_err(|error| HarnessError::Termination { iteration, error })?;
            if let Verdict::Stop(reason) = verdict {
                return self.ended(Ended::Terminated { reason }, None).await;
            }
            if let Err(exceeded) = self.charge() {
                return self.used_up(&exceeded).await;
            }
            match self.iterate(iteration).await {
                Ok(LoopStep::Continue { .. }) => {}
                Ok(LoopStep::Done { output, label }) => return self.ended(Ended::Done { label }, Some(output)).await,
                Err(HarnessError::Step { error, .. }) if self.is_budget(&error) => {
                    self.refresh();
                    return self.ended(Ended::terminated(format!("budget: {error}")), None).await;
                }
                Err(HarnessError::Step { error, .. })
                    if error.kind() == Kind::Timeout && self.limit.is_some_and(|limit| limit.has_passed()) =>
                {
                    // What runs below may be the first to notice that the time is up.
                    return std::future::pending().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One iteration, from what is written before it to what is written after it.
    async fn iterate(&mut self, iteration: u64) -> Result<LoopStep, HarnessError> {
        let (begun, meter) = (Instant::now(), self.meter.child(Budget::default()));
        let step = match self.settled.take() {
            Some(step) => step,
            None => self.step(iteration, meter.clone()).await?,
        };
        let event = StepEvent {
            iteration,
            label: step.label().to_owned(),
            time_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
            elapsed_ms: millis(begun.elapsed()),
            spent: meter.spent(),
        };
        let told = EventKind::HarnessIteration {
            harness: self.engine.spec.id.clone(),
            iteration,
            label: event.label.clone(),
            tokens: event.spent.tokens,
            remaining_tokens: self.meter.free(Resource::Tokens),
            elapsed_ms: event.elapsed_ms,
        };
        let handed_on = match &step {
            LoopStep::Continue { working_memory, .. } => Some(Arc::new(working_memory.clone())),
            LoopStep::Done { .. } => None,
        };
        let before = Arc::clone(&self.state.working_memory);
        self.state.advance(event, handed_on);
        self.refresh();
        // It is told once it is written, and its event is written with it.
        let hold = self.hold();
        self.ctx.emit(told);
        let written = Written { step: &step, before: &before, state: &self.state, notes: &self.notes };
        if let Err(error) = self.log.record(written).await {
            // It counts only when it is written.
            self.state.retract(before);
            if let Some(hold) = hold {
                hold.discard();
            }
            return Err(error);
        }
        Ok(step)
    }

    fn hold(&self) -> Option<Hold> {
        self.events.as_ref().map(RunEvents::hold)
    }

    async fn step(&self, iteration: u64, meter: Meter) -> Result<LoopStep, HarnessError> {
        self.log.intend(iteration).await?;
        let mut ctx = self.ctx.scoped().with_meter(meter).with(self.log.key(iteration));
        if let Some(scope) = self.log.scope(iteration) {
            ctx = ctx.with(scope);
        }
        let step = AssertUnwindSafe(self.engine.body.step(&self.state, &ctx)).catch_unwind().await;
        step.unwrap_or_else(|_| Err(panicked())).map_err(|error| HarnessError::Step { iteration, error })
    }

    /// Charges the next iteration, here and above.
    fn charge(&self) -> Result<(), BudgetExceeded> {
        let one = Amount { iterations: 1, ..Amount::default() };
        // It is not held while the iteration runs: those below would wait for what is never given back.
        let count = || self.meter.reserve(one).map(|reservation| reservation.settle(one));
        let limits = |resource| u64::from(self.meter.limits(resource));
        let least = Amount {
            tokens: limits(Resource::Tokens),
            cost: Money::from_micro_usd(limits(Resource::Cost)),
            ..Amount::default()
        };
        match self.meter.reserve(least) {
            Err(exceeded) if !self.meter.may_be_freed(&exceeded) => Err(exceeded),
            _ => count(),
        }
    }

    /// Whether a step failed because a budget is used up that is this run's too.
    fn is_budget(&self, error: &StrategyError) -> bool {
        let limits = [Resource::Tokens, Resource::Cost, Resource::Iterations, Resource::ToolCalls];
        error.kind() == Kind::BudgetExceeded && limits.into_iter().any(|resource| self.meter.limits(resource))
    }

    async fn used_up(&mut self, exceeded: &BudgetExceeded) -> Result<HarnessOutcome, HarnessError> {
        self.ended(Ended::terminated(format!("budget: {exceeded}")), None).await
    }

    /// The run ends well. Where no output is given, it is the working memory.
    async fn ended(&mut self, ended: Ended, output: Option<Value>) -> Result<HarnessOutcome, HarnessError> {
        let outcome = HarnessOutcome {
            run: self.log.run().to_owned(),
            output: output.unwrap_or_else(|| (*self.state.working_memory).clone()),
            ended,
            iterations: self.state.iteration,
            spent: self.state.spent,
            elapsed: self.state.elapsed,
        };
        let hold = self.hold();
        self.ctx.emit(EventKind::HarnessFinished {
            harness: self.engine.spec.id.clone(),
            iteration: outcome.iterations,
            reason: outcome.ended.reason().map(str::to_owned),
            elapsed_ms: millis(outcome.elapsed),
        });
        if let Err(error) = self.log.finish(&outcome).await {
            if let Some(hold) = hold {
                hold.discard();
            }
            return Err(error);
        }
        Ok(outcome)
    }

    /// Brings what is counted in the state up to date.
    fn refresh(&mut self) {
        let left = |resource| self.meter.free(resource);
        self.state.spent = self.meter.spent();
        self.state.elapsed = self.before.saturating_add(self.begun.elapsed());
        self.state.remaining = Budget {
            tokens: left(Resource::Tokens),
            cost: left(Resource::Cost).map(Money::from_micro_usd),
            time: self.limit.map(|limit| limit.at.saturating_duration_since(Instant::now())),
            iterations: left(Resource::Iterations),
            tool_calls: left(Resource::ToolCalls),
        };
    }

    /// Ends the stream of its events; a failure is announced, and written.
    async fn conclude(
        mut self,
        result: Result<HarnessOutcome, HarnessError>,
    ) -> Result<HarnessOutcome, HarnessFailure> {
        let result = match result {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                self.refresh();
                let elapsed_ms = millis(self.begun.elapsed());
                self.ctx.emit(EventKind::RunFailed { error: error.kind(), message: error.to_string(), elapsed_ms });
                self.log.fail(&error, &self.state).await;
                Err(HarnessFailure { error, run: self.log.run().to_owned(), state: Box::new(self.state) })
            }
        };
        if let Some(events) = &self.events {
            events.close();
        }
        result
    }
}

fn panicked() -> StrategyError {
    StrategyError::Failed { family: "loop", kind: Kind::Guest, message: "it panicked".into(), source: None }
}

/// Announces the end of a run that was dropped before its end, so that those who listen are not left waiting.
struct Untold {
    ctx: CallCtx,
    events: Option<Arc<RunEvents>>,
    begun: Instant,
}

impl Drop for Untold {
    fn drop(&mut self) {
        let (message, elapsed_ms) = ("the run was dropped".to_owned(), millis(self.begun.elapsed()));
        self.ctx.emit(EventKind::RunFailed { error: Kind::Cancelled, message, elapsed_ms });
        if let Some(events) = &self.events {
            events.close();
        }
    }
}
