//! Logs of runs: whatever a store gives back, reading it is an answer or an error, and a log whose links were not made for it
//! is never taken for a run's.
//!
//! The first byte says whether the links are right; the rest are frames, parted by zero bytes.
#![no_main]

use std::sync::Arc;

use atomr_agents_state::{Batch, Expect, Key, MemoryStore, RunReader, Store, StoredState};
use libfuzzer_sys::fuzz_target;

const RECORD: &str = r#"{"format":1,"name":"r","id":"01900000-0000-7000-8000-000000000000","kind":"workflow","target":"w",
    "status":"running","turns":1,"begun_ms":0,"updated_ms":0}"#;

fn entries(frames: &[u8], linked: bool) -> Vec<Vec<u8>> {
    let mut link: [u8; 16] = blake3::hash(b"r").as_bytes()[..16].try_into().unwrap();
    let mut all = Vec::new();
    for (at, body) in frames.split(|byte| *byte == 0).enumerate() {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&link).update(&(at as u64).to_le_bytes()).update(&[1]).update(body);
        link = hasher.finalize().as_bytes()[..16].try_into().unwrap();
        let told = if linked { link } else { [7; 16] };
        all.push([&[1][..], &told, body].concat());
    }
    all
}

fuzz_target!(|input: &[u8]| {
    let [linked, frames @ ..] = input else { return };
    let linked = linked & 1 == 0;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(MemoryStore::new());
        let key = Key::new("run", "r").unwrap();
        let mut batch = Batch::new().put(&key, RECORD, Expect::Any);
        for entry in entries(frames, linked) {
            batch = batch.append(&key, None, atomr_agents_state::NewEntry { body: entry.into(), refs: Vec::new() });
        }
        store.commit(batch).await.unwrap();
        let reader = RunReader::open(store, "r").await.unwrap();
        match reader.frames().await {
            Ok(frames) => {
                assert!(linked, "a log with wrong links was read");
                if let Ok(Some(state)) = StoredState::after(&frames) {
                    let _ = state.values(&reader).await;
                }
                let _ = reader.events(0, usize::MAX).await;
            }
            Err(error) => assert!(error.to_string().contains("r"), "{error}"),
        }
    });
});
