//! Server-sent events: however a stream is cut, the events are the same.
//!
//! The first byte sets the limit, the second the size of the reads; the rest is the stream.
#![no_main]

use atomr_agents_wire::{SseDecoder, WireError};
use libfuzzer_sys::fuzz_target;

type Seen = Vec<Result<(String, Option<String>, String, bool), String>>;

fn decode<'r>(reads: impl Iterator<Item = &'r [u8]>, limit: usize) -> Seen {
    let (mut decoder, mut seen) = (SseDecoder::with_max_event_bytes(limit), Seen::new());
    let own = |event: atomr_agents_wire::Event<'_>| {
        (event.data.to_owned(), event.event.map(str::to_owned), event.id.to_owned(), event.unterminated)
    };
    for read in reads {
        let mut events = decoder.feed(read);
        loop {
            match events.next_event() {
                Ok(Some(event)) => seen.push(Ok(own(event))),
                Ok(None) => break,
                Err(error) => {
                    seen.push(Err(error.to_string()));
                    if !matches!(error, WireError::InvalidUtf8 { .. }) {
                        return seen;
                    }
                }
            }
        }
    }
    match decoder.finish() {
        Ok(event) => seen.extend(event.map(own).map(Ok)),
        Err(error) => seen.push(Err(error.to_string())),
    }
    seen
}

fuzz_target!(|input: &[u8]| {
    let [limit, size, stream @ ..] = input else { return };
    let limit = if *limit == 0 { 1 << 20 } else { usize::from(*limit) };
    let whole = decode(std::iter::once(stream), limit);
    assert_eq!(decode(stream.chunks(usize::from(*size) + 1), limit), whole);
    assert_eq!(decode(stream.chunks(1), limit), whole);
});
