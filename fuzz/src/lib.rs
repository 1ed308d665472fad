//! What the targets for loaders share.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, Write};

use atomr_agents_ingest::conformance::check_format;
use atomr_agents_ingest::{Format, Loaded};

thread_local! {
    static FILE: RefCell<File> = RefCell::new(tempfile::tempfile().expect("there is a place for a small file"));
}

/// What a format reads from these bytes, after it kept its rules.
///
/// # Panics
/// If it did not keep them.
pub fn load(format: &dyn Format, bytes: &[u8]) -> Loaded {
    FILE.with_borrow_mut(|file| {
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(bytes)).expect("there is room");
        check_format(format, "fuzzed", file).unwrap_or_else(|broken| panic!("{broken}"))
    })
}
