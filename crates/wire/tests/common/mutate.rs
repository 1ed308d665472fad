//! Damage done to recorded streams.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;

/// One damage.
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

/// Whatever the bytes: an error leaves nothing finished, and where the stream is cut makes no difference. Gives the events.
pub fn assert_sound<E: Debug + PartialEq>(
    body: &[u8],
    cut: usize,
    decode: impl Fn(&[&[u8]]) -> (Vec<E>, Option<String>),
    is_finish: impl Fn(&E) -> bool,
) -> Vec<E> {
    let (out, error) = decode(&[body]);
    assert!(error.is_none() || !out.iter().any(is_finish), "an error leaves nothing finished");
    let (in_two, error_in_two) = decode(&[&body[..cut], &body[cut..]]);
    assert_eq!((&in_two, &error_in_two), (&out, &error), "cut at {cut}");
    out
}

/// One of `bodies`, damaged.
pub fn damaged(bodies: &'static LazyLock<Vec<Vec<u8>>>) -> impl Strategy<Value = Vec<u8>> {
    let mutations = prop::collection::vec(mutation(), 1..5);
    (any::<prop::sample::Index>(), mutations).prop_map(|(which, mutations)| {
        let mut body = which.get(bodies).clone();
        for mutation in &mutations {
            mutate(&mut body, mutation);
        }
        body
    })
}

/// Every string under a key `name` in any event, found without the crate's own structs.
pub fn names(stream: &[u8]) -> BTreeSet<String> {
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
    for (data, ..) in super::sse(&[stream], 1 << 20).0.into_iter().flatten() {
        if let Ok(value) = serde_json::from_str(&data) {
            walk(&value, &mut names);
        }
    }
    names
}
