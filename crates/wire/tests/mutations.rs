//! Damaged streams: whatever the bytes, the outcome is events or a typed error, the same for every cut, and never a
//! call that nobody asked for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use atomr_agents_wire::{ChatDecoder, ChatEvent, ChatEventKind, ProviderError, ToolCallAssembler};
use proptest::prelude::*;
use serde_json::Value;

static BODIES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| common::streams().into_iter().map(|case| case.body).filter(|body| body.len() < 9_000).collect());

#[derive(Clone, Debug)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    /// Copies a piece of the body to another place: repeated ids, indices out of order.
    Copy(prop::sample::Index, usize, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    let words: Vec<&'static [u8]> = vec![
        b"\n",
        b"\r",
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b"null",
        b",",
        b"\\u0000",
        b"\xff",
        b"9999999999",
        b"-1",
        b"\n\n",
    ];
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at(), 0_u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), 1_usize..300).prop_map(|(at, len)| Mutation::Remove(at, len)),
        (at(), prop::sample::select(words)).prop_map(|(at, word)| Mutation::Insert(at, word.to_vec())),
        (at(), 1_usize..600, at()).prop_map(|(at, len, to)| Mutation::Copy(at, len, to)),
    ]
}

fn mutate(body: &mut Vec<u8>, mutation: &Mutation) {
    if body.is_empty() {
        return;
    }
    let len = body.len();
    match mutation {
        Mutation::Set(at, byte) => body[at.index(len)] = *byte,
        Mutation::Flip(at, bit) => body[at.index(len)] ^= 1 << bit,
        Mutation::Remove(at, count) => {
            let at = at.index(len);
            body.drain(at..(at + count).min(len));
        }
        Mutation::Insert(at, word) => {
            let at = at.index(len);
            body.splice(at..at, word.iter().copied());
        }
        Mutation::Copy(at, count, to) => {
            let at = at.index(len);
            let piece = body[at..(at + count).min(len)].to_vec();
            let to = to.index(len);
            body.splice(to..to, piece);
        }
    }
}

/// Every string under a key `name` in any event, found without the crate's own structs.
fn names(stream: &[u8]) -> BTreeSet<String> {
    fn walk(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if key == "name" {
                        names.insert(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                    }
                    walk(value, names);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| walk(value, names)),
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    for (data, ..) in common::sse(&[stream], 1 << 20).0.into_iter().flatten() {
        if let Ok(value) = serde_json::from_str(&data) {
            walk(&value, &mut names);
        }
    }
    names
}

fn check_calls(stream: &[u8], out: &[ChatEvent]) {
    let names = names(stream);
    let mut announced = BTreeSet::new();
    for event in out {
        match &event.kind {
            ChatEventKind::ToolCallStarted { index, id, name } => {
                let text = serde_json::to_string(name).unwrap();
                let in_bytes = memchr::memmem::find(stream, text.as_bytes()).is_some();
                assert!(names.contains(name) || in_bytes, "`{name}` was never sent");
                assert!(announced.insert((event.choice, *index, id.clone(), name.clone())), "announced twice");
            }
            ChatEventKind::ToolCallFinished { index, id, name, .. } => {
                assert!(announced.contains(&(event.choice, *index, id.clone(), name.clone())), "never announced");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_streams_give_events_or_an_error(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut body = which.get(&BODIES).clone();
        for mutation in &mutations {
            mutate(&mut body, mutation);
        }
        let (out, error) = common::chat(&[&body]);
        check_calls(&body, &out);
        let finished = out.iter().any(|event| matches!(event.kind, ChatEventKind::Finish { .. }));
        prop_assert!(error.is_none() || !finished, "an error leaves nothing finished");
        let cut = cut.index(body.len() + 1);
        prop_assert_eq!(common::chat(&[&body[..cut], &body[cut..]]), (out, error));
    }

    #[test]
    fn any_bytes_as_a_body(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ProviderError::from_body(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let mut out = Vec::new();
        let _ = ChatDecoder::new().body(&text, &mut out);
        let _ = ToolCallAssembler::new().deltas_json(&text, &mut Vec::new());
    }
}
