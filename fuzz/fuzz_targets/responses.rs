//! The Responses API from raw bytes: the same answer however the stream is cut, every call announced before it is
//! finished, no id twice, nothing finished after an error; the reader of calls alone never panics.
#![no_main]

use std::collections::HashSet;

use atomr_agents_wire::{
    ResponsesDecoder, ResponsesEvent, ResponsesEventKind, ResponsesToolCalls, SseDecoder, WireError,
};
use libfuzzer_sys::fuzz_target;

fn decode<'r>(reads: impl Iterator<Item = &'r [u8]>) -> (Vec<ResponsesEvent>, Option<String>) {
    let (mut sse, mut decoder, mut out) = (SseDecoder::new(), ResponsesDecoder::new(), Vec::new());
    let (mut calls, mut ignored) = (ResponsesToolCalls::new(), Vec::new());
    let result = (|| -> Result<(), WireError> {
        for read in reads {
            let mut events = sse.feed(read);
            while let Some(event) = events.next_event()? {
                let _ = calls.event(event.data, &mut ignored);
                decoder.chunk(event.data, &mut out)?;
            }
        }
        if let Some(event) = sse.finish()? {
            decoder.chunk(event.data, &mut out)?;
        }
        decoder.done(&mut out)
    })();
    let _ = calls.finish(&mut ignored);
    (out, result.err().map(|error| error.to_string()))
}

fuzz_target!(|input: &[u8]| {
    // The last byte says how long the reads are, and is part of the stream: a recording is an input as it is.
    let (stream, Some(size)) = (input, input.last()) else { return };
    let whole = decode(std::iter::once(stream));
    assert_eq!(decode(stream.chunks(usize::from(*size) + 1)), whole);
    let (mut announced, mut ids) = (Vec::new(), HashSet::new());
    for ResponsesEvent { kind, .. } in &whole.0 {
        match kind {
            ResponsesEventKind::ToolCallStarted { index, id, name, .. } => announced.push((index, id, name)),
            ResponsesEventKind::ToolCallFinished { index, id, name, .. } => {
                assert!(announced.contains(&(index, id, name)), "finished without being announced");
                assert!(id.is_empty() || ids.insert(id), "two calls of one id");
            }
            ResponsesEventKind::Finish { .. } => assert!(whole.1.is_none(), "finished in spite of an error"),
            _ => {}
        }
    }
    if let Ok(text) = std::str::from_utf8(stream) {
        let _ = ResponsesDecoder::new().body(text, &mut Vec::new());
    }
});
