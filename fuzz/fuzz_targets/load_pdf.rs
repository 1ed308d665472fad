//! PDF from raw bytes, as they are and as the body of one: documents or an error.
#![no_main]

use atomr_agents_fuzz::load;
use atomr_agents_ingest::Pdf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // What a broken file makes the reader of PDF do is caught in the loader; libFuzzer would end at the panic itself.
    std::panic::set_hook(Box::new(|_| ()));
    let pdf = Pdf { max_unpacked: 1 << 20, ..Pdf::default() };
    load(&pdf, bytes);
    let by_page = load(&Pdf { by_page: true, ..pdf }, bytes);
    for (n, document) in by_page.documents.iter().enumerate() {
        assert_eq!(document.id, format!("fuzzed#page={}", n + 1));
    }
});
