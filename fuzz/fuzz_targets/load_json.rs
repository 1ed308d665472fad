//! JSON from raw bytes: what is read are the records that are there.
#![no_main]

use atomr_agents_fuzz::load;
use atomr_agents_ingest::{Fields, Json};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let read = load(&Json::default(), bytes);
    if let Ok(Value::Array(records)) = serde_json::from_slice(bytes) {
        assert_eq!(read.documents.len() + read.errors.len(), records.len());
    }
    let fields = Fields { text: "/a/0".into(), id: "/b".into(), metadata: String::new() };
    load(&Json { records: "/r".into(), fields, ..Json::default() }, bytes);
});
