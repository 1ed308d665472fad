//! Chat completions from raw bytes: the same answer however the stream is cut, every call announced before it is
//! finished, nothing finished after an error.
#![no_main]

use atomr_agents_wire::{ChatDecoder, ChatEvent, ChatEventKind, ProviderError, SseDecoder, WireError};
use libfuzzer_sys::fuzz_target;

fn decode<'r>(reads: impl Iterator<Item = &'r [u8]>) -> (Vec<ChatEvent>, Option<String>) {
    let (mut sse, mut chat, mut out) = (SseDecoder::new(), ChatDecoder::new(), Vec::new());
    let result = (|| -> Result<(), WireError> {
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
    (out, result.err().map(|error| error.to_string()))
}

fuzz_target!(|input: &[u8]| {
    // The last byte says how long the reads are, and is part of the stream: a recording is an input as it is.
    let (stream, Some(size)) = (input, input.last()) else { return };
    let whole = decode(std::iter::once(stream));
    assert_eq!(decode(stream.chunks(usize::from(*size) + 1)), whole);
    let mut announced = Vec::new();
    for ChatEvent { choice, kind } in &whole.0 {
        match kind {
            ChatEventKind::ToolCallStarted { index, id, name } => announced.push((choice, index, id, name)),
            ChatEventKind::ToolCallFinished { index, id, name, .. } => {
                assert!(announced.contains(&(choice, index, id, name)), "finished without being announced");
            }
            ChatEventKind::Finish { .. } => assert!(whole.1.is_none(), "finished in spite of an error"),
            _ => {}
        }
    }
    let _ = ProviderError::from_body(stream);
});
