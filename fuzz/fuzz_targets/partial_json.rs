//! JSON in pieces: the same value and error however the text is cut, and the same value as `serde_json` gives.
//!
//! The first byte sets the limits, the second the size of the pieces; the rest is the text.
#![no_main]

use atomr_agents_wire::{PartialJson, PartialJsonError, PartialJsonLimits};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

type Outcome = (Option<Value>, Option<PartialJsonError>);

fn decode<'p>(pieces: impl Iterator<Item = &'p str>, limits: PartialJsonLimits) -> Outcome {
    let (mut decoder, mut changes) = (PartialJson::new(limits), Vec::new());
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut changes) {
            return (decoder.into_value(), Some(error));
        }
    }
    let error = decoder.finish(&mut changes).err();
    assert_eq!(error.is_none(), decoder.is_complete());
    (decoder.into_value(), error)
}

/// `text` in pieces of about `size` bytes.
fn cut(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let at = (size..rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(at);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

fuzz_target!(|input: &[u8]| {
    let [limit, size, text @ ..] = input else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let limits = match *limit {
        0 => PartialJsonLimits::default(),
        limit => PartialJsonLimits { max_depth: usize::from(limit % 8), max_bytes: usize::from(limit) },
    };
    let whole = decode(std::iter::once(text), limits);
    assert_eq!(decode(cut(text, usize::from(*size) + 1), limits), whole);
    assert_eq!(decode(cut(text, 1), limits), whole);
    if *limit == 0 {
        match (&whole.1, serde_json::from_str::<Value>(text)) {
            (None, Ok(value)) => assert_eq!(whole.0, Some(value)),
            (None, Err(error)) => panic!("serde_json refuses what was taken: {error}"),
            (Some(PartialJsonError::IntegerTooLarge { .. }), _) => {}
            (Some(error), Ok(_)) => panic!("serde_json takes what was refused: {error}"),
            (Some(_), Err(_)) => {}
        }
    }
});
