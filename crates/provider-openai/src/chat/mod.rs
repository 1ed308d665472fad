//! Chat completions.

mod lower;
mod translate;

use atomr_agents_core::{ModelEvent, ModelRequest};
use atomr_agents_http::retry_after;
use atomr_agents_inference::{Capabilities, InferenceError, Lowered};
use atomr_agents_provider::{Connection, Dialect, Reader, Refused, Route, Setup, from_wire};
use atomr_agents_wire::ProviderError;

use crate::classify::from_provider;
use crate::config::{OpenAiConfig, PROVIDER, Quirks};
use translate::Translator;

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
        ChatReader { translator: Translator::new(self.max_tool_args), done_is_finish: self.quirks.done_is_finish }
    }

    fn refused(&self, answer: Refused<'_>) -> InferenceError {
        let wait = retry_after(answer.headers, None);
        from_provider(answer.status, ProviderError::from_body(answer.body), wait, answer.request_id)
    }

    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities::with_output(self.quirks.output)
    }
}

/// Reads the answer to a chat completion.
pub struct ChatReader {
    translator: Translator,
    done_is_finish: bool,
}

impl Reader for ChatReader {
    fn event(&mut self, _name: Option<&str>, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.translator.chunk(data, out).map_err(|error| from_wire(PROVIDER, error))
    }

    fn body(&mut self, json: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.event(None, json, out)
    }

    fn is_over(&self) -> bool {
        self.translator.saw_done_marker()
    }

    fn has_failed(&self) -> bool {
        self.translator.failed()
    }

    fn end(self, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.translator.end(self.done_is_finish, out)
    }
}

impl std::fmt::Debug for ChatReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatReader").finish_non_exhaustive()
    }
}
