//! What makes one provider different from another.

use std::fmt;

use atomr_agents_core::{ModelEvent, ModelRequest};
use atomr_agents_http::HeaderMap;
use atomr_agents_inference::{Capabilities, InferenceError, Lowered};
use atomr_agents_wire::DEFAULT_MAX_EVENT_BYTES;

use crate::Connection;

/// How a provider is spoken to: the words of its requests and the reading of its answers.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// What reads one answer.
    type Reader: Reader;

    /// The provider's short name, e.g. `openai`. It marks what only this provider understands.
    fn provider(&self) -> &str;

    /// Where a request goes.
    fn route(&self, request: &ModelRequest) -> Route;

    /// The request in the provider's words. Equal requests give equal bytes.
    ///
    /// # Errors
    /// [`InferenceError::Unsupported`] for what the provider cannot be told.
    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError>;

    /// What reads the answer.
    fn reader(&self) -> Self::Reader;

    /// The most bytes that one event of a stream may have. Default 1 MiB; a provider that puts images into its events
    /// needs more.
    fn max_event_bytes(&self) -> usize {
        DEFAULT_MAX_EVENT_BYTES
    }

    /// What the provider means by an answer with an error status.
    fn refused(&self, answer: Refused<'_>) -> InferenceError;

    /// What `model` can do.
    fn capabilities(&self, model: &str) -> Capabilities;
}

/// The settings of a provider's client.
pub trait Setup {
    /// What is spoken.
    type Dialect: Dialect;

    /// How the provider is reached, and how it is spoken to.
    fn into_parts(self) -> (Connection, Self::Dialect);
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path below the base URL, with its query.
    pub path: String,
}

/// An answer with an error status.
#[derive(Debug)]
pub struct Refused<'a> {
    /// The status.
    pub status: u16,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The beginning of its body.
    pub body: &'a [u8],
    /// The provider's id of the request.
    pub request_id: Option<String>,
}

/// Reads one answer, event by event or as one body.
pub trait Reader: Send + 'static {
    /// Takes one event of the stream.
    ///
    /// # Errors
    /// What breaks the protocol, and errors that the provider reports and that end the answer at once.
    fn event(&mut self, name: Option<&str>, data: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError>;

    /// Takes a whole body in place of a stream; [`Reader::end`] follows. Default: it looks like an event.
    ///
    /// # Errors
    /// As [`Reader::event`].
    fn body(&mut self, json: &str, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError> {
        self.event(None, json, out)
    }

    /// Whether nothing that matters is to come: the rest of the body is waited for only shortly.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether the answer ended in an error that [`Reader::end`] tells.
    fn has_failed(&self) -> bool {
        false
    }

    /// The body is at its end. Tells the terminal event, last, or what is wrong.
    ///
    /// # Errors
    /// The provider's own error, or [`InferenceError::Interrupted`] for an answer without an end.
    fn end(self, out: &mut Vec<ModelEvent>) -> Result<(), InferenceError>;
}
