//! An element of XML: one root, nothing but texts, lists and objects, no deeper than allowed.
#![no_main]

use atomr_agents_parser::{Parser, Xml};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn depth(value: &Value) -> usize {
    match value {
        Value::String(_) => 0,
        // A list is the elements of one name, one level of the text.
        Value::Array(items) => items.iter().map(depth).max().expect("a list has two elements"),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        other => panic!("no XML says {other}"),
    }
}

fuzz_target!(|text: &str| {
    let parser = Xml::new().max_depth(8);
    if let Ok(value) = parser.parse(text) {
        assert_eq!(value.as_object().map(serde_json::Map::len), Some(1));
        // The attributes of the deepest element lie one level below it.
        assert!(depth(&value) <= 9);
        assert!(value.to_string().len() <= 64 * text.len());
    }
    let _ = Xml::new().element("a").parse(text);
});
