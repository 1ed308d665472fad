//! The Responses API: recordings, cuts, damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod cuts;
mod mutations;
mod recordings;

use atomr_agents_wire::{ResponsesDecoder, ResponsesEvent, WireError};
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
    let (mut decoder, mut out) = (ResponsesDecoder::new(), Vec::new());
    let read = common::each_event(reads, |event| match decoder.chunk(event.data, &mut out) {
        Err(WireError::InvalidJson { .. }) if event.unterminated => Ok(()),
        taken => taken,
    });
    let result = read.and_then(|()| decoder.done(&mut out));
    (out, result.err().map(|error| error.to_string()))
}
