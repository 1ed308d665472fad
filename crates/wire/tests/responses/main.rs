//! The Responses API: recordings, cuts, damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod cuts;
mod mutations;
mod recordings;

use atomr_agents_wire::{ResponsesDecoder, ResponsesEvent, SseDecoder, WireError};
use common::Case;

/// All 39 of them.
fn cases() -> Vec<Case> {
    common::recorded("openai-responses", 39)
}

fn streams() -> Vec<Case> {
    let streams: Vec<Case> = cases().into_iter().filter(Case::is_stream).collect();
    assert_eq!(streams.len(), 33);
    streams
}

/// What one way of cutting a stream gives at the level of the answer, and the first error. An event without its end
/// that is no JSON is a cut, not an error.
fn decode(reads: &[&[u8]]) -> (Vec<ResponsesEvent>, Option<String>) {
    let (mut sse, mut decoder, mut out) = (SseDecoder::new(), ResponsesDecoder::new(), Vec::new());
    let result = (|| {
        for read in reads {
            let mut events = sse.feed(read);
            while let Some(event) = events.next_event()? {
                decoder.chunk(event.data, &mut out)?;
            }
        }
        if let Some(event) = sse.finish()? {
            match decoder.chunk(event.data, &mut out) {
                Err(WireError::InvalidJson { .. }) if event.unterminated => {}
                taken => taken?,
            }
        }
        decoder.done(&mut out)
    })();
    (out, result.err().map(|error: WireError| error.to_string()))
}
