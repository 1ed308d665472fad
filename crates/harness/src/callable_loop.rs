//! Anything that can be called, called again and again.

use std::fmt;
use std::sync::Arc;

use atomr_agents_callable::{CallableError, CallableHandle};
use atomr_agents_core::{CallCtx, Kind, Value};
use atomr_agents_strategy::{HarnessState, LoopStep, LoopStrategy, StepEffect, StrategyError, StrategyFuture};

/// Calls a callable in each iteration with the working memory; what it answers is the next one. An answer
/// `{"kind": "continue", "working_memory": ...}` or `{"kind": "done", "output": ...}` is taken for a [`LoopStep`]. A callable
/// that never says that it is done goes on until it is ended.
#[derive(Clone)]
pub struct CallableLoop {
    body: CallableHandle,
    effect: StepEffect,
    talks: bool,
}

impl CallableLoop {
    /// Calls `body`.
    #[must_use]
    pub fn new(body: CallableHandle) -> Self {
        Self { body, effect: StepEffect::default(), talks: false }
    }

    /// Calls an agent, which takes text and answers with an object: it gets the working memory as text, and of its answer
    /// the next one is `value`, where there is one, and otherwise `text`.
    #[must_use]
    pub fn of_agent(body: CallableHandle) -> Self {
        Self { body, effect: StepEffect::default(), talks: true }
    }

    /// The same with this effect; [`StepEffect::Idempotent`] otherwise.
    #[must_use]
    pub fn with_effect(mut self, effect: StepEffect) -> Self {
        self.effect = effect;
        self
    }

    fn asked(&self, working_memory: &Value) -> Value {
        match working_memory {
            Value::String(_) => working_memory.clone(),
            other if self.talks => Value::String(other.to_string()),
            other => other.clone(),
        }
    }

    fn said(&self, mut answer: Value) -> Value {
        if !self.talks {
            return answer;
        }
        let field = if answer.get("value").is_some() { "value" } else { "text" };
        answer.get_mut(field).map(Value::take).unwrap_or(answer)
    }
}

impl LoopStrategy for CallableLoop {
    fn step<'a>(&'a self, state: &'a HarnessState, ctx: &'a CallCtx) -> StrategyFuture<'a, LoopStep> {
        Box::pin(async move {
            let answer = self.body.call(self.asked(&state.working_memory), ctx.clone()).await.map_err(failed)?;
            let answer = self.said(answer);
            match answer.get("kind").and_then(Value::as_str) {
                Some("continue" | "done") => serde_json::from_value(answer).map_err(|error| StrategyError::Failed {
                    family: "loop",
                    kind: Kind::Contract,
                    message: format!("{} answered with half a step: {error}", self.body.label()),
                    source: None,
                }),
                _ => Ok(LoopStep::proceed(answer)),
            }
        })
    }

    fn effect(&self) -> StepEffect {
        self.effect
    }
}

fn failed(error: CallableError) -> StrategyError {
    StrategyError::Failed {
        family: "loop",
        kind: error.kind(),
        message: error.to_string(),
        source: Some(Arc::new(error)),
    }
}

impl fmt::Debug for CallableLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallableLoop").field("body", &self.body.label()).field("effect", &self.effect).finish()
    }
}
