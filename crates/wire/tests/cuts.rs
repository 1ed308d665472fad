//! Hostile cuts: every recorded body, cut at every byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use atomr_agents_wire::{ChatDecoder, SseDecoder};
use common::{Case, cases, streams};

#[test]
fn byte_by_byte_gives_the_same() {
    let mut seen = 0;
    for Case { name, body, .. } in cases() {
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(common::sse(&bytes, 1 << 20), common::sse(&[&body], 1 << 20), "{name}: events");
        assert_eq!(common::chat(&bytes), common::chat(&[&body]), "{name}: answer");
        seen += 1;
    }
    assert_eq!(seen, 65);
}

#[test]
fn two_pieces_at_every_byte_of_the_small_bodies() {
    let mut seen = 0;
    for Case { name, body, .. } in cases().into_iter().filter(|case| case.body.len() < 1_500 || is_composed(case)) {
        let (events, answer) = (common::sse(&[&body], 1 << 20), common::chat(&[&body]));
        for cut in 0..=body.len() {
            let reads = [&body[..cut], &body[cut..]];
            assert_eq!(common::sse(&reads, 1 << 20), events, "{name}: events, cut at {cut}");
            assert_eq!(common::chat(&reads), answer, "{name}: answer, cut at {cut}");
        }
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

fn is_composed(case: &Case) -> bool {
    case.name.starts_with("composed-")
}

/// Decoding a whole body for every cut of it is quadratic. What lies before the cut event is decoded once here and the
/// decoders are cloned; what is compared is the cut event and the one after it as events, and the answer that results
/// when the stream ends with the cut event.
#[test]
fn two_pieces_at_every_byte_of_all_streams() {
    let mut cuts = 0;
    for Case { name, body, .. } in streams() {
        let ends = event_ends(&body);
        let (mut sse, mut chat) = (SseDecoder::new(), ChatDecoder::new());
        let mut start = 0;
        for (at, &end) in ends.iter().enumerate() {
            let next_end = ends.get(at + 1).copied().unwrap_or(end);
            let run = |reads: &[&[u8]]| {
                let (mut sse, mut chat, mut out) = (sse.clone(), chat.clone(), vec![]);
                let data = feed(&mut sse, reads);
                for data in data.iter().take(1) {
                    chat.chunk(data, &mut out).unwrap();
                }
                chat.done(&mut out).unwrap();
                (data, out, sse.stats())
            };
            let want = run(&[&body[start..next_end]]);
            for cut in start + 1..=end {
                cuts += 1;
                assert!(run(&[&body[start..cut], &body[cut..next_end]]) == want, "{name}: cut at {cut}");
            }
            let mut events = sse.feed(&body[start..end]);
            while let Some(event) = events.next_event().unwrap() {
                chat.chunk(event.data, &mut vec![]).unwrap();
            }
            start = end;
        }
        assert_eq!(start, body.len());
    }
    assert_eq!(cuts, streams().iter().map(|case| case.body.len()).sum::<usize>());
}

/// The data of all events in these reads, the last one with its blank line or without.
fn feed(sse: &mut SseDecoder, reads: &[&[u8]]) -> Vec<String> {
    let mut data = vec![];
    for read in reads {
        let mut events = sse.feed(read);
        while let Some(event) = events.next_event().unwrap() {
            data.push(event.data.to_owned());
        }
    }
    data.extend(sse.finish().unwrap().map(|event| event.data.to_owned()));
    data
}

/// Where the blank lines end; the last is the end of the body.
fn event_ends(body: &[u8]) -> Vec<usize> {
    let mut ends: Vec<usize> = (1..body.len())
        .filter(|&at| {
            let before = &body[..at];
            (before.ends_with(b"\n\n") || before.ends_with(b"\r\n\r\n")) && !matches!(body[at], b'\n' | b'\r')
        })
        .collect();
    ends.push(body.len());
    ends
}
