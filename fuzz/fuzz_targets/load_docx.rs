//! DOCX from raw bytes: as an archive, and as the text of a sound one.
#![no_main]

use std::io::{Cursor, Write};

use atomr_agents_fuzz::load;
use atomr_agents_ingest::Docx;
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;

fn archive(xml: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("word/document.xml", SimpleFileOptions::default()).expect("it is a name");
    zip.write_all(xml).expect("there is room");
    zip.finish().expect("there is room").into_inner()
}

fuzz_target!(|bytes: &[u8]| {
    load(&Docx::default(), bytes);
    let read = load(&Docx::default(), &archive(bytes));
    if let [document] = read.documents.as_slice() {
        assert!(document.text.len() <= 64 * bytes.len(), "{} bytes of {}", document.text.len(), bytes.len());
    }
});
