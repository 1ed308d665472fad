//! A name, tags and metadata for a part of a run.

use std::fmt;

use atomr_agents_core::{CallCtx, Value};
use futures_util::future::BoxFuture;
use serde_json::Map;

use crate::error::alive;
use crate::{Callable, CallableError};

/// A name, tags and metadata for a part of a run. Everything below finds it with `ctx.get::<RunConfig>()`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunConfig {
    /// What the part is called; it also extends the path of the context.
    pub run_name: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Anything else that shall be known about it.
    pub metadata: Map<String, Value>,
}

impl RunConfig {
    /// This one inside `outer`: its name wins, tags are added, metadata is laid over the outer one.
    #[must_use]
    pub fn within(&self, outer: &RunConfig) -> RunConfig {
        let mut tags = outer.tags.clone();
        for tag in &self.tags {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let mut metadata = outer.metadata.clone();
        metadata.extend(self.metadata.clone());
        RunConfig { run_name: self.run_name.clone().or_else(|| outer.run_name.clone()), tags, metadata }
    }
}

/// Calls another callable with a [`RunConfig`] in its context.
pub struct WithConfig {
    inner: Box<dyn Callable>,
    config: RunConfig,
}

impl WithConfig {
    /// Calls `inner` with this configuration.
    #[must_use]
    pub fn new(inner: impl Callable, config: RunConfig) -> Self {
        Self { inner: Box::new(inner), config }
    }
}

impl Callable for WithConfig {
    fn label(&self) -> &str {
        self.config.run_name.as_deref().filter(|name| !name.is_empty()).unwrap_or_else(|| self.inner.label())
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            alive(self.label(), &ctx)?;
            let config = match ctx.get::<RunConfig>() {
                Some(outer) => self.config.within(&outer),
                None => self.config.clone(),
            };
            let ctx = match &self.config.run_name {
                Some(name) if !name.is_empty() => ctx.child(name),
                _ => ctx,
            };
            self.inner.call(input, ctx.with(config)).await
        })
    }
}

impl fmt::Debug for WithConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithConfig").field("inner", &self.inner.label()).field("config", &self.config).finish()
    }
}
