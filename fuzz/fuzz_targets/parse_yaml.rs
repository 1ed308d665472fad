//! YAML: what is read can be written as JSON and is the same when that is read; nothing small becomes large.
#![no_main]

use atomr_agents_parser::{Parser, Yaml};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fuzz_target!(|text: &str| {
    let Ok(value) = Yaml.parse(text) else { return };
    assert!(count(&value) <= 200_000);
    let json = value.to_string();
    assert_eq!(serde_json::from_str::<Value>(&json).expect("it is JSON"), value);
});
