//! Programs of any language, broken or not: pieces with their places.
#![no_main]

use atomr_agents_core::Document;
use atomr_agents_ingest::conformance::check_pieces;
use atomr_agents_ingest::{Code, CodeLanguage, Splitter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &str)| {
    let language = CodeLanguage::ALL[usize::from(input.0) % CodeLanguage::ALL.len()];
    let splitter = Code::new(language, usize::from(input.1) + 1, 0).expect("every language is built in");
    let source = Document::new("s", input.2);
    let pieces = splitter.split(&source).expect("any text can be cut");
    check_pieces(&source, &pieces).expect("pieces keep the rules");
});
