//! How the client is set up.

use std::env;

use atomr_agents_http::{Auth, ClientConfig, HeaderName, HttpError, RetryPolicy, Secret, SecretError, SecretRef};
use atomr_agents_inference::InferenceError;

use crate::classify::from_http;

/// The name under which this client appears in errors and marks its opaque parts.
pub(crate) const PROVIDER: &str = "openai";
/// Where requests go unless told otherwise.
const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
/// The variable that holds the key unless told otherwise.
const KEY_VARIABLE: &str = "OPENAI_API_KEY";
/// The variable that holds the base URL unless told otherwise.
const URL_VARIABLE: &str = "OPENAI_BASE_URL";

/// How the client is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenAiConfig {
    /// Connection, time-outs, limits, credentials.
    pub http: ClientConfig,
    /// When a failed call is made again.
    pub retry: RetryPolicy,
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
}

impl OpenAiConfig {
    /// A client of the server at `base_url` that sends `key` as a bearer token; no key for servers that want none.
    ///
    /// # Errors
    /// [`InferenceError::Config`] when the URL cannot be used.
    pub fn new(base_url: &str, key: Option<Secret>) -> Result<Self, InferenceError> {
        let mut http = ClientConfig::new(base_url).map_err(from_http)?;
        let host = http.base_url.host_str().unwrap_or_default().to_owned();
        let azure = host.ends_with(".azure.com");
        http.auth = match key {
            Some(key) if azure => Some(Auth::Header(HeaderName::from_static("api-key"), key)),
            Some(key) => Some(Auth::Bearer(key)),
            None => None,
        };
        let official = azure || host == "api.openai.com";
        let max_tokens_field = if official { "max_completion_tokens" } else { "max_tokens" }.to_owned();
        Ok(Self {
            http,
            retry: RetryPolicy::default(),
            quirks: Quirks { streaming: true, stream_usage: true, max_tokens_field, done_is_finish: false },
            max_tool_args: 1 << 20,
        })
    }

    /// What is given, or else the environment: `OPENAI_API_KEY` and `OPENAI_BASE_URL`. Without a key, only a server
    /// on this machine is talked to.
    ///
    /// # Errors
    /// [`InferenceError::MissingKey`] or [`InferenceError::Config`].
    pub fn from_env(base_url: Option<&str>, key: Option<Secret>) -> Result<Self, InferenceError> {
        let from_env = || env::var(URL_VARIABLE).ok().filter(|url| !url.trim().is_empty());
        let base_url = base_url.map(str::to_owned).or_else(from_env);
        let base_url = base_url.as_deref().unwrap_or(DEFAULT_BASE_URL);
        let config = Self::new(base_url, None)?;
        let key = match key {
            // Asking the environment instead could send its key to a server that it is not meant for.
            Some(key) if key.is_empty() => return Err(from_http(HttpError::Secret(SecretError::Empty))),
            Some(key) => Some(key),
            None => match SecretRef::Env(KEY_VARIABLE.to_owned()).resolve() {
                Ok(key) => Some(key),
                Err(_) if is_loopback(&config) => None,
                Err(SecretError::NoVariable { name }) => {
                    return Err(InferenceError::MissingKey { provider: PROVIDER.into(), variable: name });
                }
                Err(error) => return Err(from_http(HttpError::Secret(error))),
            },
        };
        Self::new(base_url, key)
    }
}

fn is_loopback(config: &OpenAiConfig) -> bool {
    match config.http.base_url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}
