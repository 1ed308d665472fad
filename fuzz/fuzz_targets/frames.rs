//! Logs of runs: whatever a store gives back, reading it is an answer or an error, and a log whose links were not made for it
//! is never taken for a run's.
//!
//! The first byte says whether the links are right, and which format the frames have; the rest are frames, parted by zero bytes
//! (JSON) or each after its length.
#![no_main]

use std::sync::Arc;

use atomr_agents_state::{Batch, BlobId, Expect, Key, MemoryStore, NewEntry, RunReader, Store, StoredState};
use libfuzzer_sys::fuzz_target;

const RECORD: &str = r#"{"format":1,"name":"r","id":"01900000-0000-7000-8000-000000000000","kind":"workflow","target":"w",
    "status":"running","turns":1,"begun_ms":0,"updated_ms":0}"#;

/// The blobs that each entry of the newer format names.
fn refs() -> Vec<BlobId> {
    vec![BlobId::of(b"1"), BlobId::of(b"[2]")]
}

/// Frames after their lengths, of which each is two bytes.
fn parted(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some((length, more)) = rest.split_first_chunk() {
        let (frame, more) = more.split_at(more.len().min(u16::from_le_bytes(*length).into()));
        all.push(frame);
        rest = more;
    }
    all
}

fn entries(frames: &[u8], linked: bool, format: u8) -> Vec<NewEntry> {
    let mut link: [u8; 16] = blake3::hash(b"r").as_bytes()[..16].try_into().unwrap();
    let mut all = Vec::new();
    let (bodies, refs): (Vec<&[u8]>, _) = match format {
        1 => (frames.split(|byte| *byte == 0).collect(), Vec::new()),
        _ => (parted(frames), refs()),
    };
    for (at, body) in bodies.into_iter().enumerate() {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&link).update(&(at as u64).to_le_bytes()).update(&[format]);
        if format > 1 {
            hasher.update(&(refs.len() as u64).to_le_bytes());
            refs.iter().for_each(|id| _ = hasher.update(id.as_bytes()));
        }
        hasher.update(body);
        link = hasher.finalize().as_bytes()[..16].try_into().unwrap();
        let told = if linked { link } else { [7; 16] };
        all.push(NewEntry { body: [&[format][..], &told, body].concat().into(), refs: refs.clone() });
    }
    all
}

fuzz_target!(|input: &[u8]| {
    let [linked, frames @ ..] = input else { return };
    let (linked, format) = (linked & 1 == 0, 1 + (linked >> 1 & 1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(MemoryStore::new());
        let key = Key::new("run", "r").unwrap();
        let mut batch = Batch::new().put(&key, RECORD, Expect::Any);
        batch = batch.blob(&b"1"[..]).blob(&b"[2]"[..]);
        for entry in entries(frames, linked, format) {
            batch = batch.append(&key, None, entry);
        }
        store.commit(batch).await.unwrap();
        let reader = RunReader::open(store, "r").await.unwrap();
        match reader.frames().await {
            Ok(frames) => {
                assert!(linked || frames.is_empty(), "a log with wrong links was read");
                if let Ok(Some(state)) = StoredState::after(&frames) {
                    let _ = state.values(&reader).await;
                }
                let _ = reader.events(0, usize::MAX).await;
            }
            Err(error) => assert!(error.to_string().contains("r"), "{error}"),
        }
    });
});
