//! Gemini's answers from raw bytes: the same answer however the stream is cut, the same calls from the reader of calls
//! alone, nothing finished after an error.
#![no_main]

use atomr_agents_wire::{
    GeminiDecoder, GeminiEvent, GeminiEventKind, GeminiToolCalls, SseDecoder, ToolCallEvent, WireError,
};
use libfuzzer_sys::fuzz_target;

fn decode<'r>(reads: impl Iterator<Item = &'r [u8]>) -> (Vec<GeminiEvent>, Option<String>) {
    let (mut sse, mut gemini, mut out) = (SseDecoder::new(), GeminiDecoder::new(), Vec::new());
    let result = (|| -> Result<(), WireError> {
        for read in reads {
            let mut events = sse.feed(read);
            while let Some(event) = events.next_event()? {
                gemini.chunk(event.data, &mut out)?;
            }
        }
        if let Some(event) = sse.finish()? {
            gemini.chunk(event.data, &mut out)?;
        }
        gemini.done(&mut out)
    })();
    (out, result.err().map(|error| error.to_string()))
}

fuzz_target!(|input: &[u8]| {
    // The last byte says how long the reads are, and is part of the stream: a recording is an input as it is.
    let (stream, Some(size)) = (input, input.last()) else { return };
    let whole = decode(std::iter::once(stream));
    assert_eq!(decode(stream.chunks(usize::from(*size) + 1)), whole);
    let finished = whole.0.iter().any(|event| matches!(event.kind, GeminiEventKind::Finish { .. }));
    assert!(!finished || whole.1.is_none(), "finished in spite of an error");
    let Ok(text) = std::str::from_utf8(stream) else { return };
    let (mut all, mut calls) = (Vec::new(), Vec::new());
    if GeminiDecoder::new().body(text, &mut all).is_ok() && text.contains("\"candidates\"") {
        let read = GeminiToolCalls::new().chunk(text, &mut calls);
        let told = all.iter().filter(|event| event.candidate == 0).filter_map(|event| match &event.kind {
            GeminiEventKind::ToolCall { id, name, arguments, .. } => Some((id, name, arguments)),
            _ => None,
        });
        let found = calls.iter().filter_map(|call| match call {
            ToolCallEvent::Finished { id, name, arguments, .. } => Some((id, name, arguments)),
            _ => None,
        });
        // The reader of calls alone also finds them outside of candidates.
        assert!(read.is_err() || told.count() <= found.count());
    }
});
