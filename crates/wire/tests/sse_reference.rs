//! The decoder against a slow parser written from the text of the standard, on random streams cut at random places.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Owned, sse};
use proptest::prelude::*;

/// "9.2.6 Interpreting an event stream", word by word, on the whole stream at once. Two deliberate differences, those
/// of the decoder: a last event without its blank line is dispatched, and data that is no UTF-8 is an error.
fn reference(stream: &[u8], limit: usize) -> Vec<Owned> {
    let stream = stream.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(stream);
    let mut lines: Vec<Vec<u8>> = vec![vec![]];
    let mut i = 0;
    while i < stream.len() {
        match stream[i] {
            b'\r' if stream.get(i + 1) == Some(&b'\n') => {
                lines.push(vec![]);
                i += 1;
            }
            b'\r' | b'\n' => lines.push(vec![]),
            byte => lines.last_mut().unwrap().push(byte),
        }
        i += 1;
    }
    // What follows the last line end: an unfinished line, or nothing at all.
    let tail = lines.pop().unwrap();
    let unfinished = !tail.is_empty();
    if unfinished {
        lines.push(tail);
    }

    let (mut out, mut data, mut event, mut id) = (vec![], None::<Vec<u8>>, String::new(), String::new());
    let mut dispatch = |data: Option<Vec<u8>>, event: &mut String, id: &str, unterminated: bool| {
        let event = std::mem::take(event);
        if let Some(data) = data {
            out.push(match String::from_utf8(data) {
                Ok(data) => Ok((data, Some(event).filter(|event| !event.is_empty()), id.to_owned(), unterminated)),
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    Err(format!("invalid UTF-8 at byte {at} of an event's data"))
                }
            });
        }
    };
    for line in lines {
        if line.is_empty() {
            dispatch(data.take(), &mut event, &id, false);
            continue;
        }
        if data.as_ref().map_or(0, Vec::len) + line.len() > limit {
            out.push(Err(format!("an event is larger than {limit} bytes")));
            return out;
        }
        let (field, mut value): (&[u8], &[u8]) = match line.iter().position(|byte| *byte == b':') {
            Some(0) => continue,
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line, b""),
        };
        value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => event = String::from_utf8_lossy(value).into_owned(),
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend(value);
                }
                None => data = Some(value.to_vec()),
            },
            b"id" if !value.contains(&0) => id = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }
    dispatch(data, &mut event, &id, true);
    out
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&'static [u8]> = vec![
        b"data",
        b"data: ",
        b"data:",
        b"event:",
        b"event: ",
        b"id:",
        b"id",
        b"retry: 1",
        b":",
        b" ",
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\n\r\n",
        b"x",
        b"{}",
        b"\xef\xbb\xbf",
        b"\xef",
        b"\xc3\xa9",
        b"\xc3",
        b"\xff",
        b"\0",
        b"dat",
        b"a",
        b"[DONE]",
    ];
    prop_oneof![
        8 => prop::sample::select(fixed).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..60).prop_map(|pieces| pieces.concat())
}

fn cut_at<'s>(stream: &'s [u8], cuts: &[prop::sample::Index]) -> Vec<&'s [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    places.sort_unstable();
    let mut from = 0;
    let mut reads: Vec<&[u8]> = Vec::new();
    for to in places {
        reads.push(&stream[from..to]);
        from = to;
    }
    reads.push(&stream[from..]);
    reads
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_standard_however_it_is_cut(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        limit in prop_oneof![Just(1_usize << 20), 0_usize..40],
    ) {
        let want = reference(&stream, limit);
        let (whole, stats) = sse(&[&stream], limit);
        prop_assert_eq!(&whole, &want);
        let (cut, cut_stats) = sse(&cut_at(&stream, &cuts), limit);
        prop_assert_eq!(&cut, &want);
        prop_assert_eq!(stats, cut_stats);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(sse(&bytes, limit), (want, stats));
    }
}

#[test]
fn the_examples_of_the_standard() {
    let data = |stream: &str| -> Vec<String> {
        let events = sse(&[stream.as_bytes()], 1 << 20).0;
        assert_eq!(events, reference(stream.as_bytes(), 1 << 20));
        events.into_iter().map(|event| event.unwrap().0).collect()
    };
    assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    // The last block of this example has no blank line: here it counts.
    assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n", ""]);
    assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
    assert_eq!(
        data(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"),
        ["first event", "second event", " third event"]
    );
}
