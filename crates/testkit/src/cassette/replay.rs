//! A client that answers from a cassette.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_stream::stream;
use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest};
use atomr_agents_inference::{Capabilities, InferenceClient, InferenceError, ModelStream, OutputMode};
use serde_json::Value;

use super::difference::{Difference, ReplayError, canonical, difference};
use super::line::{Line, VERSION};
use crate::TestkitError;
use crate::scripted::wait;

/// A client that answers from a cassette that [`crate::RecordingClient`] wrote, without a network. A request is answered
/// by the first recorded call that was not made yet and asked the same; calls that were made at once may so come in
/// another order. Any other request is refused with [`InferenceError::Replay`], whose source is a [`ReplayError`] that
/// names the first difference. Ids of tool calls may differ.
///
/// Clones share what is left of the recording.
#[derive(Clone, Debug)]
pub struct ReplayClient {
    provider: Arc<str>,
    calls: Arc<Vec<Call>>,
    left: Arc<Mutex<Vec<bool>>>,
    paced: bool,
}

#[derive(Debug)]
struct Call {
    request: Value,
    output: OutputMode,
    said: Vec<(u64, Result<ModelEvent, InferenceError>)>,
    end: End,
}

/// What comes after what was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing: the terminal event was said, or none ever came.
    Over,
    /// The caller went away, or the recording was cut.
    Left,
}

impl ReplayClient {
    /// Reads the cassette at `path`.
    ///
    /// # Errors
    /// [`TestkitError`] when it cannot be read or is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TestkitError> {
        let shown = path.as_ref().display().to_string();
        let text = std::fs::read_to_string(path.as_ref())
            .map_err(|source| TestkitError::Unreadable { path: shown.clone(), source })?;
        let malformed = |number: usize, message: &str, source| TestkitError::Malformed {
            path: shown.clone(),
            message: format!("line {number}: {message}"),
            source,
        };
        let mut provider = None;
        let mut calls: BTreeMap<usize, Call> = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = serde_json::from_str(line)
                .map_err(|error| malformed(number, "it is no line of a cassette", Some(error)))?;
            match line {
                Line::Cassette { version, .. } if version > VERSION => {
                    return Err(malformed(number, "it was written by a newer version", None));
                }
                Line::Cassette { provider: named, .. } => provider = Some(named),
                Line::Call { call, output, request } => {
                    let mode = OutputMode::ALL.iter().copied().find(|mode| mode.as_str() == output);
                    let output = mode.unwrap_or_default();
                    calls.insert(call, Call { request, output, said: Vec::new(), end: End::Left });
                }
                other => {
                    if !other.add_to(&mut calls) {
                        return Err(malformed(number, "it belongs to a call that never began", None));
                    }
                }
            }
        }
        let provider = provider.ok_or_else(|| malformed(1, "it does not say that it is a cassette", None))?;
        let left = vec![true; calls.len()];
        Ok(Self {
            provider: Arc::from(provider),
            calls: Arc::new(calls.into_values().collect()),
            left: Arc::new(Mutex::new(left)),
            paced: false,
        })
    }

    /// Waits between the events as long as was waited then, on tokio's clock. Without this nothing is waited for.
    #[must_use]
    pub fn paced(mut self) -> Self {
        self.paced = true;
        self
    }

    /// How many recorded calls were not made yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.left().iter().filter(|left| **left).count()
    }

    /// The model that the first recorded call asked for.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.calls.first()?.request["model"].as_str()
    }

    fn left(&self) -> MutexGuard<'_, Vec<bool>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recorded call that answers this request; it is then made.
    fn claim(&self, request: &ModelRequest) -> Result<usize, ReplayError> {
        let asked = canonical(request);
        let mut left = self.left();
        let mut first: Option<Difference> = None;
        for (at, call) in self.calls.iter().enumerate().filter(|(at, _)| left[*at]) {
            match difference(at, &call.request, &asked) {
                None => {
                    left[at] = false;
                    return Ok(at);
                }
                Some(found) => {
                    first.get_or_insert(found);
                }
            }
        }
        Err(first.map_or(ReplayError::Exhausted { calls: self.calls.len() }, ReplayError::Differs))
    }
}

impl Line {
    /// Adds what was said to its call; false where there is no such call.
    fn add_to(self, calls: &mut BTreeMap<usize, Call>) -> bool {
        let (call, said, end) = match self {
            Line::Event { call, after_ms, event } => {
                let end = if matches!(event, ModelEvent::Finish { .. }) { End::Over } else { End::Left };
                (call, Some((after_ms, Ok(event))), end)
            }
            Line::Failed { call, after_ms, error } => (call, Some((after_ms, Err(error.into()))), End::Over),
            Line::Cut { call } => (call, None, End::Over),
            Line::Left { call } => (call, None, End::Left),
            Line::Cassette { .. } | Line::Call { .. } => return true,
        };
        let Some(entry) = calls.get_mut(&call) else { return false };
        entry.said.extend(said);
        entry.end = end;
        true
    }
}

impl InferenceClient for ReplayClient {
    fn provider(&self) -> &str {
        &self.provider
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        let client = self.clone();
        Box::pin(stream! {
            if let Err(error) = wait(Duration::ZERO, &ctx).await {
                yield Err(error);
                return;
            }
            let at = match client.claim(&request) {
                Ok(at) => at,
                Err(error) => {
                    yield Err(error.into());
                    return;
                }
            };
            let call = &client.calls[at];
            let mut now = 0;
            for (after_ms, item) in &call.said {
                let pause = if client.paced { after_ms.saturating_sub(now) } else { 0 };
                now = *after_ms;
                if let Err(error) = wait(Duration::from_millis(pause), &ctx).await {
                    yield Err(error);
                    return;
                }
                yield item.clone();
            }
            if call.end == End::Left {
                yield Err(ReplayError::Left { call: at + 1 }.into());
            }
        })
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        let call = self.calls.iter().find(|call| call.request["model"] == model);
        call.map(|call| Capabilities::with_output(call.output)).unwrap_or_default()
    }
}

impl From<ReplayError> for InferenceError {
    fn from(error: ReplayError) -> Self {
        InferenceError::Replay { message: error.to_string(), source: Arc::new(error) }
    }
}
