//! What a loop does in each iteration.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use serde::{Deserialize, Serialize};

use crate::{HarnessState, StrategyError, StrategyFuture};

/// Does one iteration of a loop after the other.
///
/// Dropping the future of a step ends it. A step that fails leaves the state as it was before. Implementations run
/// [`crate::conformance::check_loop`] in their tests.
pub trait LoopStrategy: Send + Sync + 'static {
    /// The next iteration. Where the run is kept in a store, `ctx.get::<IdempotencyKey>()` names this one: the same
    /// iteration has the same key in every attempt.
    fn step<'a>(&'a self, state: &'a HarnessState, ctx: &'a CallCtx) -> StrategyFuture<'a, LoopStep>;

    /// What may be done with an iteration of which is not known whether it has happened. The same for every iteration.
    fn effect(&self) -> StepEffect {
        StepEffect::Idempotent
    }
}

/// What came of an iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LoopStep {
    /// The loop goes on.
    Continue {
        /// What the next iteration gets.
        working_memory: Value,
        /// What this iteration is called in the history; may be empty.
        #[serde(default)]
        label: String,
    },
    /// The loop has reached what it is for.
    Done {
        /// The result.
        output: Value,
        /// What this iteration is called in the history; may be empty.
        #[serde(default)]
        label: String,
    },
}

impl LoopStep {
    /// The loop goes on with this.
    #[must_use]
    pub fn proceed(working_memory: Value) -> Self {
        Self::Continue { working_memory, label: String::new() }
    }

    /// The loop has reached what it is for.
    #[must_use]
    pub fn done(output: Value) -> Self {
        Self::Done { output, label: String::new() }
    }

    /// The same under a name.
    #[must_use]
    pub fn labelled(mut self, name: impl Into<String>) -> Self {
        match &mut self {
            Self::Continue { label, .. } | Self::Done { label, .. } => *label = name.into(),
        }
        self
    }

    /// What the iteration is called.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Continue { label, .. } | Self::Done { label, .. } => label,
        }
    }
}

/// What may be done with an iteration of which is not known whether it has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEffect {
    /// It changes nothing outside: it is run again.
    None,
    /// Done twice under the same key it is done once: it is run again, with the same key.
    #[default]
    Idempotent,
    /// It must not be done twice: the run stops until somebody says what came of it.
    Once,
}

impl StepEffect {
    /// Its name: `none`, `idempotent` or `once`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Idempotent => "idempotent",
            Self::Once => "once",
        }
    }
}

impl FromStr for StepEffect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::None, Self::Idempotent, Self::Once]
            .into_iter()
            .find(|effect| effect.as_str() == text)
            .ok_or_else(|| format!("an effect is none, idempotent or once, not {text:?}"))
    }
}

/// Names an iteration, the same in every attempt: what is done under it twice shall count once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(pub Arc<str>);

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Always does the same.
#[derive(Clone, Debug)]
pub struct StaticLoop(LoopStep);

impl StaticLoop {
    /// Answers each iteration with `step`.
    #[must_use]
    pub fn new(step: LoopStep) -> Self {
        Self(step)
    }
}

impl LoopStrategy for StaticLoop {
    fn step<'a>(&'a self, _state: &'a HarnessState, _ctx: &'a CallCtx) -> StrategyFuture<'a, LoopStep> {
        Box::pin(async move { Ok(self.0.clone()) })
    }

    fn effect(&self) -> StepEffect {
        StepEffect::None
    }
}

type Step = dyn Fn(HarnessState, CallCtx) -> StrategyFuture<'static, LoopStep> + Send + Sync;

/// A closure as a loop strategy.
#[derive(Clone)]
pub struct FnLoop {
    step: Arc<Step>,
    effect: StepEffect,
}

impl FnLoop {
    /// Calls `step` in each iteration.
    ///
    /// ```
    /// use atomr_agents_core::CallCtx;
    /// use atomr_agents_strategy::{FnLoop, HarnessState, LoopStep, LoopStrategy};
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let count = FnLoop::new(|state, _ctx| async move { Ok(LoopStep::proceed(json!(state.iteration + 1))) });
    /// let step = count.step(&HarnessState::new(json!(0)), &CallCtx::new()).await.unwrap();
    /// assert_eq!(step, LoopStep::proceed(json!(1)));
    /// # }
    /// ```
    #[must_use]
    pub fn new<F, Fut>(step: F) -> Self
    where
        F: Fn(HarnessState, CallCtx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<LoopStep, StrategyError>> + Send + 'static,
    {
        Self { step: Arc::new(move |state, ctx| Box::pin(step(state, ctx))), effect: StepEffect::default() }
    }

    /// The same with this effect; [`StepEffect::Idempotent`] otherwise.
    #[must_use]
    pub fn with_effect(mut self, effect: StepEffect) -> Self {
        self.effect = effect;
        self
    }
}

impl fmt::Debug for FnLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnLoop").field("effect", &self.effect).finish_non_exhaustive()
    }
}

impl LoopStrategy for FnLoop {
    fn step<'a>(&'a self, state: &'a HarnessState, ctx: &'a CallCtx) -> StrategyFuture<'a, LoopStep> {
        (self.step)(state.clone(), ctx.clone())
    }

    fn effect(&self) -> StepEffect {
        self.effect
    }
}

impl<S: LoopStrategy + ?Sized> LoopStrategy for Arc<S> {
    fn step<'a>(&'a self, state: &'a HarnessState, ctx: &'a CallCtx) -> StrategyFuture<'a, LoopStep> {
        (**self).step(state, ctx)
    }

    fn effect(&self) -> StepEffect {
        (**self).effect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_step_is_written_as_python_writes_it_and_an_effect_has_three_names() {
        let step = LoopStep::proceed(json!({"n": 1})).labelled("count");
        let written = json!({"kind": "continue", "working_memory": {"n": 1}, "label": "count"});
        assert_eq!(serde_json::to_value(&step).unwrap(), written);
        let read: LoopStep = serde_json::from_value(json!({"kind": "done", "output": 7})).unwrap();
        assert_eq!(read, LoopStep::done(json!(7)));
        for effect in [StepEffect::None, StepEffect::Idempotent, StepEffect::Once] {
            assert_eq!(effect.as_str().parse(), Ok(effect));
            assert_eq!(serde_json::to_value(effect).unwrap(), effect.as_str());
        }
        assert!("twice".parse::<StepEffect>().unwrap_err().contains("idempotent"));
    }
}
