//! A client that keeps what it hears.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_stream::stream;
use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest};
use atomr_agents_inference::{Capabilities, InferenceClient, InferenceError, Lowered, ModelStream};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::Instant;

use super::difference::canonical;
use super::failure::Failure;
use super::hidden::Hidden;
use super::line::{Line, VERSION};
use crate::TestkitError;

/// A client that keeps every request and everything that is answered, errors included, in a file of JSON lines (a
/// cassette), from which [`crate::ReplayClient`] answers later. Clones write to the same file.
///
/// Credentials are not part of a request and so are in no cassette; besides, the text of fields with a telling name
/// (`api_key`, `password`, `authorization`, …), words that look like keys, and what was given to
/// [`RecordingClient::hiding`] are kept as `[hidden]`. Everything else that was said is in the file: read it before it
/// is shared.
///
/// Each line is written to the file as it comes, in the task that listens to the model.
#[derive(Clone)]
pub struct RecordingClient {
    inner: Arc<dyn InferenceClient>,
    tape: Arc<Tape>,
    hidden: Hidden,
}

#[derive(Debug)]
struct Tape {
    path: String,
    file: Mutex<File>,
    calls: AtomicUsize,
}

impl RecordingClient {
    /// Records what `client` is asked and answers, into a new file at `path`; one that is there is replaced.
    ///
    /// # Errors
    /// [`TestkitError::Unwritable`] when the file cannot be written.
    pub fn new(client: Arc<dyn InferenceClient>, path: impl AsRef<Path>) -> Result<Self, TestkitError> {
        let shown = path.as_ref().display().to_string();
        let file = File::create(path.as_ref())
            .map_err(|source| TestkitError::Unwritable { path: shown.clone(), source: Arc::new(source) })?;
        let tape = Tape { path: shown, file: Mutex::new(file), calls: AtomicUsize::new(0) };
        tape.write(Line::Cassette { version: VERSION, provider: client.provider().to_owned() }, &Hidden::default())?;
        Ok(Self { inner: client, tape: Arc::new(tape), hidden: Hidden::default() })
    }

    /// The same, but `secret` is written nowhere.
    #[must_use]
    pub fn hiding(mut self, secret: impl Into<String>) -> Self {
        self.hidden.add(secret.into());
        self
    }
}

impl Tape {
    fn write(&self, line: Line, hidden: &Hidden) -> Result<(), TestkitError> {
        let failed = |source| TestkitError::Unwritable { path: self.path.clone(), source: Arc::new(source) };
        let mut value = serde_json::to_value(line).map_err(|error| failed(error.into()))?;
        clean(&mut value, hidden);
        let mut text = value.to_string();
        text.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes()).map_err(failed)
    }
}

/// Takes out what is not kept; the words of the format itself stay.
fn clean(line: &mut Value, hidden: &Hidden) {
    for field in ["request", "event", "error", "body", "message", "cause"] {
        if let Some(value) = line.get_mut(field) {
            hidden.clean(value);
        }
    }
}

/// Notes that the caller went away, unless the call ended before.
struct Watch {
    tape: Arc<Tape>,
    call: usize,
    ended: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.ended {
            // Nobody is there any more who could be told that it failed.
            let _ = self.tape.write(Line::Left { call: self.call }, &Hidden::default());
        }
    }
}

impl InferenceClient for RecordingClient {
    fn provider(&self) -> &str {
        self.inner.provider()
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        let Self { inner, tape, hidden } = self.clone();
        Box::pin(stream! {
            // A call that nobody waits for is none.
            if ctx.cancel.is_cancelled() || ctx.remaining().is_some_and(|left| left.is_zero()) {
                let mut refused = inner.stream(request, ctx);
                while let Some(item) = refused.next().await {
                    yield item;
                }
                return;
            }
            let call = tape.calls.fetch_add(1, Ordering::Relaxed);
            let output = inner.capabilities(&request.model).output.as_str().to_owned();
            let begun = Line::Call { call, output, request: canonical(&request) };
            if let Err(error) = tape.write(begun, &hidden) {
                yield Err(error.into());
                return;
            }
            let mut watch = Watch { tape: Arc::clone(&tape), call, ended: false };
            let begin = Instant::now();
            let mut said = inner.stream(request, ctx);
            while let Some(item) = said.next().await {
                let after_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
                let line = match &item {
                    Ok(event) => Line::Event { call, after_ms, event: event.clone() },
                    Err(error) => Line::Failed { call, after_ms, error: Failure::from(error) },
                };
                watch.ended |= matches!(item, Err(_) | Ok(ModelEvent::Finish { .. }));
                if let Err(error) = tape.write(line, &hidden) {
                    yield Err(error.into());
                    return;
                }
                yield item;
            }
            if !std::mem::replace(&mut watch.ended, true)
                && let Err(error) = tape.write(Line::Cut { call }, &hidden)
            {
                yield Err(error.into());
            }
        })
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        self.inner.capabilities(model)
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        self.inner.lower(request)
    }
}

impl fmt::Debug for RecordingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = self.inner.provider();
        f.debug_struct("RecordingClient")
            .field("provider", &provider)
            .field("path", &self.tape.path)
            .finish_non_exhaustive()
    }
}
