//! Pages of HTML from raw bytes: a document or an error, and no more text than there was page.
#![no_main]

use atomr_agents_fuzz::load;
use atomr_agents_ingest::{Decoding, Html, Text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    load(&Html::default(), bytes);
    let decoding = Decoding::named("detect").expect("it is known").replacing();
    let read = load(&Html(Text { decoding, ..Text::default() }), bytes);
    let [document] = read.documents.as_slice() else { panic!("replacing takes any bytes: {:?}", read.errors) };
    // A byte becomes at most three, and an element at most the lines around it and a mark.
    assert!(document.text.len() <= 8 * bytes.len(), "{} bytes of {}", document.text.len(), bytes.len());
});
