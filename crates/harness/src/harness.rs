//! Harnesses and how they are run.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use atomr_agents_observability::{EventBus, RunEvents};
use atomr_agents_strategy::{LoopStrategy, TerminationStrategy};

use crate::driver::Driver;
use crate::engine::Engine;
use crate::{HarnessError, HarnessFailure, HarnessOutcome, HarnessSpec};

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
    /// step deeper in the path, and what it uses is drawn from that run's budget, too.
    ///
    /// Cancelling the context, or dropping the future, ends the iteration that is under way.
    ///
    /// # Errors
    /// [`HarnessFailure`], with the state after the last iteration that ended. To be ended by a termination or by the
    /// budget is no error.
    pub async fn run(&self, input: Value, ctx: CallCtx) -> Result<HarnessOutcome, HarnessFailure> {
        Driver::begin(&self.engine, input, self.placed(ctx)).run().await
    }

    /// The context of a run: of its own, or one step deeper in that of another.
    fn placed(&self, ctx: CallCtx) -> (CallCtx, Option<Arc<RunEvents>>) {
        if ctx.has_sink() {
            return (ctx.child(&self.engine.spec.id), None);
        }
        let events = Arc::new(RunEvents::new(self.engine.options.buses.iter().cloned()));
        (ctx.scoped().with_sink(events.clone()), Some(events))
    }
}
