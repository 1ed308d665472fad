//! JSON while it is written: the same in pieces as whole, and checked at its end as a whole text is.
#![no_main]

use atomr_agents_parser::{JsonSchema, StreamingPartialJson};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

static SCHEMA: LazyLock<Arc<JsonSchema>> = LazyLock::new(|| {
    Arc::new(JsonSchema::new(json!({"type": "object", "required": ["a"]})).expect("it is a schema"))
});

fn read<'p>(pieces: impl Iterator<Item = &'p str>) -> Result<Value, String> {
    let mut parser = StreamingPartialJson::new().schema(Arc::clone(&SCHEMA));
    for piece in pieces {
        parser.feed(piece).map_err(|error| error.fault().expect("it is the text").message.clone())?;
    }
    parser.finish().cloned().map_err(|error| error.fault().expect("it is the text").message.clone())
}

fuzz_target!(|text: &str| {
    let whole = read(std::iter::once(text));
    assert_eq!(read(text.split_inclusive(|_| true)), whole);
    if let Ok(value) = whole {
        SCHEMA.check(&value).expect("it was checked");
        assert_eq!(serde_json::from_str::<Value>(text).expect("it is JSON"), value);
    }
});
