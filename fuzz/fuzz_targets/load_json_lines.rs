//! Lines of JSON from raw bytes: each line that is not blank is a document or an error, whatever the lines beside it are.
#![no_main]

use atomr_agents_fuzz::load;
use atomr_agents_ingest::JsonLines;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let marked = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = marked.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    let read = load(&JsonLines::default(), bytes);
    assert_eq!(read.documents.len() + read.errors.len(), lines);
    load(&JsonLines { max_line_bytes: 8, ..JsonLines::default() }, bytes);
});
