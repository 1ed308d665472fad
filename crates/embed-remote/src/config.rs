//! How an embedder is set up.

use std::sync::Arc;

use atomr_agents_embed::EmbedError;
use atomr_agents_http::{Auth, HeaderName, Secret};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Connection, Endpoint};

use crate::Api;

const OPENAI: Endpoint = Endpoint {
    provider: "openai",
    base_url: "https://api.openai.com/v1",
    url_variable: "OPENAI_BASE_URL",
    key_variables: &["OPENAI_API_KEY"],
};

const GEMINI: Endpoint = Endpoint {
    provider: "gemini",
    base_url: "https://generativelanguage.googleapis.com",
    url_variable: "GEMINI_BASE_URL",
    key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
};

const OLLAMA: Endpoint = Endpoint {
    provider: "ollama",
    base_url: "http://localhost:11434",
    url_variable: "OLLAMA_BASE_URL",
    key_variables: &["OLLAMA_API_KEY"],
};

impl Api {
    pub(crate) fn endpoint(self) -> &'static Endpoint {
        match self {
            Self::OpenAi => &OPENAI,
            Self::Gemini => &GEMINI,
            Self::Ollama => &OLLAMA,
        }
    }
}

/// How an embedder is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RemoteConfig {
    /// Whose words are spoken.
    pub api: Api,
    /// The model, as the server calls it.
    pub model: String,
    /// How many numbers a vector shall have, for models that let one choose. Default: the model's own.
    pub dimensions: Option<usize>,
    /// How the server is reached, and when a failed call is made again.
    pub connection: Connection,
}

/// What went wrong, as an error of an embedder.
pub(crate) fn failed(api: Api, error: InferenceError) -> EmbedError {
    EmbedError::Failed {
        what: format!("the embedder of {}", api.endpoint().provider),
        kind: error.kind(),
        message: error.to_string(),
        source: Some(Arc::new(error)),
    }
}

impl RemoteConfig {
    /// An embedder of the server at `base_url` that shows it `key`; no key for servers that want none.
    ///
    /// # Errors
    /// [`EmbedError::Invalid`] without a model, [`EmbedError::Failed`] when the URL cannot be used.
    pub fn new(api: Api, model: &str, base_url: &str, key: Option<Secret>) -> Result<Self, EmbedError> {
        if model.trim().is_empty() {
            return Err(EmbedError::invalid("model", "is empty; write what the server calls it"));
        }
        let auth = |_: &_, key| match api {
            Api::Gemini => Auth::Header(HeaderName::from_static("x-goog-api-key"), key),
            Api::OpenAi | Api::Ollama => Auth::Bearer(key),
        };
        let connection = api.endpoint().connect(base_url, key, auth).map_err(|error| failed(api, error))?;
        Ok(Self { api, model: model.trim().to_owned(), dimensions: None, connection })
    }

    /// What is given, or else the environment: `OPENAI_API_KEY`, `GEMINI_API_KEY` or `GOOGLE_API_KEY`, `OLLAMA_API_KEY`,
    /// and `…_BASE_URL` of each. Without a key, only a server on this machine is talked to.
    ///
    /// # Errors
    /// As [`RemoteConfig::new`]; [`EmbedError::Failed`] without a key.
    pub fn from_env(api: Api, model: &str, base_url: Option<&str>, key: Option<Secret>) -> Result<Self, EmbedError> {
        let (base_url, key) = api.endpoint().resolve(base_url, key).map_err(|error| failed(api, error))?;
        Self::new(api, model, &base_url, key)
    }
}
