//! Messages, as a dialect.

use std::collections::BTreeMap;

use atomr_agents_core::{ModelEvent, ModelRequest, Value};
use atomr_agents_http::{HeaderName, HeaderValue};
use atomr_agents_inference::{Capabilities, InferenceError, Lowered, OutputMode};
use atomr_agents_provider::{Connection, Dialect, Reader, Refused, Route, Setup, from_wire};

use crate::classify::from_status;
use crate::config::{AnthropicConfig, PROVIDER};
use crate::lower;
use crate::model::Model;
use crate::translate::Translator;

/// Anthropic messages, as a dialect.
#[derive(Clone, Debug)]
pub struct AnthropicMessages {
    pub(crate) path: &'static str,
    pub(crate) max_tokens: BTreeMap<String, u32>,
    pub(crate) max_tokens_otherwise: u32,
    pub(crate) server_tools: Vec<Value>,
    pub(crate) cache_ttl: Option<String>,
    pub(crate) output: Option<OutputMode>,
    pub(crate) streaming: bool,
    pub(crate) max_tool_args: usize,
}

impl Setup for AnthropicConfig {
    type Dialect = AnthropicMessages;

    fn into_parts(mut self) -> (Connection, AnthropicMessages) {
        if let Ok(betas) = HeaderValue::from_str(&self.betas.join(","))
            && !betas.is_empty()
        {
            self.connection.http.headers.insert(HeaderName::from_static("anthropic-beta"), betas);
        }
        let versioned = self.connection.http.base_url.path().trim_end_matches('/').ends_with("/v1");
        let dialect = AnthropicMessages {
            path: if versioned { "/messages" } else { "/v1/messages" },
            max_tokens: self.max_tokens,
            max_tokens_otherwise: self.max_tokens_otherwise,
            server_tools: self.server_tools,
            cache_ttl: self.cache_ttl,
            output: self.output,
            streaming: self.streaming,
            max_tool_args: self.max_tool_args,
        };
        (self.connection, dialect)
    }
}

impl Dialect for AnthropicMessages {
    type Reader = MessagesReader;

    fn provider(&self) -> &str {
        PROVIDER
    }

    fn route(&self, _request: &ModelRequest) -> Route {
        Route { path: self.path.to_owned() }
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        let body = lower::body(request, self)?;
        Ok(Lowered { body, prompt: &["tools", "system", "messages"], marks: &["cache_control"] })
    }

    fn reader(&self) -> MessagesReader {
        MessagesReader(Translator::new(self.max_tool_args))
    }

    fn refused(&self, answer: Refused<'_>) -> InferenceError {
        from_status(answer.status, answer.headers, answer.body, answer.request_id)
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        let native = if Model::named(model).forces_schemas() { OutputMode::Native } else { OutputMode::Tool };
        Capabilities::with_output(self.output.unwrap_or(native))
    }
}

/// Reads the answer of the messages API.
#[derive(Debug)]
pub struct MessagesReader(Translator);

impl Reader for MessagesReader {
    fn event(&mut self, name: Option<&str>, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.0.chunk(name, data, out).map_err(|error| from_wire(PROVIDER, error))
    }

    fn body(&mut self, json: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.event(None, json, out)
    }

    fn is_over(&self) -> bool {
        self.0.saw_stop()
    }

    fn has_failed(&self) -> bool {
        self.0.failed()
    }

    fn end(self, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.0.end(out)
    }
}
