//! The recordings, and the plain way through both decoders.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod mutate;

use std::path::PathBuf;

use atomr_agents_wire::{
    AnthropicDecoder, AnthropicEvent, ChatDecoder, ChatEvent, Event, GeminiDecoder, GeminiEvent, SseDecoder, SseStats,
    WireError,
};
use serde_json::Value;

/// One recorded exchange.
pub struct Case {
    pub name: String,
    pub body: Vec<u8>,
    pub expected: Value,
}

impl Case {
    pub fn is_stream(&self) -> bool {
        self.expected["stream"] == true
    }

    pub fn is_http_error(&self) -> bool {
        self.expected["outcome"] == "http_error"
    }
}

/// All 65 chat completions.
pub fn cases() -> Vec<Case> {
    recorded("openai-chat", 65)
}

/// All 41 Anthropic messages.
pub fn anthropic_cases() -> Vec<Case> {
    recorded("anthropic-messages", 41)
}

/// All recordings of a provider.
pub fn recorded(provider: &str, count: usize) -> Vec<Case> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/recordings")).join(provider);
    let mut cases: Vec<Case> = std::fs::read_dir(&root)
        .expect("the recordings")
        .map(|entry| {
            let path = entry.unwrap().path();
            let expected = std::fs::read(path.join("expected.json")).unwrap();
            Case {
                name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                body: std::fs::read(path.join("response.body")).unwrap(),
                expected: serde_json::from_slice(&expected).unwrap(),
            }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(cases.len(), count, "the recordings are incomplete");
    cases
}

/// Gives each recording to the check for what it is: a stream, a whole body, the body of an error. How many there were of
/// each.
pub fn checked(
    cases: Vec<Case>,
    stream: impl Fn(&Case),
    body: impl Fn(&Case, &str),
    error: impl Fn(&Case),
) -> (usize, usize, usize) {
    let (mut streams, mut bodies, mut errors) = (0, 0, 0);
    for case in cases {
        if case.is_http_error() {
            error(&case);
            errors += 1;
        } else if case.is_stream() {
            stream(&case);
            streams += 1;
        } else {
            body(&case, std::str::from_utf8(&case.body).unwrap());
            bodies += 1;
        }
    }
    (streams, bodies, errors)
}

pub fn streams() -> Vec<Case> {
    let streams: Vec<Case> = cases().into_iter().filter(Case::is_stream).collect();
    assert_eq!(streams.len(), 39);
    streams
}

/// An event, owned; or the text of the error in its place.
pub type Owned = Result<(String, Option<String>, String, bool), String>;

/// Everything that one way of cutting a stream gives. An error that is final comes once, last.
pub fn sse(reads: &[&[u8]], limit: usize) -> (Vec<Owned>, SseStats) {
    let mut decoder = SseDecoder::with_max_event_bytes(limit);
    let mut out = Vec::new();
    let own = |e: Event<'_>| (e.data.to_owned(), e.event.map(str::to_owned), e.id.to_owned(), e.unterminated);
    for read in reads {
        let mut events = decoder.feed(read);
        loop {
            match events.next_event() {
                Ok(Some(event)) => out.push(Ok(own(event))),
                Ok(None) => break,
                Err(error @ atomr_agents_wire::WireError::InvalidUtf8 { .. }) => out.push(Err(error.to_string())),
                Err(error) => {
                    out.push(Err(error.to_string()));
                    assert!(decoder.finish().is_err(), "the error is final");
                    return (out, decoder.stats());
                }
            }
        }
    }
    match decoder.finish() {
        Ok(Some(event)) => out.push(Ok(own(event))),
        Ok(None) => {}
        Err(error) => out.push(Err(error.to_string())),
    }
    (out, decoder.stats())
}

/// Every event, in order.
pub fn each_event(reads: &[&[u8]], mut take: impl FnMut(Event<'_>) -> Result<(), WireError>) -> Result<(), WireError> {
    let mut sse = SseDecoder::new();
    for read in reads {
        let mut events = sse.feed(read);
        while let Some(event) = events.next_event()? {
            take(event)?;
        }
    }
    if let Some(event) = sse.finish()? {
        take(event)?;
    }
    Ok(())
}

/// What one way of cutting a stream gives at the level of the answer, and the first error.
pub fn chat(reads: &[&[u8]]) -> (Vec<ChatEvent>, Option<String>) {
    let (mut chat, mut out) = (ChatDecoder::new(), Vec::new());
    let read = each_event(reads, |event| chat.chunk(event.data, &mut out));
    let result = read.and_then(|()| chat.done(&mut out));
    (out, result.err().map(|error| error.to_string()))
}

/// The same for an Anthropic stream.
pub fn anthropic(reads: &[&[u8]]) -> (Vec<AnthropicEvent>, Option<String>) {
    let (mut decoder, mut out) = (AnthropicDecoder::new(), Vec::new());
    let read = each_event(reads, |event| decoder.chunk(event.data, &mut out));
    let result = read.and_then(|()| decoder.done(&mut out));
    (out, result.err().map(|error| error.to_string()))
}

/// The same for a Gemini stream.
pub fn gemini(reads: &[&[u8]]) -> (Vec<GeminiEvent>, Option<String>) {
    let (mut decoder, mut out) = (GeminiDecoder::new(), Vec::new());
    let read = each_event(reads, |event| decoder.chunk(event.data, &mut out));
    let result = read.and_then(|()| decoder.done(&mut out));
    (out, result.err().map(|error| error.to_string()))
}
