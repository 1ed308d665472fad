//! Hostile cuts: every recorded body, cut at every byte.

use atomr_agents_wire::{ResponsesDecoder, SseDecoder};

use super::common::Case;
use super::{decode, streams};

#[test]
fn byte_by_byte_gives_the_same() {
    for Case { name, body, .. } in streams() {
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(decode(&bytes), decode(&[&body]), "{name}");
    }
}

#[test]
fn two_pieces_at_every_byte_of_the_small_bodies() {
    let mut seen = 0;
    for Case { name, body, .. } in streams().into_iter().filter(|case| case.body.len() < 4_500) {
        let whole = decode(&[&body]);
        for cut in 0..=body.len() {
            assert_eq!(decode(&[&body[..cut], &body[cut..]]), whole, "{name}: cut at {cut}");
        }
        seen += 1;
    }
    assert!(seen >= 3, "{seen}");
}

/// Decoding a whole body for every cut of it is quadratic. What lies before the cut event is decoded once here and the
/// decoders are cloned; what is compared is the answer that results when the stream ends with the cut event.
#[test]
fn two_pieces_at_every_byte_of_all_streams() {
    for Case { name, body, .. } in streams() {
        let (mut sse, mut decoder) = (SseDecoder::new(), ResponsesDecoder::new());
        let mut start = 0;
        for end in event_ends(&body) {
            let run = |reads: &[&[u8]]| {
                let (mut sse, mut decoder, mut out) = (sse.clone(), decoder.clone(), vec![]);
                let mut errors = vec![];
                for read in reads {
                    let mut events = sse.feed(read);
                    while let Some(event) = events.next_event().unwrap() {
                        errors.extend(decoder.chunk(event.data, &mut out).err().map(|error| error.to_string()));
                    }
                }
                if let Some(event) = sse.finish().unwrap() {
                    errors.extend(decoder.chunk(event.data, &mut out).err().map(|error| error.to_string()));
                }
                decoder.done(&mut out).unwrap();
                (out, errors)
            };
            let want = run(&[&body[start..end]]);
            // The events that carry a whole response are long, and every cut of one costs its length.
            let step = if end - start > 2_000 { 13 } else { 1 };
            for cut in (start + 1..end).step_by(step) {
                assert!(run(&[&body[start..cut], &body[cut..end]]) == want, "{name}: cut at {cut}");
            }
            let mut events = sse.feed(&body[start..end]);
            while let Some(event) = events.next_event().unwrap() {
                decoder.chunk(event.data, &mut vec![]).unwrap();
            }
            start = end;
        }
        assert_eq!(start, body.len());
    }
}

/// Where the blank lines end; the last is the end of the body.
fn event_ends(body: &[u8]) -> Vec<usize> {
    let mut ends: Vec<usize> = (2..body.len()).filter(|&at| &body[at - 2..at] == b"\n\n").collect();
    ends.push(body.len());
    ends
}
