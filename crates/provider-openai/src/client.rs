//! The client.

use std::sync::Arc;
use std::time::Duration;

use async_stream::stream;
use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest, Value};
use atomr_agents_http::{Body, Client, Decision, HttpError, Response, pause, retry_after};
use atomr_agents_inference::{InferenceClient, InferenceError, ModelStream};
use atomr_agents_wire::{ProviderError, SseDecoder};
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::classify::{from_http, from_provider, from_wire};
use crate::config::{OpenAiConfig, PROVIDER};
use crate::lower;
use crate::translate::Translator;

/// The most that is read of the body of an error.
const MAX_ERROR_BODY: usize = 64 << 10;

/// How long the body of an error is waited for: its status says the most important thing.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(2);

/// The most reads that are taken before anything is told of them.
const READS_AT_ONCE: usize = 64;

/// How long the end of the body may take after `[DONE]`.
const DRAIN: Duration = Duration::from_millis(250);

/// A client of OpenAI chat completions. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct OpenAiClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Client,
    config: OpenAiConfig,
}

impl OpenAiClient {
    /// A client set up like this. Nothing is connected before the first call.
    ///
    /// # Errors
    /// [`InferenceError::Config`] for a setting that cannot be used.
    pub fn new(config: OpenAiConfig) -> Result<Self, InferenceError> {
        let http = Client::new(config.http.clone()).map_err(from_http)?;
        Ok(Self(Arc::new(Inner { http, config })))
    }
}

impl InferenceClient for OpenAiClient {
    fn provider(&self) -> &str {
        PROVIDER
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        let inner = Arc::clone(&self.0);
        Box::pin(stream! {
            if ctx.cancel.is_cancelled() {
                yield Err(InferenceError::Cancelled);
                return;
            }
            let body = match lower::body(&request, &inner.config.quirks) {
                Ok(body) => Bytes::from(body),
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            // A long transcript need not be held twice while the answer streams.
            drop(request);
            let mut attempt = 1;
            loop {
                let mut events = Vec::new();
                let mut spoke = false;
                let error = match inner.open(body.clone(), &ctx).await {
                    Err(error) => error,
                    Ok(response) => {
                        let mut answer = Answer::new(&inner.config, response);
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
                // Once the caller has seen something, calling again is the caller's decision.
                let decision = if spoke {
                    Decision::GiveUp
                } else {
                    inner.config.retry.decide(attempt, error.kind(), error.retry_after(), ctx.remaining())
                };
                match decision {
                    Decision::Retry { wait } => {
                        attempt += 1;
                        yield Ok(ModelEvent::Retrying { attempt, wait, reason: error.to_string() });
                        if let Err(interrupted) = pause(wait, &ctx).await {
                            yield Err(from_http(interrupted));
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

/// The events of one read, neighbouring pieces of one text joined: they arrived together, so telling them one by one
/// would cost everybody downstream and bring nobody anything earlier.
fn joined(events: &mut Vec<ModelEvent>) -> impl Iterator<Item = ModelEvent> + '_ {
    let mut events = events.drain(..).peekable();
    std::iter::from_fn(move || {
        let mut event = events.next()?;
        while let Some(next) = events.peek_mut() {
            let more = match (&mut event, next) {
                (ModelEvent::Text(text), ModelEvent::Text(more))
                | (ModelEvent::Thinking(text), ModelEvent::Thinking(more))
                | (ModelEvent::Refusal(text), ModelEvent::Refusal(more)) => (text, more),
                (
                    ModelEvent::ToolCallDelta { index, arguments },
                    ModelEvent::ToolCallDelta { index: same, arguments: more },
                ) if index == same => (arguments, more),
                _ => break,
            };
            more.0.push_str(more.1);
            events.next();
        }
        Some(event)
    })
}

/// Whether the caller may have acted on it.
fn is_speech(event: &ModelEvent) -> bool {
    !matches!(event, ModelEvent::Started { .. } | ModelEvent::Usage(_) | ModelEvent::Retrying { .. })
}

impl Inner {
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
    async fn open(&self, body: Bytes, ctx: &CallCtx) -> Result<Response, InferenceError> {
        let response = self.http.post_json("/chat/completions", body, ctx).await.map_err(from_http)?;
        if response.is_success() {
            return if has_type(&response, "text/html") { Err(web_page()) } else { Ok(response) };
        }
        let (status, request_id) = (response.status, response.request_id.clone());
        let wait = retry_after(&response.headers, None);
        let body = response.body.prefix(MAX_ERROR_BODY);
        let body = tokio::time::timeout(ERROR_BODY_WAIT, body).await.unwrap_or_default();
        Err(from_provider(status, ProviderError::from_body(&body), wait, request_id))
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

fn has_type(response: &Response, wanted: &str) -> bool {
    let kind = response.header("content-type").unwrap_or_default().trim_start();
    kind.get(..wanted.len()).is_some_and(|head| head.eq_ignore_ascii_case(wanted))
}

/// What a server answers whose API lies elsewhere; read as a stream, it would look like one that was cut.
fn web_page() -> InferenceError {
    let message = "it answered with a web page; is base_url the address of an API, e.g. ending in /v1?".into();
    InferenceError::Protocol { provider: PROVIDER.into(), message, source: None }
}

/// One answer, read piece by piece.
struct Answer {
    body: Body,
    is_json: bool,
    request_id: Option<String>,
    sse: SseDecoder,
    translator: Option<Translator>,
    done_is_finish: bool,
    /// Until when the end of the body is waited for; set once `[DONE]` was seen.
    drain: Option<Instant>,
}

impl Answer {
    fn new(config: &OpenAiConfig, response: Response) -> Self {
        Self {
            is_json: has_type(&response, "application/json"),
            body: response.body,
            request_id: response.request_id,
            sse: SseDecoder::new(),
            translator: Some(Translator::new(config.max_tool_args)),
            done_is_finish: config.quirks.done_is_finish,
            drain: None,
        }
    }

    /// Reads on; false at the end of the answer.
    async fn read(&mut self, out: &mut Vec<ModelEvent>) -> Result<bool, InferenceError> {
        let mut more = if self.is_json { self.whole(out).await } else { self.piece(out).await };
        if let Err(InferenceError::Api(error)) = &mut more {
            // An error inside the answer belongs to the request that the head named.
            error.request_id = self.request_id.take();
        }
        more
    }

    /// Waits for the next read and takes it, and with it what has arrived meanwhile: told together they cost less, and
    /// nobody would have had them earlier.
    async fn piece(&mut self, out: &mut Vec<ModelEvent>) -> Result<bool, InferenceError> {
        let mut read = self.next_read().await;
        for _ in 1..READS_AT_ONCE {
            if !self.take(read, out)? {
                return Ok(false);
            }
            // Lets the connection hand over the next read, if it has one.
            tokio::task::yield_now().await;
            read = match self.body.next().now_or_never() {
                Some(read) => read,
                None => return Ok(true),
            };
        }
        self.take(read, out)
    }

    async fn next_read(&mut self) -> Option<Result<Bytes, HttpError>> {
        if self.translator.as_ref().is_some_and(Translator::saw_done_marker) {
            // Nothing is to come but the end of the body; reading it keeps the connection, waiting for it is no use.
            let until = *self.drain.get_or_insert_with(|| Instant::now() + DRAIN);
            return tokio::time::timeout_at(until, self.body.next()).await.unwrap_or_default();
        }
        self.body.next().await
    }

    /// Decodes one read; false at the end of the answer.
    fn take(
        &mut self,
        read: Option<Result<Bytes, HttpError>>,
        out: &mut Vec<ModelEvent>,
    ) -> Result<bool, InferenceError> {
        let Some(translator) = &mut self.translator else { return Ok(false) };
        let read = match read {
            Some(Ok(read)) => read,
            Some(Err(HttpError::Cancelled)) => return Err(InferenceError::Cancelled),
            // An answer whose finish reason has arrived is whole, however its connection ended.
            Some(Err(error)) => return self.end(out).map_err(|_| from_http(error)),
            None => {
                if let Some(event) = self.sse.finish().map_err(from_wire)? {
                    translator.chunk(event.data, out).map_err(from_wire)?;
                }
                return self.end(out);
            }
        };
        let mut events = self.sse.feed(&read);
        while let Some(event) = events.next_event().map_err(from_wire)? {
            translator.chunk(event.data, out).map_err(from_wire)?;
        }
        if translator.failed() { self.end(out) } else { Ok(true) }
    }

    /// A server that was asked for a stream may answer with one JSON body all the same.
    async fn whole(&mut self, out: &mut Vec<ModelEvent>) -> Result<bool, InferenceError> {
        let mut text = Vec::new();
        while let Some(read) = self.body.next().await {
            text.extend_from_slice(&read.map_err(from_http)?);
        }
        let text = String::from_utf8(text).map_err(|error| InferenceError::Protocol {
            provider: PROVIDER.into(),
            message: format!("the body is not UTF-8 at byte {}", error.utf8_error().valid_up_to()),
            source: None,
        })?;
        if let Some(translator) = &mut self.translator {
            translator.chunk(&text, out).map_err(from_wire)?;
        }
        self.end(out)
    }

    fn end(&mut self, out: &mut Vec<ModelEvent>) -> Result<bool, InferenceError> {
        match self.translator.take() {
            Some(translator) => translator.end(self.done_is_finish, out).map(|()| false),
            None => Ok(false),
        }
    }
}
