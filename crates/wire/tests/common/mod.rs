//! The recordings, and the plain way through both decoders.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use atomr_agents_wire::{ChatDecoder, ChatEvent, SseDecoder, SseStats};
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

/// All 65 of them.
pub fn cases() -> Vec<Case> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/recordings/openai-chat"));
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
    assert_eq!(cases.len(), 65, "the recordings are incomplete");
    cases
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
    let own = |e: atomr_agents_wire::Event<'_>| {
        (e.data.to_owned(), e.event.map(str::to_owned), e.id.to_owned(), e.unterminated)
    };
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

/// What one way of cutting a stream gives at the level of the answer, and the first error.
pub fn chat(reads: &[&[u8]]) -> (Vec<ChatEvent>, Option<String>) {
    let (mut sse, mut chat, mut out) = (SseDecoder::new(), ChatDecoder::new(), Vec::new());
    let result = (|| {
        for read in reads {
            let mut events = sse.feed(read);
            while let Some(event) = events.next_event()? {
                chat.chunk(event.data, &mut out)?;
            }
        }
        if let Some(event) = sse.finish()? {
            chat.chunk(event.data, &mut out)?;
        }
        chat.done(&mut out)
    })();
    (out, result.err().map(|error: atomr_agents_wire::WireError| error.to_string()))
}
