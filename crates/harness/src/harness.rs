//! Harnesses and how they are run.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use atomr_agents_observability::{EventBus, RunEvents};
use atomr_agents_state::{JournalOptions, JournalScope, Store};
use atomr_agents_strategy::{HarnessState, LoopStrategy, TerminationStrategy};

use crate::driver::{Driver, Start};
use crate::engine::Engine;
use crate::kept::Kept;
use crate::log::{Log, Past};
use crate::within::Within;
use crate::{HarnessError, HarnessFailure, HarnessOutcome, HarnessSpec, Settlement};

/// A harness whose strategies are known by type. It runs on the same engine as [`BoxedHarness`], to which it
/// dereferences.
#[derive(Debug)]
pub struct Harness<L, T> {
    inner: BoxedHarness,
    strategies: PhantomData<fn() -> (L, T)>,
}

impl<L: LoopStrategy, T: TerminationStrategy> Harness<L, T> {
    /// A harness that does `body` until it is done or `termination` ends it.
    ///
    /// # Errors
    /// [`HarnessError::Config`] for a name or version that cannot be used, and where nothing ends every loop: neither
    /// `termination` (see [`TerminationStrategy::ends_every_loop`]) nor a budget of iterations or time.
    pub fn new(spec: HarnessSpec, body: L, termination: T) -> Result<Self, HarnessError> {
        let inner = BoxedHarness::new(spec, Arc::new(body), Arc::new(termination))?;
        Ok(Self { inner, strategies: PhantomData })
    }

    /// The same harness, run another way.
    #[must_use]
    pub fn with_options(self, options: HarnessOptions) -> Self {
        Self { inner: self.inner.with_options(options), strategies: PhantomData }
    }
}

impl<L, T> Clone for Harness<L, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), strategies: PhantomData }
    }
}

impl<L, T> Deref for Harness<L, T> {
    type Target = BoxedHarness;

    fn deref(&self) -> &BoxedHarness {
        &self.inner
    }
}

impl<L, T> From<Harness<L, T>> for BoxedHarness {
    fn from(harness: Harness<L, T>) -> Self {
        harness.inner
    }
}

/// How a harness is run.
#[derive(Clone, Debug, Default)]
pub struct HarnessOptions {
    /// Who is told the events of every run.
    pub buses: Vec<EventBus>,
    /// Where runs are kept; without one they end with their process.
    pub store: Option<Arc<dyn Store>>,
    /// How they are written. Each run is written under a name of its own as `owner`.
    pub journal: JournalOptions,
}

/// A harness whose strategies are known by their traits only. Cheap to clone; one harness has many runs at once.
#[derive(Clone, Debug)]
pub struct BoxedHarness {
    pub(crate) engine: Arc<Engine>,
}

impl BoxedHarness {
    /// As [`Harness::new`].
    ///
    /// # Errors
    /// As [`Harness::new`].
    pub fn new(
        spec: HarnessSpec,
        body: Arc<dyn LoopStrategy>,
        termination: Arc<dyn TerminationStrategy>,
    ) -> Result<Self, HarnessError> {
        let engine = Engine { spec, body, termination, options: HarnessOptions::default() };
        engine.check()?;
        Ok(Self { engine: Arc::new(engine) })
    }

    /// The same harness, run another way.
    #[must_use]
    pub fn with_options(self, options: HarnessOptions) -> Self {
        let Engine { spec, body, termination, .. } = &*self.engine;
        let (spec, body, termination) = (spec.clone(), Arc::clone(body), Arc::clone(termination));
        Self { engine: Arc::new(Engine { spec, body, termination, options }) }
    }

    /// What it is called and what it may use.
    #[must_use]
    pub fn spec(&self) -> &HarnessSpec {
        &self.engine.spec
    }

    /// Runs it. A context that has listeners of its own makes it a part of another run: its events join that stream, one
    /// step deeper in the path, and what it uses is drawn from that run's budget, too. Where that run is kept
    /// ([`JournalScope`]), its iterations are kept there; otherwise, where there is a store, under the text of the id in
    /// `ctx`.
    ///
    /// Cancelling the context, or dropping the future, ends the iteration that is under way.
    ///
    /// # Errors
    /// [`HarnessFailure`], with the state after the last iteration that ended. To be ended by a termination or by the
    /// budget is no error.
    pub async fn run(&self, input: Value, ctx: CallCtx) -> Result<HarnessOutcome, HarnessFailure> {
        let Some(scope) = ctx.get::<JournalScope>() else { return self.run_as("", input, ctx).await };
        let within = Within::new(&scope, &self.engine.spec, self.engine.body.effect());
        match within.past(input).await {
            Ok(past) => self.drive(Log::Within(within), past, ctx).await,
            Err(error) => Err(failure(error, within.run(), HarnessState::default())),
        }
    }

    /// Runs it under a name of the caller's, by which it can be resumed. An empty one is the text of the id in `ctx`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use atomr_agents_core::CallCtx;
    /// use atomr_agents_harness::{FnLoop, Harness, HarnessOptions, HarnessSpec, IterationCap, LoopStep};
    /// use atomr_agents_state::MemoryStore;
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Arc::new(MemoryStore::new());
    /// let harness = |breaks: bool| {
    ///     let step = FnLoop::new(move |state, _ctx| async move {
    ///         assert!(!(breaks && state.iteration == 2), "here");
    ///         Ok(LoopStep::proceed(json!(state.iteration + 1)))
    ///     });
    ///     let options = HarnessOptions { store: Some(store.clone()), ..HarnessOptions::default() };
    ///     Harness::new(HarnessSpec::new("count", "1"), step, IterationCap(5)).map(|made| made.with_options(options))
    /// };
    /// let failure = harness(true)?.run_as("r1", json!(0), CallCtx::new()).await.unwrap_err();
    /// assert_eq!(failure.state.iteration, 2);
    /// let outcome = harness(false)?.resume("r1", CallCtx::new()).await?;
    /// assert_eq!((outcome.iterations, outcome.output), (5, json!(5)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`BoxedHarness::run`], and where a run of that name is there.
    pub async fn run_as(&self, name: &str, input: Value, ctx: CallCtx) -> Result<HarnessOutcome, HarnessFailure> {
        let named = if name.is_empty() { ctx.run.to_string() } else { name.to_owned() };
        let Some(store) = &self.engine.options.store else {
            let past = Past { state: HarnessState::new(input), ..Past::default() };
            return self.drive(Log::Nowhere { run: named }, past, ctx).await;
        };
        let what = (&self.engine.spec, self.engine.body.effect());
        let begun = Kept::begin(Arc::clone(store), self.journal(), what, (&named, ctx.run, &input)).await;
        let past = Past { state: HarnessState::new(input), ..Past::default() };
        match begun {
            Ok(kept) => self.drive(Log::Own(kept), past, ctx).await,
            Err(error) => Err(failure(error, &named, past.state)),
        }
    }

    /// Goes on with a run, in whatever process: after the last iteration that was written, with what was spent by then.
    ///
    /// # Errors
    /// As [`BoxedHarness::run`]; where there is no run of that name, it is over, somebody works on it, or it was begun by
    /// another version; and where an iteration that must not be run twice was begun and has no outcome.
    pub async fn resume(&self, run: &str, ctx: CallCtx) -> Result<HarnessOutcome, HarnessFailure> {
        self.resume_with(run, Settlement::Unknown, ctx).await
    }

    /// The same, with a word about the iteration whose outcome is not known.
    ///
    /// # Errors
    /// As [`BoxedHarness::resume`], and where there is no such iteration.
    pub async fn resume_with(
        &self,
        run: &str,
        settlement: Settlement,
        mut ctx: CallCtx,
    ) -> Result<HarnessOutcome, HarnessFailure> {
        let nowhere = |error: HarnessError| failure(error, run, HarnessState::default());
        let Some(store) = &self.engine.options.store else {
            let message = "without a store nothing is kept that could be gone on with".to_owned();
            return Err(nowhere(HarnessError::Config { setting: "store", message }));
        };
        let what = (&self.engine.spec, self.engine.body.effect());
        let resumed = Kept::resume(Arc::clone(store), self.journal(), what, run).await;
        let (kept, mut past) = resumed.map_err(|error| nowhere(error.into()))?;
        ctx.run = kept.id();
        let unknown = kept.unknown(past.state.iteration + 1).filter(|_| past.done.is_none());
        match (unknown, settlement) {
            (Some(error), Settlement::Unknown) => {
                let error = HarnessError::from(error);
                kept.fail(&error, &past.state).await;
                return Err(failure(error, run, past.state));
            }
            (None, Settlement::RunAgain | Settlement::Was(_)) => {
                let message = format!("of run {run:?} no iteration is in doubt: resume it without a word about one");
                return Err(failure(HarnessError::Config { setting: "settlement", message }, run, past.state));
            }
            (Some(_), Settlement::Was(step)) => past.settled = Some(step),
            (Some(_), Settlement::RunAgain) | (None, Settlement::Unknown) => {}
        }
        self.drive(Log::Own(kept), past, ctx).await
    }

    async fn drive(&self, log: Log, past: Past, ctx: CallCtx) -> Result<HarnessOutcome, HarnessFailure> {
        let (ctx, events) = self.placed(ctx, &log);
        Driver::new(&self.engine, Start { log, past, ctx, events }).run().await
    }

    /// Each run has a writer of its own, or two that work on one would not keep each other out.
    fn journal(&self) -> JournalOptions {
        JournalOptions { owner: JournalOptions::default().owner, ..self.engine.options.journal.clone() }
    }

    /// The context of a run: of its own, or one step deeper in that of another.
    fn placed(&self, ctx: CallCtx, log: &Log) -> (CallCtx, Option<Arc<RunEvents>>) {
        if ctx.has_sink() {
            return (ctx.child(&self.engine.spec.id), None);
        }
        let mut events = RunEvents::new(self.engine.options.buses.iter().cloned());
        if let Log::Own(kept) = log {
            events = kept.recording(events);
        }
        let events = Arc::new(events);
        (ctx.scoped().with_sink(events.clone()), Some(events))
    }
}

fn failure(error: impl Into<HarnessError>, run: &str, state: HarnessState) -> HarnessFailure {
    HarnessFailure { error: error.into(), run: run.to_owned(), state: Box::new(state) }
}
