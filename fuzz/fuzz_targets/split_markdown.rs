//! Sections of anything at all: pieces with their places.
#![no_main]

use atomr_agents_core::Document;
use atomr_agents_ingest::conformance::check_pieces;
use atomr_agents_ingest::{MarkdownHeader, Splitter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = Document::new("s", text);
    for builder in [MarkdownHeader::new(), MarkdownHeader::new().levels([1, 3]).chunk_size(20).overlap(5)] {
        let splitter = builder.build().expect("the settings are right");
        let pieces = splitter.split(&source).expect("any text can be cut");
        check_pieces(&source, &pieces).expect("pieces keep the rules");
    }
});
