//! A text cut at separators, with an overlap: pieces with their places, none too long, none cut inside of a grapheme.
#![no_main]

use atomr_agents_core::Document;
use atomr_agents_ingest::conformance::check_pieces;
use atomr_agents_ingest::{Recursive, Splitter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &str)| {
    let (size, overlap, text) = (usize::from(input.0) + 1, usize::from(input.1), input.2);
    let splitter = Recursive::new(size).overlap(overlap % size).build().expect("the overlap is smaller");
    let source = Document::new("s", text);
    let pieces = splitter.split(&source).expect("any text can be cut");
    check_pieces(&source, &pieces).expect("pieces keep the rules");
});
