//! How the client is set up.

use std::collections::BTreeMap;

use atomr_agents_core::Value;
use atomr_agents_http::{Auth, HeaderName, HeaderValue, Secret};
use atomr_agents_inference::{InferenceError, OutputMode};
use atomr_agents_provider::{Connection, Endpoint};

/// The name under which this client appears in errors and marks what only this provider understands.
pub(crate) const PROVIDER: &str = "anthropic";

/// The version of the API that is spoken.
const VERSION: &str = "2023-06-01";

const ENDPOINT: Endpoint = Endpoint {
    provider: PROVIDER,
    base_url: "https://api.anthropic.com",
    url_variable: "ANTHROPIC_BASE_URL",
    key_variables: &["ANTHROPIC_API_KEY"],
};

/// How the client is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AnthropicConfig {
    /// How the server is reached, and when a failed call is made again.
    pub connection: Connection,
    /// The most tokens an answer may have where the request does not say, by the model's exact name. The API wants a
    /// number in every request; models that are not listed get their own maximum, as far as it is known. Default empty.
    pub max_tokens: BTreeMap<String, u32>,
    /// The same for models that are neither listed nor known. Default 4096.
    pub max_tokens_otherwise: u32,
    /// Features of the API to be switched on for all requests (`anthropic-beta`), e.g. `files-api-2025-04-14` for
    /// uploaded files. Default none.
    pub betas: Vec<String>,
    /// Tools that Anthropic runs itself, as the API describes them, e.g. `{"type": "web_search_20250305", "name":
    /// "web_search"}`; offered with every request, before the request's own tools. Default none.
    pub server_tools: Vec<Value>,
    /// How long the provider keeps what cache points mark: `5m` or `1h`. Default the provider's own, five minutes.
    pub cache_ttl: Option<String>,
    /// How an answer of a certain shape is asked for. Default native for the models that force a schema (Claude 4.5 and
    /// later), otherwise by a tool.
    pub output: Option<OutputMode>,
    /// Ask for a stream. Default true; a server that answers with one JSON body all the same is understood.
    pub streaming: bool,
    /// The most bytes that the arguments of one tool call may have. Default 1 MiB.
    pub max_tool_args: usize,
}

impl AnthropicConfig {
    /// A client of the server at `base_url` (with or without `/v1` at its end) that sends `key` as `x-api-key`; no key
    /// for servers that want none.
    ///
    /// # Errors
    /// [`InferenceError::Config`] when the URL cannot be used.
    pub fn new(base_url: &str, key: Option<Secret>) -> Result<Self, InferenceError> {
        let mut connection =
            ENDPOINT.connect(base_url, key, |_, key| Auth::Header(HeaderName::from_static("x-api-key"), key))?;
        let version = HeaderValue::from_static(VERSION);
        connection.http.headers.insert(HeaderName::from_static("anthropic-version"), version);
        Ok(Self {
            connection,
            max_tokens: BTreeMap::new(),
            max_tokens_otherwise: 4096,
            betas: Vec::new(),
            server_tools: Vec::new(),
            cache_ttl: None,
            output: None,
            streaming: true,
            max_tool_args: 1 << 20,
        })
    }

    /// What is given, or else the environment: `ANTHROPIC_API_KEY` and `ANTHROPIC_BASE_URL`. Without a key, only a server
    /// on this machine is talked to.
    ///
    /// # Errors
    /// [`InferenceError::MissingKey`] or [`InferenceError::Config`].
    pub fn from_env(base_url: Option<&str>, key: Option<Secret>) -> Result<Self, InferenceError> {
        let (base_url, key) = ENDPOINT.resolve(base_url, key)?;
        Self::new(&base_url, key)
    }
}
