//! One of a few values: what is found is one of them, and a value alone is found.
//!
//! The lines before the first empty one are the values; the rest is the text.
#![no_main]

use atomr_agents_parser::{Enum, Parser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (values, text) = input.split_once("\n\n").unwrap_or((input, input));
    let Ok(parser) = Enum::new(values.lines()) else { return };
    if let Ok(value) = parser.parse(text) {
        assert!(parser.values().contains(&value));
    }
    for value in parser.values().iter().filter(|value| value.trim() == value.as_str()) {
        assert_eq!(&parser.parse(value).expect("it is there"), value);
    }
});
