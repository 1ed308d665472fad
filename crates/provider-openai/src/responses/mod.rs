//! The Responses API.

mod config;
mod lower;
mod translate;

use atomr_agents_core::ModelRequest;
use atomr_agents_inference::{Capabilities, InferenceError, Lowered};
use atomr_agents_provider::{Connection, Dialect, Refused, Route, Setup};

use crate::classify::from_status;
pub use config::{OpenAiResponsesConfig, ResponsesOptions};
use translate::ResponsesReader;

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
        ResponsesReader::new(self.max_tool_args)
    }

    fn max_event_bytes(&self) -> usize {
        MAX_EVENT_BYTES
    }

    fn refused(&self, answer: Refused<'_>) -> InferenceError {
        from_status(answer)
    }

    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities::with_output(self.options.output)
    }
}
