//! How the client is set up.

use atomr_agents_http::{Auth, HeaderName, Secret};
use atomr_agents_inference::{InferenceError, OutputMode};
use atomr_agents_provider::{Connection, Endpoint};

/// The name under which this client appears in errors and marks what only this provider understands.
pub(crate) const PROVIDER: &str = "openai";

/// Where OpenAI is, and where its key is found.
pub(crate) const ENDPOINT: Endpoint = Endpoint {
    provider: PROVIDER,
    base_url: "https://api.openai.com/v1",
    url_variable: "OPENAI_BASE_URL",
    key_variables: &["OPENAI_API_KEY"],
};

/// How the client is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenAiConfig {
    /// How the server is reached, and when a failed call is made again.
    pub connection: Connection,
    /// What the server does differently.
    pub quirks: Quirks,
    /// The most bytes that the arguments of one tool call may have. Default 1 MiB.
    pub max_tool_args: usize,
}

/// What a server does differently from OpenAI.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// Ask for a stream. Default true; a server that answers with one JSON body all the same is understood.
    pub streaming: bool,
    /// Ask for the usage at the end of the stream (`stream_options`). Default true.
    pub stream_usage: bool,
    /// The field for the output limit: `max_completion_tokens` at OpenAI and Azure, `max_tokens` elsewhere.
    pub max_tokens_field: String,
    /// Take `[DONE]` as the end of an answer for which no finish reason was sent. Default false: such an answer may
    /// be cut, and is reported as interrupted.
    pub done_is_finish: bool,
    /// How an answer of a certain shape is asked for. Default native: most of these servers force a JSON schema.
    pub output: OutputMode,
}

impl OpenAiConfig {
    /// A client of the server at `base_url` that sends `key` as a bearer token; no key for servers that want none.
    ///
    /// # Errors
    /// [`InferenceError::Config`] when the URL cannot be used.
    pub fn new(base_url: &str, key: Option<Secret>) -> Result<Self, InferenceError> {
        let connection = connect(&ENDPOINT, base_url, key)?;
        let official = is_official(&connection);
        let max_tokens_field = if official { "max_completion_tokens" } else { "max_tokens" }.to_owned();
        Ok(Self {
            connection,
            quirks: Quirks {
                streaming: true,
                stream_usage: true,
                max_tokens_field,
                done_is_finish: false,
                output: OutputMode::Native,
            },
            max_tool_args: 1 << 20,
        })
    }

    /// What is given, or else the environment: `OPENAI_API_KEY` and `OPENAI_BASE_URL`. Without a key, only a server
    /// on this machine is talked to.
    ///
    /// # Errors
    /// [`InferenceError::MissingKey`] or [`InferenceError::Config`].
    pub fn from_env(base_url: Option<&str>, key: Option<Secret>) -> Result<Self, InferenceError> {
        let (base_url, key) = ENDPOINT.resolve(base_url, key)?;
        Self::new(&base_url, key)
    }
}

/// A connection as OpenAI and Azure want it.
pub(crate) fn connect(endpoint: &Endpoint, base_url: &str, key: Option<Secret>) -> Result<Connection, InferenceError> {
    endpoint.connect(base_url, key, |http, key| {
        let azure = http.base_url.host_str().is_some_and(|host| host.ends_with(".azure.com"));
        if azure { Auth::Header(HeaderName::from_static("api-key"), key) } else { Auth::Bearer(key) }
    })
}

/// Whether the server is OpenAI's or Azure's own.
fn is_official(connection: &Connection) -> bool {
    let host = connection.http.base_url.host_str().unwrap_or_default();
    host == "api.openai.com" || host.ends_with(".azure.com")
}
