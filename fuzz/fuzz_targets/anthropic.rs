//! Anthropic messages from raw bytes: the same answer however the stream is cut, every call announced before it is
//! finished, nothing finished after an error, and the calls alone are the same calls.
#![no_main]

use atomr_agents_wire::{AnthropicDecoder, AnthropicEvent, AnthropicToolCalls, SseDecoder, ToolCallEvent, WireError};
use libfuzzer_sys::fuzz_target;

fn each_event<'r>(
    reads: impl Iterator<Item = &'r [u8]>,
    mut take: impl FnMut(&str) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut sse = SseDecoder::new();
    for read in reads {
        let mut events = sse.feed(read);
        while let Some(event) = events.next_event()? {
            take(event.data)?;
        }
    }
    match sse.finish()? {
        Some(event) => take(event.data),
        None => Ok(()),
    }
}

fn decode<'r>(reads: impl Iterator<Item = &'r [u8]>) -> (Vec<AnthropicEvent>, Option<String>) {
    let (mut decoder, mut out) = (AnthropicDecoder::new(), Vec::new());
    let result = each_event(reads, |data| decoder.chunk(data, &mut out)).and_then(|()| decoder.done(&mut out));
    (out, result.err().map(|error| error.to_string()))
}

fuzz_target!(|input: &[u8]| {
    // The last byte says how long the reads are, and is part of the stream: a recording is an input as it is.
    let (stream, Some(size)) = (input, input.last()) else { return };
    let whole = decode(std::iter::once(stream));
    assert_eq!(decode(stream.chunks(usize::from(*size) + 1)), whole);
    let (mut announced, mut finished) = (Vec::new(), Vec::new());
    for event in &whole.0 {
        match event {
            AnthropicEvent::ToolCallStarted { index, id, name } => announced.push((index, id, name)),
            AnthropicEvent::ToolCallFinished { index, id, name, arguments, .. } => {
                assert!(announced.contains(&(index, id, name)), "finished without being announced");
                finished.push((*index, arguments.as_str()));
            }
            AnthropicEvent::Finish { .. } => assert!(whole.1.is_none(), "finished in spite of an error"),
            _ => {}
        }
    }
    let mut calls = AnthropicToolCalls::new();
    let read = each_event(std::iter::once(stream), |data| calls.feed(data));
    assert_eq!(read.is_err(), whole.1.is_some());
    let calls = calls.finish();
    for call in finished {
        let same = |event: &ToolCallEvent| matches!(event, ToolCallEvent::Finished { index, arguments, .. } if (*index, arguments.as_str()) == call);
        assert!(calls.iter().any(same), "the calls alone differ");
    }
});
