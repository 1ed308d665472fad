//! Files that may be an index of vectors, from raw bytes, and a real one that was changed by somebody who knows how its
//! checksums are made: loading one answers, and one that is loaded can be searched, changed and saved.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use atomr_agents_embed::{IndexOptions, VectorIndex, Vectors};
use libfuzzer_sys::fuzz_target;

const HEAD: usize = 64;

fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-{}", std::process::id()))
}

/// A file with a graph.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let options = IndexOptions { exact_below: 100, recall: 0.5, m: 4, ef_construction: 16, ef: Some(8), ..Default::default() };
    let index = VectorIndex::new(3, options).expect("the options are right");
    let mut values = Vec::new();
    for n in 0..520u32 {
        values.extend([(n as f32).sin(), (n as f32 * 0.7).cos(), (n as f32 * 0.1).sin() + 1.5]);
    }
    let ids: Vec<u64> = (0..520).collect();
    index.insert(&ids, &Vectors::new(3, values).expect("they are finite")).expect("they fit");
    index.delete(&[3, 350]).expect("they are there");
    assert!(index.ef().is_some(), "it has a graph");
    let path = place("sound-index");
    index.save(&path).expect("there is room");
    let bytes = std::fs::read(&path).expect("it was written");
    std::fs::remove_file(&path).expect("it was written");
    bytes
});

fn number(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize
}

/// The sound file with other bytes in it, and checksums that agree with them.
fn changed(changes: &[(u8, u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = SOUND.clone();
    let sections = bytes[12] as usize;
    for (section, at, new) in changes {
        let entry = HEAD + usize::from(*section) % sections * 64;
        let (offset, length) = (number(&bytes, entry + 8), number(&bytes, entry + 16));
        if let Some(len) = new.first().filter(|_| *at == u16::MAX) {
            // Not other bytes, but fewer of them.
            bytes[entry + 16..entry + 24].copy_from_slice(&(length * usize::from(*len) / 255).to_le_bytes());
            continue;
        }
        for (n, byte) in new.iter().enumerate() {
            if length > 0 {
                bytes[offset + (usize::from(*at) + n) % length] = *byte;
            }
        }
    }
    for entry in (0..sections).map(|section| HEAD + section * 64) {
        let (offset, length) = (number(&bytes, entry + 8), number(&bytes, entry + 16));
        let hash = blake3::hash(&bytes[offset..offset + length]);
        bytes[entry + 24..entry + 56].copy_from_slice(hash.as_bytes());
    }
    let hash = blake3::hash(&bytes[HEAD..HEAD + sections * 64]);
    bytes[16..48].copy_from_slice(hash.as_bytes());
    bytes
}

fn load(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("there is room for a small file");
    let Ok(index) = VectorIndex::load(path) else { return };
    let query = vec![1.0; index.dim()];
    let found = index.find(&query, 10, None).expect("the query fits");
    assert!(found.len() <= index.len());
    index.find(&query, 10, Some(&|id| id % 2 == 0)).expect("the query fits");
    let one = Vectors::new(index.dim(), query).expect("it is finite");
    if index.insert(&[u64::MAX], &one).is_ok() {
        assert!(index.contains(u64::MAX));
    }
}

fuzz_target!(|input: (&[u8], Vec<(u8, u16, Vec<u8>)>)| {
    let path = place("load-index");
    let (raw, changes) = input;
    let mut bytes = b"ATOMRVEC\x01\0\0\0".to_vec();
    bytes.extend(raw);
    load(&path, raw);
    load(&path, &bytes);
    load(&path, &changed(&changes));
});
