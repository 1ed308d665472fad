//! JSON in a text: a text that is JSON gives that value, fenced or not; integers are exact; places lie in the text.
//!
//! What the agent and the parsers for schemas read goes through the same search.
#![no_main]

use atomr_agents_parser::{Json, JsonSchema, Parser, Place, json_values};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::sync::LazyLock;

static SCHEMA: LazyLock<JsonSchema> = LazyLock::new(|| {
    JsonSchema::new(json!({
        "type": ["object", "array"],
        "properties": {"a": {"type": "string", "maxLength": 3}, "b": {"items": {"type": "integer"}}},
        "additionalProperties": {"$ref": "#"},
    }))
    .expect("it is a schema")
});

fuzz_target!(|text: &str| {
    let found = json_values(text);
    assert_eq!(found.as_ref().ok().and_then(|values| values.first()), Json.parse(text).ok().as_ref());
    match (&found, serde_json::from_str::<Value>(text)) {
        (Ok(values), Ok(value)) => assert_eq!(values, &[value]),
        (Err(error), Ok(_)) => assert!(error.to_string().contains("64 bits"), "{error}"),
        _ => {}
    }
    if let Err(error) = &found {
        let fault = error.fault().expect("it is the text");
        assert!(fault.context.chars().count() <= 200);
        let Some(Place::Byte(at)) = fault.place else { panic!("it has a place") };
        assert!(text.is_char_boundary(at));
    }
    match SCHEMA.parse(text) {
        Ok(value) => SCHEMA.check(&value).expect("it was checked"),
        Err(error) => assert!(error.fault().is_some()),
    }
});
