//! One answer, read piece by piece.

use std::time::Duration;

use atomr_agents_core::ModelEvent;
use atomr_agents_http::{Body, HttpError, Response};
use atomr_agents_inference::InferenceError;
use atomr_agents_wire::SseDecoder;
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::{Dialect, Reader, from_http, from_wire};

/// The most reads that are taken before anything is told of them.
const READS_AT_ONCE: usize = 64;

/// How long the end of the body may take once nothing that matters is to come.
const DRAIN: Duration = Duration::from_millis(250);

pub(crate) struct Answer<R> {
    provider: String,
    body: Body,
    is_json: bool,
    request_id: Option<String>,
    sse: SseDecoder,
    reader: Option<R>,
    /// Until when the end of the body is waited for; set once nothing that matters is to come.
    drain: Option<Instant>,
}

impl<R: Reader> Answer<R> {
    pub(crate) fn new(dialect: &impl Dialect<Reader = R>, response: Response) -> Self {
        Self {
            provider: dialect.provider().to_owned(),
            is_json: has_type(&response, "application/json"),
            body: response.body,
            request_id: response.request_id,
            sse: SseDecoder::with_max_event_bytes(dialect.max_event_bytes()),
            reader: Some(dialect.reader()),
            drain: None,
        }
    }

    /// Reads on; false at the end of the answer.
    pub(crate) async fn read(&mut self, out: &mut Vec<ModelEvent>) -> Result<bool, InferenceError> {
        let mut more = if self.is_json { self.whole(out).await } else { self.piece(out).await };
        if let Err(InferenceError::Api(error)) = &mut more {
            // An error inside the answer belongs to the request that the head named, unless it names one itself.
            error.request_id = error.request_id.take().or_else(|| self.request_id.take());
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
        if self.reader.as_ref().is_some_and(Reader::is_over) {
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
        let Some(reader) = &mut self.reader else { return Ok(false) };
        let broken = |error| from_wire(&self.provider, error);
        let read = match read {
            Some(Ok(read)) => read,
            Some(Err(HttpError::Cancelled)) => return Err(InferenceError::Cancelled),
            // An answer whose end has arrived is whole, however its connection ended.
            Some(Err(error)) => {
                return match self.end(out) {
                    Err(InferenceError::Interrupted { .. }) => Err(from_http(&self.provider, error)),
                    ended => ended,
                };
            }
            None => {
                let last = match self.sse.finish() {
                    Ok(Some(event)) => reader.event(event.event, event.data, out),
                    Ok(None) => Ok(()),
                    Err(error) => Err(broken(error)),
                };
                return match (last, self.end(out)) {
                    // Half an event at the end of the body makes no broken protocol, but a body that was cut.
                    (Err(InferenceError::Protocol { source, .. }), Err(InferenceError::Interrupted { .. })) => {
                        let message = "it ended in the middle of an event".to_owned();
                        Err(InferenceError::Interrupted { message, source })
                    }
                    (Ok(()) | Err(InferenceError::Protocol { .. }), ended) => ended,
                    (Err(error), _) => Err(error),
                };
            }
        };
        let mut events = self.sse.feed(&read);
        while let Some(event) = events.next_event().map_err(broken)? {
            reader.event(event.event, event.data, out)?;
        }
        if reader.has_failed() { self.end(out) } else { Ok(true) }
    }

    /// A server that was asked for a stream may answer with one JSON body all the same.
    async fn whole(&mut self, out: &mut Vec<ModelEvent>) -> Result<bool, InferenceError> {
        let mut text = Vec::new();
        while let Some(read) = self.body.next().await {
            text.extend_from_slice(&read.map_err(|error| from_http(&self.provider, error))?);
        }
        let text = String::from_utf8(text).map_err(|error| InferenceError::Protocol {
            provider: self.provider.clone(),
            message: format!("the body is not UTF-8 at byte {}", error.utf8_error().valid_up_to()),
            source: None,
        })?;
        if let Some(reader) = &mut self.reader {
            reader.body(&text, out)?;
        }
        self.end(out)
    }

    fn end(&mut self, out: &mut Vec<ModelEvent>) -> Result<bool, InferenceError> {
        match self.reader.take() {
            Some(reader) => reader.end(out).map(|()| false),
            None => Ok(false),
        }
    }
}

pub(crate) fn has_type(response: &Response, wanted: &str) -> bool {
    let kind = response.header("content-type").unwrap_or_default().trim_start();
    kind.get(..wanted.len()).is_some_and(|head| head.eq_ignore_ascii_case(wanted))
}
