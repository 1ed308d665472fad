//! A list between commas: what was read is read again from how it is written.
#![no_main]

use atomr_agents_parser::{CommaList, Parser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(items) = CommaList.parse(text) else { return };
    let quoted = |item: &String| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\"\""));
    let written = items.iter().map(quoted).collect::<Vec<_>>().join(",");
    assert_eq!(CommaList.parse(&written).expect("it is a list"), items);
});
