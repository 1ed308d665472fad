//! The embedder.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_embed::{BatchOptions, Batched, EmbedError, Embedder, Vectors};
use atomr_agents_http::{Client, Decision, Response, pause, retry_after};
use atomr_agents_inference::{ApiError, InferenceError};
use atomr_agents_provider::{from_http, kind_of_status};
use atomr_agents_wire::ProviderError;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::config::failed;
use crate::{Api, RemoteConfig};

/// The most that is read of the body of an error, and how long it is waited for: its status says the most important thing.
const ERROR_BODY: (usize, Duration) = (64 << 10, Duration::from_secs(2));
/// The most bytes of an answer: vectors of 4,096 numbers as text, for the largest batch.
const ANSWER: usize = 256 << 20;

/// An embedder over HTTP: one request a call. [`RemoteEmbedder::batched`] cuts many texts into requests that the server
/// takes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RemoteEmbedder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Client,
    config: RemoteConfig,
    name: String,
    /// As it was asked for, or as the first answer had.
    dim: OnceLock<usize>,
}

impl RemoteEmbedder {
    /// An embedder set up like this. Nothing is connected before the first call.
    ///
    /// # Errors
    /// [`EmbedError::Failed`] for a setting that cannot be used, [`EmbedError::Invalid`] for 0 dimensions.
    pub fn new(config: RemoteConfig) -> Result<Self, EmbedError> {
        if config.dimensions == Some(0) {
            return Err(EmbedError::invalid("dimensions", "must be at least 1"));
        }
        let endpoint = config.api.endpoint();
        let http = Client::new(config.connection.http.clone())
            .map_err(|error| failed(config.api, from_http(endpoint.provider, error)))?;
        let mut name = format!("{}:{}", endpoint.provider, config.model);
        if let Some(dimensions) = config.dimensions {
            name = format!("{name}:{dimensions}");
        }
        // Two servers may call different models by one name.
        let url = config.connection.http.base_url.as_str().trim_end_matches('/');
        if url != endpoint.base_url {
            name = format!("{name}@{url}");
        }
        let dim = config.dimensions.map_or_else(OnceLock::new, OnceLock::from);
        Ok(Self(Arc::new(Inner { http, config, name, dim })))
    }

    /// The same for any number of texts: at most as many in a request as the server takes, four requests at once.
    ///
    /// # Errors
    /// [`EmbedError::Invalid`] for an option of 0.
    pub fn batched(self, options: Option<BatchOptions>) -> Result<Batched<Self>, EmbedError> {
        let api = self.0.config.api;
        let mut options = options.unwrap_or_default();
        options.max_texts = options.max_texts.min(api.most_texts());
        Batched::new(self, options)
    }
}

impl Inner {
    fn protocol(&self, message: impl Into<String>) -> InferenceError {
        let provider = self.config.api.endpoint().provider.to_owned();
        InferenceError::Protocol { provider, message: self.http.redact(&message.into()), source: None }
    }

    async fn ask(&self, path: &str, body: Bytes, texts: usize, ctx: &CallCtx) -> Result<Vectors, InferenceError> {
        let provider = self.config.api.endpoint().provider;
        let response = self.http.post_json(path, body, ctx).await.map_err(|error| from_http(provider, error))?;
        if !response.is_success() {
            return Err(self.refused(response).await);
        }
        let body = response.body.collect(ANSWER).await.map_err(|error| from_http(provider, error))?;
        let vectors = self.config.api.read(&body, texts).map_err(|message| self.protocol(message))?;
        let expected = *self.dim.get_or_init(|| vectors.dim());
        if vectors.dim() != expected {
            let found = vectors.dim();
            return Err(self.protocol(format!("it answered vectors of {found} numbers, not of {expected}")));
        }
        Ok(vectors)
    }

    async fn refused(&self, response: Response) -> InferenceError {
        let (status, request_id, headers) = (response.status, response.request_id.clone(), response.headers.clone());
        let body = tokio::time::timeout(ERROR_BODY.1, response.body.prefix(ERROR_BODY.0)).await.unwrap_or_default();
        let error = ProviderError::from_body(&body);
        let code = error.code.as_ref().map(ToString::to_string);
        let exhausted = [code.as_deref(), error.error_type.as_deref()].contains(&Some("insufficient_quota"));
        let clean = |text: &str| self.http.redact(text);
        ApiError {
            class: Some(if exhausted { Kind::QuotaExceeded } else { kind_of_status(status) }),
            status,
            error_type: error.error_type.as_deref().map(clean),
            code: code.as_deref().map(clean),
            message: clean(&error.message),
            retry_after: retry_after(&headers, None),
            should_retry: None,
            request_id,
            // The message says what there is to say; the rest may quote the credential.
            body: serde_json::Value::Null,
        }
        .into()
    }

    async fn embed(&self, texts: &[&str], ctx: &CallCtx) -> Result<Vectors, InferenceError> {
        let RemoteConfig { api, model, dimensions, connection } = &self.config;
        let path = api.path(connection.http.base_url.path(), model);
        let body = Bytes::from(api.body(model, *dimensions, texts).to_string());
        let mut attempt = 1;
        loop {
            let error = match self.ask(&path, body.clone(), texts.len(), ctx).await {
                Ok(vectors) => return Ok(vectors),
                Err(error) => error,
            };
            match connection.retry.decide(attempt, error.retryable(), error.retry_after(), ctx.remaining()) {
                Decision::GiveUp => return Err(error),
                Decision::Retry { wait } => {
                    attempt += 1;
                    pause(wait, ctx).await.map_err(|error| from_http(api.endpoint().provider, error))?;
                }
            }
        }
    }
}

impl Embedder for RemoteEmbedder {
    fn model(&self) -> &str {
        &self.0.name
    }

    fn dim(&self) -> Option<usize> {
        self.0.dim.get().copied()
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        Box::pin(async move {
            if texts.is_empty() {
                return Vectors::empty(self.dim().unwrap_or(1));
            }
            self.0.embed(texts, ctx).await.map_err(|error| failed(self.0.config.api, error))
        })
    }
}

impl Api {
    /// The API of this name: `openai`, `gemini` or `ollama`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::OpenAi, Self::Gemini, Self::Ollama].into_iter().find(|api| api.endpoint().provider == name)
    }
}
