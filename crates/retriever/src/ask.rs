//! Asking a model for JSON of a shape.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Kind, Message, ModelRequest, OutputSchema, Value};
use atomr_agents_inference::{InferenceClient, InferenceError};
use atomr_agents_parser::{JsonSchema, Parser};

use crate::RetrieveError;

/// A model of a client.
#[derive(Clone)]
pub(crate) struct Model {
    client: Arc<dyn InferenceClient>,
    name: String,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.name, self.client.provider())
    }
}

impl Model {
    pub(crate) fn new(client: Arc<dyn InferenceClient>, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// An answer of this shape. One that is of another shape is told back to the model once.
    ///
    /// `check` makes what is wanted of it, or says what is wrong with it.
    pub(crate) async fn ask<T>(
        &self,
        what: &'static str,
        (system, user): (&str, String),
        schema: Value,
        ctx: &CallCtx,
        check: impl Fn(Value) -> Result<T, String>,
    ) -> Result<T, RetrieveError> {
        let failed = |kind, message: String, source: Option<InferenceError>| RetrieveError::Failed {
            what: format!("{what} by {}", self.name),
            kind,
            message,
            source: source.map(|error| Arc::new(error) as Arc<dyn std::error::Error + Send + Sync>),
        };
        let parser = JsonSchema::new(schema.clone()).map_err(|error| failed(error.kind(), error.to_string(), None))?;
        let mut messages = vec![Message::system(system), Message::user(user)];
        let mut repaired = false;
        loop {
            let mut request = ModelRequest::new(&*self.name, messages.clone());
            request.output = Some(OutputSchema { name: what.replace(' ', "_"), schema: schema.clone(), strict: false });
            let reply = atomr_agents_inference::run(&*self.client, Arc::new(request), ctx.clone())
                .await
                .map_err(|error| failed(error.kind(), error.to_string(), Some(error)))?;
            let text = reply.message.text();
            let read = parser.parse(&text).map_err(|error| error.to_string()).and_then(&check);
            match read {
                Ok(value) => return Ok(value),
                Err(problem) if repaired => return Err(failed(Kind::InvalidOutput, problem, None)),
                Err(problem) => {
                    repaired = true;
                    messages.push(Message::assistant(text));
                    messages.push(Message::user(format!("This answer cannot be used: {problem}. Answer again.")));
                }
            }
        }
    }
}
