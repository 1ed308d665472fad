//! An inference client made of a dialect.

use std::sync::Arc;
use std::time::Duration;

use async_stream::stream;
use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest, Value};
use atomr_agents_http::{Client, Decision, Response, pause};
use atomr_agents_inference::{Capabilities, InferenceClient, InferenceError, Lowered, ModelStream};
use bytes::Bytes;

use crate::answer::{Answer, has_type};
use crate::joined::{is_speech, joined};
use crate::{Connection, Dialect, Refused, Setup, from_http};

/// The most that is read of the body of an error.
const MAX_ERROR_BODY: usize = 64 << 10;

/// How long the body of an error is waited for: its status says the most important thing.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(2);

/// A client of one provider, in its [`Dialect`]. Cheap to clone; clones share their connections.
#[derive(Debug)]
pub struct HttpClient<D>(Arc<Inner<D>>);

#[derive(Debug)]
struct Inner<D> {
    http: Client,
    connection: Connection,
    dialect: D,
}

impl<D> Clone for HttpClient<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D: Dialect> HttpClient<D> {
    /// A client set up like this. Nothing is connected before the first call.
    ///
    /// # Errors
    /// [`InferenceError::Config`] for a setting that cannot be used.
    pub fn new(setup: impl Setup<Dialect = D>) -> Result<Self, InferenceError> {
        let (connection, dialect) = setup.into_parts();
        let http = Client::new(connection.http.clone()).map_err(|error| from_http(dialect.provider(), error))?;
        Ok(Self(Arc::new(Inner { http, connection, dialect })))
    }

    /// How the provider is spoken to.
    #[must_use]
    pub fn dialect(&self) -> &D {
        &self.0.dialect
    }
}

impl<D: Dialect> InferenceClient for HttpClient<D> {
    fn provider(&self) -> &str {
        self.0.dialect.provider()
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        self.0.dialect.capabilities(model)
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        self.0.dialect.lower(request)
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        let inner = Arc::clone(&self.0);
        Box::pin(stream! {
            if ctx.cancel.is_cancelled() {
                yield Err(InferenceError::Cancelled);
                return;
            }
            let body = match inner.dialect.lower(&request) {
                Ok(lowered) => Bytes::from(lowered.body),
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            let path = inner.dialect.route(&request).path;
            // A long transcript need not be held twice while the answer streams.
            drop(request);
            let mut attempt = 1;
            loop {
                let mut events = Vec::new();
                let mut spoke = false;
                let error = match inner.open(&path, body.clone(), &ctx).await {
                    Err(error) => error,
                    Ok(response) => {
                        let mut answer = Answer::new(&inner.dialect, response);
                        loop {
                            let more = answer.read(&mut events).await;
                            for event in joined(&mut events) {
                                spoke |= is_speech(&event);
                                yield Ok(event);
                            }
                            match more {
                                Ok(true) => {}
                                Ok(false) => return,
                                Err(error) => break error,
                            }
                        }
                    }
                };
                let error = inner.redacted(error);
                match inner.decide(attempt, spoke, &error, &ctx) {
                    Decision::Retry { wait } => {
                        attempt += 1;
                        yield Ok(ModelEvent::Retrying { attempt, wait, reason: error.to_string() });
                        if let Err(interrupted) = pause(wait, &ctx).await {
                            yield Err(from_http(inner.dialect.provider(), interrupted));
                            return;
                        }
                    }
                    Decision::GiveUp => {
                        yield Err(error);
                        return;
                    }
                }
            }
        })
    }
}

impl<D: Dialect> Inner<D> {
    /// Once the caller has seen something, calling again is the caller's decision; otherwise the provider's own word
    /// on it counts before what its error usually means.
    fn decide(&self, attempt: u32, spoke: bool, error: &InferenceError, ctx: &CallCtx) -> Decision {
        if spoke {
            return Decision::GiveUp;
        }
        let retry = &self.connection.retry;
        retry.decide(attempt, error.retryable(), error.retry_after(), ctx.remaining())
    }

    /// The error without the credential, which some servers quote when they refuse it.
    fn redacted(&self, error: InferenceError) -> InferenceError {
        let clean = |text: &str| self.http.redact(text);
        match error {
            InferenceError::Api(mut error) => {
                error.message = clean(&error.message);
                error.code = error.code.as_deref().map(clean);
                error.error_type = error.error_type.as_deref().map(clean);
                redact_json(&mut error.body, &clean);
                InferenceError::Api(error)
            }
            // Its source may quote the same bytes; the message says all that it says.
            InferenceError::Protocol { provider, message, source } => {
                let cleaned = clean(&message);
                let source = source.filter(|_| cleaned == message);
                InferenceError::Protocol { provider, message: cleaned, source }
            }
            other => other,
        }
    }

    /// Sends the request and waits for the head of an answer that can be read.
    async fn open(&self, path: &str, body: Bytes, ctx: &CallCtx) -> Result<Response, InferenceError> {
        let provider = self.dialect.provider();
        let response = self.http.post_json(path, body, ctx).await.map_err(|error| from_http(provider, error))?;
        if response.is_success() {
            return if has_type(&response, "text/html") { Err(web_page(provider)) } else { Ok(response) };
        }
        let (status, request_id, headers) = (response.status, response.request_id.clone(), response.headers.clone());
        let body = response.body.prefix(MAX_ERROR_BODY);
        let body = tokio::time::timeout(ERROR_BODY_WAIT, body).await.unwrap_or_default();
        Err(self.dialect.refused(Refused { status, headers: &headers, body: &body, request_id }))
    }
}

fn redact_json(value: &mut Value, clean: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(items) => items.iter_mut().for_each(|item| redact_json(item, clean)),
        Value::Object(fields) => fields.values_mut().for_each(|field| redact_json(field, clean)),
        _ => {}
    }
}

/// What a server answers whose API lies elsewhere; read as a stream, it would look like one that was cut.
fn web_page(provider: &str) -> InferenceError {
    let message = "it answered with a web page; is base_url the address of an API, e.g. ending in /v1?".into();
    InferenceError::Protocol { provider: provider.to_owned(), message, source: None }
}
