//! The wire formats of the providers, written: one script serves clients of all of them.

mod anthropic;
mod chat;
mod flaw;
mod frame;
mod gemini;
mod responses;
mod sketch;

use std::fmt;
use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_inference::InferenceError;
use serde_json::Value;

use crate::{Exchange, Received, RetryAfter, Turn};
use frame::{Frame, body};
use sketch::Sketch;

pub use flaw::Flaw;

/// A provider's way to write an answer. One [`Turn`] can be written in each of them, so that one script serves the
/// clients of all providers.
///
/// ```
/// use atomr_agents_testkit::{Format, Turn};
///
/// for format in Format::ALL {
///     let exchange = format.stream(&Turn::text("Rain."));
///     assert!(exchange.is_stream() && String::from_utf8_lossy(&exchange.body).contains("Rain."));
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// OpenAI's chat completions, spoken by many other servers.
    OpenAiChat,
    /// OpenAI's Responses.
    OpenAiResponses,
    /// Anthropic's Messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
}

/// What a format must be able to write. `Sketch` says what, a writer how.
trait Writer {
    /// A streamed answer, event by event.
    fn frames(&self, sketch: &Sketch) -> Vec<Frame>;
    /// An answer in one document.
    fn whole(&self, sketch: &Sketch) -> Value;
    /// The body of an error; `wait` where the format says there how long to wait.
    fn error(&self, status: u16, message: &str, wait: Option<Duration>) -> Value;
    /// The provider is overloaded, said in mid-stream.
    fn failure(&self, message: &str) -> Vec<Frame>;
    /// An event that no client knows yet.
    fn unknown(&self) -> Frame;
    /// A piece of text where none may come.
    fn stray(&self) -> Frame;
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Format] =
        &[Format::OpenAiChat, Format::OpenAiResponses, Format::Anthropic, Format::Gemini];

    /// Its name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Format::OpenAiChat => "openai_chat",
            Format::OpenAiResponses => "openai_responses",
            Format::Anthropic => "anthropic",
            Format::Gemini => "gemini",
        }
    }

    /// The format that a request asks for, by its path.
    #[must_use]
    pub fn of(request: &Received) -> Option<Self> {
        let path = request.path.split('?').next().unwrap_or_default();
        let ends = |end: &str| path.ends_with(end);
        match () {
            () if ends("/chat/completions") => Some(Format::OpenAiChat),
            () if ends("/responses") => Some(Format::OpenAiResponses),
            () if ends("/messages") || ends(":streamRawPredict") || ends(":rawPredict") => Some(Format::Anthropic),
            () if ends(":streamGenerateContent") || ends(":generateContent") => Some(Format::Gemini),
            () => None,
        }
    }

    /// `turn` as an event stream. What only one provider understands (opaque parts, server tools, citations, other
    /// choices) is left out. A turn that ends in a provider's error ends so here: as a status where nothing was said
    /// before it, else inside the stream; one that ends in another error breaks off.
    #[must_use]
    pub fn stream(self, turn: &Turn) -> Exchange {
        match &turn.error {
            None => self.event_stream(&self.writer().frames(&Sketch::of(turn))),
            Some(InferenceError::Api(error)) if turn.events.is_empty() => {
                let status = if error.status == 0 { status_of(error.class) } else { error.status };
                let wait = error.retry_after.map(|wait| RetryAfter::Millis(wait.as_millis() as u64));
                wait.map_or_else(|| self.error(status, &error.message), |wait| wait.put(self, status, &error.message))
            }
            Some(error) => {
                let mut frames = self.writer().frames(&Sketch::of(turn));
                frames.retain(|frame| !frame.is_end());
                if let InferenceError::Api(error) = error {
                    frames.extend(self.writer().failure(&error.message));
                }
                self.event_stream(&frames)
            }
        }
    }

    /// `turn` as one JSON document, as it is sent to a client that asks for no stream. An error at its end is left
    /// out.
    #[must_use]
    pub fn whole(self, turn: &Turn) -> Exchange {
        let exchange = Exchange::json(200, &self.writer().whole(&Sketch::of(turn)));
        exchange.header(self.request_id_header(), "req_testkit")
    }

    /// `turn` as an event stream that breaks the format like this; `None` where the format cannot be broken so.
    #[must_use]
    pub fn flawed(self, turn: &Turn, flaw: &Flaw) -> Option<Exchange> {
        flaw.frames(self, turn).map(|frames| self.event_stream(&frames))
    }

    /// An answer with an error status, in the provider's words for it.
    #[must_use]
    pub fn error(self, status: u16, message: &str) -> Exchange {
        let exchange = Exchange::json(status, &self.writer().error(status, message, None));
        exchange.header(self.request_id_header(), "req_testkit")
    }

    /// An answer that says too much was asked (429), and when to come back.
    #[must_use]
    pub fn rate_limited(self, after: &RetryAfter) -> Exchange {
        after.put(self, 429, "Rate limit reached. Please try again later.")
    }

    fn event_stream(self, frames: &[Frame]) -> Exchange {
        let line_end = if self == Format::Gemini { "\r\n" } else { "\n" };
        let exchange = Exchange::new(200, "text/event-stream; charset=utf-8", body(frames, line_end));
        exchange.header(self.request_id_header(), "req_testkit")
    }

    fn request_id_header(self) -> &'static str {
        if self == Format::Anthropic { "request-id" } else { "x-request-id" }
    }

    fn writer(self) -> &'static dyn Writer {
        match self {
            Format::OpenAiChat => &chat::Chat,
            Format::OpenAiResponses => &responses::Responses,
            Format::Anthropic => &anthropic::Anthropic,
            Format::Gemini => &gemini::Gemini,
        }
    }

    /// The body of an error that says in it how long to wait.
    pub(crate) fn error_body(self, status: u16, message: &str, wait: Option<Duration>) -> Value {
        self.writer().error(status, message, wait)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status that stands for a kind of error.
#[must_use]
pub fn status_of(class: Option<Kind>) -> u16 {
    match class {
        Some(Kind::Authentication) => 401,
        Some(Kind::Permission) => 403,
        Some(Kind::NotFound) => 404,
        Some(Kind::TooLarge) => 413,
        Some(Kind::RateLimited | Kind::QuotaExceeded) => 429,
        Some(Kind::Overloaded) => 529,
        Some(Kind::ServerError) | None => 500,
        Some(_) => 400,
    }
}

#[cfg(test)]
mod tests;
