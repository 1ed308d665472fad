//! Damaged streams: whatever the bytes, the outcome is events or a typed error, the same for every cut, and never a
//! call that nobody asked for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use atomr_agents_wire::{ResponsesDecoder, ResponsesEvent, ResponsesEventKind as Kind, ResponsesToolCalls};
use proptest::prelude::*;
use serde_json::Value;

use super::common::mutate::{assert_sound, damaged};
use super::{decode, streams};

static BODIES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| streams().into_iter().map(|case| case.body).filter(|body| body.len() < 9_000).collect());

/// Id, name and parsed arguments of each finished call; the text where it is no JSON.
fn finished(events: &[ResponsesEvent]) -> Vec<(String, String, Value)> {
    let finished = |event: &ResponsesEvent| match &event.kind {
        Kind::ToolCallFinished { id, name, arguments, .. } => {
            let parsed = serde_json::from_str(arguments).unwrap_or_else(|_| Value::String(arguments.clone()));
            Some((id.clone(), name.clone(), parsed))
        }
        _ => None,
    };
    events.iter().filter_map(finished).collect()
}

fn check_calls(events: &[ResponsesEvent]) {
    let mut announced = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for event in events {
        match &event.kind {
            Kind::ToolCallStarted { index, id, name, .. } => {
                assert!(announced.insert((*index, id.clone(), name.clone())), "announced twice");
            }
            Kind::ToolCallFinished { index, id, name, .. } => {
                assert!(announced.contains(&(*index, id.clone(), name.clone())), "never announced");
                assert!(id.is_empty() || ids.insert(id.clone()), "two calls of one id");
            }
            _ => {}
        }
    }
}

/// The places in events about single items; the others carry the whole request again.
fn told_of_calls(body: &[u8]) -> impl Iterator<Item = usize> {
    let mut start = 0;
    let lines = body.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        start += line.len();
        (start - line.len()..start, memchr::memmem::find(line, b"output_index").is_some())
    });
    lines.filter(|(_, told)| *told).flat_map(|(place, _)| place)
}

/// The protocol tells every call several times over, so no single byte can make one call into another: the calls are
/// the right ones, or some are missing, or there is an error.
#[test]
fn one_damaged_byte_never_gives_a_wrong_finished_call() {
    let mut count = 0;
    for case in streams() {
        let (events, _) = decode(&[&case.body]);
        let right = finished(&events);
        let status_ok = case.expected["outcome"] == "ok" && case.expected["tool_calls"][0]["kind"] != "custom";
        if right.is_empty() || !status_ok || case.body.len() > 20_000 {
            continue;
        }
        for at in told_of_calls(&case.body) {
            let mut body = case.body.clone();
            body[at] ^= 1;
            let (events, error) = decode(&[&body]);
            let ended = events.iter().any(|event| matches!(event.kind, Kind::Finish { .. }));
            if error.is_none() && ended {
                for call in finished(&events) {
                    assert!(right.contains(&call), "{} at {at}: {call:?}", case.name);
                }
            }
            count += 1;
        }
    }
    assert!(count > 10_000, "{count}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_streams_give_events_or_an_error(
        body in damaged(&BODIES),
        cut in any::<prop::sample::Index>(),
    ) {
        check_calls(&assert_sound(&body, cut.index(body.len() + 1), decode, |event| matches!(event.kind, Kind::Finish { .. })));
    }

    #[test]
    fn any_bytes_as_a_body(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = ResponsesDecoder::new().body(&text, &mut Vec::new());
        let _ = ResponsesDecoder::new().chunk(&text, &mut Vec::new());
        let _ = ResponsesToolCalls::new().event(&text, &mut Vec::new());
    }
}
