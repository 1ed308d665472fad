//! Messages, as a dialect.

use std::collections::BTreeMap;

use atomr_agents_core::{ModelRequest, Value};
use atomr_agents_http::{HeaderName, HeaderValue};
use atomr_agents_inference::{Capabilities, InferenceError, Lowered, OutputMode};
use atomr_agents_provider::{Connection, Dialect, Refused, Route, Setup};

use crate::classify::from_status;
use crate::config::{AnthropicConfig, PROVIDER};
use crate::lower;
use crate::model::Model;
use crate::translate::MessagesReader;

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
        MessagesReader::new(self.max_tool_args)
    }

    fn refused(&self, answer: Refused<'_>) -> InferenceError {
        from_status(answer)
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        let native = if Model::named(model).forces_schemas() { OutputMode::Native } else { OutputMode::Tool };
        Capabilities::with_output(self.output.unwrap_or(native))
    }
}
