//! Markdown from raw bytes: the text is the end of the file, and what stands before it is front matter.
#![no_main]

use atomr_agents_fuzz::load;
use atomr_agents_ingest::Markdown;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = load(&Markdown::default(), bytes);
    if let [document] = read.documents.as_slice()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        assert!(text.ends_with(&document.text));
    }
});
