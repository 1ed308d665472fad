//! Damage done to recorded streams.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

/// One damage.
#[derive(Clone, Debug)]
pub enum Mutation {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    /// Copies a piece of the body to another place: repeated ids, indices out of order.
    Copy(prop::sample::Index, usize, prop::sample::Index),
}

pub fn mutation() -> impl Strategy<Value = Mutation> {
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

pub fn mutate(body: &mut Vec<u8>, mutation: &Mutation) {
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
