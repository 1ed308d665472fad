//! The Responses API.

mod config;
mod items;
mod lower;
mod translate;

use atomr_agents_core::{ModelEvent, ModelRequest};
use atomr_agents_http::retry_after;
use atomr_agents_inference::{Capabilities, InferenceError, Lowered};
use atomr_agents_provider::{Connection, Dialect, Reader, Refused, Route, Setup, from_wire};
use atomr_agents_wire::ProviderError;

use crate::classify::from_provider;
pub use config::{OpenAiResponsesConfig, ResponsesOptions};
use translate::Translator;

/// The name under which this client appears in errors and marks what only this provider understands.
pub(crate) const PROVIDER: &str = "openai-responses";

/// The most bytes of one event: a generated image lies in one event, and once more in the last one.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// The Responses API, as a dialect.
#[derive(Clone, Debug)]
pub struct Responses {
    options: ResponsesOptions,
    max_tool_args: usize,
}

impl Setup for OpenAiResponsesConfig {
    type Dialect = Responses;

    fn into_parts(self) -> (Connection, Responses) {
        (self.connection, Responses { options: self.options, max_tool_args: self.max_tool_args })
    }
}

impl Dialect for Responses {
    type Reader = ResponsesReader;

    fn provider(&self) -> &str {
        PROVIDER
    }

    fn route(&self, _request: &ModelRequest) -> Route {
        Route { path: "/responses".into() }
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        Ok(Lowered {
            body: lower::body(request, &self.options)?,
            prompt: &["tools", "instructions", "input"],
            marks: &[],
        })
    }

    fn reader(&self) -> ResponsesReader {
        ResponsesReader { translator: Translator::new(self.max_tool_args) }
    }

    fn max_event_bytes(&self) -> usize {
        MAX_EVENT_BYTES
    }

    fn refused(&self, answer: Refused<'_>) -> InferenceError {
        let wait = retry_after(answer.headers, None);
        from_provider(answer.status, ProviderError::from_body(answer.body), wait, answer.request_id)
    }

    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities::with_output(self.options.output)
    }
}

/// Reads a response.
pub struct ResponsesReader {
    translator: Translator,
}

impl Reader for ResponsesReader {
    fn event(&mut self, _name: Option<&str>, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.translator.chunk(data, out).map_err(|error| from_wire(PROVIDER, error))
    }

    fn body(&mut self, json: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.translator.body(json, out).map_err(|error| from_wire(PROVIDER, error))
    }

    fn is_over(&self) -> bool {
        self.translator.is_over()
    }

    fn has_failed(&self) -> bool {
        self.translator.failed()
    }

    fn end(self, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.translator.end(out)
    }
}

impl std::fmt::Debug for ResponsesReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponsesReader").finish_non_exhaustive()
    }
}
