//! One callable after the other.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use futures_util::future::BoxFuture;
use serde_json::Map;

use crate::error::alive;
use crate::{Callable, CallableError, CallableHandle, FanOut, Passthrough};

/// One callable after the other: each is given what the one before it answered.
#[derive(Clone)]
pub struct Pipeline {
    label: String,
    stages: Vec<Stage>,
}

#[derive(Clone)]
enum Stage {
    Then(CallableHandle),
    Assign(String, CallableHandle),
}

impl Pipeline {
    /// Begins a pipeline with this callable.
    pub fn from(first: impl Callable) -> PipelineBuilder {
        PipelineBuilder { label: "pipeline".into(), stages: vec![Stage::Then(Arc::new(first))], fault: None }
    }
}

/// Collects the stages of a [`Pipeline`].
#[derive(Clone, Debug)]
#[must_use = "build() makes the pipeline"]
pub struct PipelineBuilder {
    label: String,
    stages: Vec<Stage>,
    fault: Option<CallableError>,
}

impl PipelineBuilder {
    /// Then this.
    pub fn then(mut self, next: impl Callable) -> Self {
        self.stages.push(Stage::Then(Arc::new(next)));
        self
    }

    /// Then put what `callable` makes of the value into the value, under `key`. A value that is no object becomes
    /// `{"input": value}` first.
    pub fn assign(mut self, key: impl Into<String>, callable: impl Callable) -> Self {
        self.stages.push(Stage::Assign(key.into(), Arc::new(callable)));
        self
    }

    /// Then nothing: a place for a stage that is not there.
    pub fn passthrough(self) -> Self {
        self.then(Passthrough)
    }

    /// Then all of these at once: see [`FanOut`].
    pub fn fan_out_with<N: Into<String>>(mut self, branches: impl IntoIterator<Item = (N, CallableHandle)>) -> Self {
        match FanOut::new(branches) {
            Ok(fan_out) => self.then(fan_out),
            Err(fault) => {
                self.fault = self.fault.or(Some(fault));
                self
            }
        }
    }

    /// What errors and reports shall call it; `pipeline` unless told otherwise.
    pub fn named(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Makes the pipeline. The builder can go on and build again.
    ///
    /// # Errors
    /// The first stage that cannot be made, as [`CallableError::Invalid`].
    pub fn build(&self) -> Result<Pipeline, CallableError> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(Pipeline { label: self.label.clone(), stages: self.stages.clone() }),
        }
    }
}

impl Callable for Pipeline {
    fn label(&self) -> &str {
        &self.label
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            let mut value = input;
            for stage in &self.stages {
                alive(&self.label, &ctx)?;
                value = match stage {
                    Stage::Then(callable) => callable.call(value, ctx.clone()).await?,
                    Stage::Assign(key, callable) => {
                        let made = callable.call(value.clone(), ctx.clone()).await?;
                        let mut object = match value {
                            Value::Object(object) => object,
                            other => Map::from_iter([("input".to_owned(), other)]),
                        };
                        object.insert(key.clone(), made);
                        Value::Object(object)
                    }
                };
            }
            Ok(value)
        })
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Then(callable) => f.write_str(callable.label()),
            Self::Assign(key, callable) => write!(f, "{key} = {}", callable.label()),
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("label", &self.label).field("stages", &self.stages).finish()
    }
}
