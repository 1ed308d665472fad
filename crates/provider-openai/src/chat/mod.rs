//! Chat completions.

mod lower;
mod translate;

use atomr_agents_core::ModelRequest;
use atomr_agents_inference::{Capabilities, InferenceError, Lowered};
use atomr_agents_provider::{Connection, Dialect, Refused, Route, Setup};

use crate::classify::from_status;
use crate::config::{OpenAiConfig, PROVIDER, Quirks};
use translate::ChatReader;

/// Chat completions, as a dialect.
#[derive(Clone, Debug)]
pub struct ChatCompletions {
    quirks: Quirks,
    max_tool_args: usize,
}

impl Setup for OpenAiConfig {
    type Dialect = ChatCompletions;

    fn into_parts(self) -> (Connection, ChatCompletions) {
        (self.connection, ChatCompletions { quirks: self.quirks, max_tool_args: self.max_tool_args })
    }
}

impl Dialect for ChatCompletions {
    type Reader = ChatReader;

    fn provider(&self) -> &str {
        PROVIDER
    }

    fn route(&self, _request: &ModelRequest) -> Route {
        Route { path: "/chat/completions".into() }
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        Ok(Lowered { body: lower::body(request, &self.quirks)?, prompt: &["tools", "messages"], marks: &[] })
    }

    fn reader(&self) -> ChatReader {
        ChatReader::new(self.max_tool_args, self.quirks.done_is_finish)
    }

    fn refused(&self, answer: Refused<'_>) -> InferenceError {
        from_status(answer)
    }

    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities::with_output(self.quirks.output)
    }
}
