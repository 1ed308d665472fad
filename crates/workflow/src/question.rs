//! Questions and replays for steps that are written in another language: such a step cannot wait inside a plain function.

use std::sync::{Arc, Mutex};

use atomr_agents_core::{CallCtx, Kind, Value};
use atomr_agents_state::{Body, EffectKey};

use crate::ctx::Inner;
use crate::{NodeCtx, NodeError};

/// A question that has its place among those of the step, and may be answered already.
#[derive(Clone, Debug)]
pub struct Question {
    ctx: NodeCtx,
    key: EffectKey,
}

impl Question {
    /// What an answer names.
    #[must_use]
    pub fn id(&self) -> String {
        self.key.to_string()
    }

    /// The answer, if it is recorded and small enough to be at hand. `None` where it must be waited for, which may be short.
    ///
    /// # Errors
    /// What is recorded cannot be read.
    pub fn answered(&self) -> Result<Option<Value>, NodeError> {
        let recorded = self.ctx.0.run.live().journal.recorded(&self.key).and_then(|recorded| recorded.outcome);
        match recorded.as_ref().and_then(|outcome| outcome.bodies.first()) {
            Some(Body::Inline(raw)) => serde_json::from_str(raw.get()).map(Some).map_err(|error| {
                NodeError::failed(Kind::Corrupt, format!("what was recorded as {}: {error}", self.key))
            }),
            _ => Ok(None),
        }
    }

    /// Asks, and waits for the answer, as [`NodeCtx::interrupt`] does.
    ///
    /// # Errors
    /// When the log of the run cannot be read.
    pub async fn wait(self, value: Value) -> Result<Value, NodeError> {
        let Self { ctx, key } = self;
        ctx.ask(key, value).await
    }
}

impl NodeCtx {
    /// The next question of the step, not asked yet.
    #[must_use]
    pub fn question(&self) -> Question {
        Question { ctx: self.clone(), key: self.key("interrupt") }
    }

    /// The same attempt from its beginning: what it asks for is what was asked for and recorded before.
    #[must_use]
    pub fn again(&self) -> Self {
        let was = &self.0;
        Self(Arc::new(Inner {
            run: Arc::clone(&was.run),
            call: was.call.clone(),
            life: Arc::clone(&was.life),
            key_step: was.key_step,
            path: Arc::clone(&was.path),
            step: was.step,
            node: Arc::clone(&was.node),
            attempt: was.attempt,
            counts: Mutex::default(),
        }))
    }

    /// The context of whoever drives the run now. A step whose frame was kept while the run was suspended began under another.
    #[must_use]
    pub fn caller(&self) -> CallCtx {
        self.0.run.live().ctx.clone()
    }
}
