//! Files that may be an index of vectors, from raw bytes: loading one answers, and one that is loaded can be searched.
#![no_main]

use atomr_agents_embed::VectorIndex;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let path = std::env::temp_dir().join(format!("load-index-{}", std::process::id()));
    let mut bytes = b"ATOMRVEC\x01\0\0\0".to_vec();
    bytes.extend(input);
    for bytes in [input, &bytes] {
        std::fs::write(&path, bytes).expect("there is room for a small file");
        if let Ok(index) = VectorIndex::load(&path) {
            let found = index.find(&vec![1.0; index.dim()], 10, None).expect("the query fits");
            assert!(found.len() <= index.len());
        }
    }
});
