//! A store with encryption around it: what it gives back, and what lies in the store below.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{EncryptedStore, EncryptionKey};
use crate::{Batch, BlobId, Change, Expect, Key, MemoryStore, NewEntry, Record, Scan, Store, StoreError};

fn secret() -> EncryptionKey {
    EncryptionKey::new([7; 32])
}

fn key(name: &str) -> Key {
    Key::new("run", name).unwrap()
}

async fn store() -> (Arc<MemoryStore>, EncryptedStore) {
    let inner = Arc::new(MemoryStore::new());
    (inner.clone(), EncryptedStore::open(inner, &secret()).await.unwrap())
}

fn put(name: &str, value: &str, refs: Vec<BlobId>) -> Change {
    Change::Put { key: key(name), value: Bytes::from(value.to_owned()), refs, due_ms: None, expect: Expect::Any }
}

/// Puts what is stored at one place to another, as somebody who can write the medium might.
async fn moved(inner: &MemoryStore, record: Record, name: &str, due_ms: Option<u64>) {
    let Record { value, refs, .. } = record;
    let change = Change::Put { key: key(name), value, refs, due_ms, expect: Expect::Any };
    inner.commit(Batch::new().with(change)).await.unwrap();
}

fn corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt { .. }))
}

#[tokio::test]
async fn it_keeps_the_rules_of_the_seam() {
    crate::conformance::store(|| async { Arc::new(store().await.1) as Arc<dyn Store> }).await;
}

#[tokio::test]
async fn runs_without_a_key_are_not_put_behind_one() {
    let inner = Arc::new(MemoryStore::new());
    inner.commit(Batch::new().with(put("1", "written before", Vec::new()))).await.unwrap();
    let error = EncryptedStore::open(inner.clone(), &secret()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Config { setting: "encryption_key", .. }), "{error}");
    assert!(error.to_string().contains("without a key"), "{error}");
    assert!(!EncryptedStore::is_around(&*inner).await.unwrap());
}

#[tokio::test]
async fn nothing_of_the_contents_can_be_seen_in_the_store() {
    let (inner, store) = store().await;
    let blob = BlobId::of(b"a secret body");
    let entry = NewEntry { body: Bytes::from("a secret entry"), refs: vec![blob] };
    let append = Change::Append { stream: key("1"), at: None, entries: vec![entry] };
    let batch = Batch::new().blob("a secret body").with(append).with(put("1", "a secret value", vec![blob]));
    store.commit(batch).await.unwrap();
    assert_eq!(inner.blobs(&[blob]).await.unwrap(), [None], "not even whether some content is there");
    let record = inner.get(&key("1")).await.unwrap().unwrap();
    let entry = inner.read(&key("1"), 0, 1).await.unwrap().remove(0);
    let body = inner.blobs(&record.refs).await.unwrap().remove(0).unwrap();
    assert_ne!(record.refs, [blob]);
    for bytes in [&record.value, &entry.body, &body] {
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        assert!(!bytes.windows(32).any(|window| window == blob.as_bytes()));
    }
    assert_eq!(store.read(&key("1"), 0, 1).await.unwrap()[0].refs, [blob]);
    assert_eq!(store.blobs(&[blob]).await.unwrap(), [Some(Bytes::from("a secret body"))]);
    assert_eq!(store.sweep(Duration::ZERO).await.unwrap().blobs, 0, "the store sees what is needed all the same");
}

#[tokio::test]
async fn equal_values_do_not_look_equal() {
    let (inner, store) = store().await;
    store.commit(Batch::new().with(put("1", "same", vec![])).with(put("2", "same", vec![]))).await.unwrap();
    let found = inner.scan(&Scan::of("run")).await.unwrap();
    assert_ne!(found[0].1.value, found[1].1.value);
}

#[tokio::test]
async fn what_was_changed_or_moved_is_damage() {
    let (inner, store) = store().await;
    store.commit(Batch::new().with(put("1", "one", vec![])).with(put("2", "two", vec![]))).await.unwrap();
    let whole = inner.get(&key("1")).await.unwrap().unwrap();
    for at in 0..whole.value.len() {
        let mut value = whole.value.to_vec();
        value[at] ^= 1;
        moved(&inner, Record { value: value.into(), ..whole.clone() }, "1", None).await;
        assert!(corrupt(store.get(&key("1")).await), "byte {at}");
    }
    for length in 0..whole.value.len() {
        moved(&inner, Record { value: whole.value.slice(..length), ..whole.clone() }, "1", None).await;
        assert!(corrupt(store.get(&key("1")).await), "cut at {length}");
    }
    moved(&inner, whole.clone(), "2", None).await;
    assert!(corrupt(store.get(&key("2")).await), "the value of another record");
    moved(&inner, whole.clone(), "1", Some(5)).await;
    assert!(corrupt(store.get(&key("1")).await), "due at another time");
    moved(&inner, Record { refs: vec![BlobId::of(b"x")], ..whole.clone() }, "1", None).await;
    assert!(corrupt(store.get(&key("1")).await), "other blobs");
    moved(&inner, whole, "1", None).await;
    assert_eq!(store.get(&key("1")).await.unwrap().unwrap().value, "one");
}

#[tokio::test]
async fn another_key_is_refused_and_nothing_shows_either() {
    let (inner, _) = store().await;
    let error = EncryptedStore::open(inner.clone(), &EncryptionKey::new([8; 32])).await.unwrap_err();
    assert!(matches!(error, StoreError::Config { setting: "encryption_key", .. }), "{error}");
    let again = EncryptedStore::open(inner, &secret()).await.unwrap();
    assert!(!format!("{again:?} {:?}", secret()).contains("7, 7"));
}

#[tokio::test]
async fn what_was_written_without_encryption_is_not_taken() {
    let (inner, store) = store().await;
    inner.commit(Batch::new().with(put("1", "plain", vec![]))).await.unwrap();
    assert!(corrupt(store.get(&key("1")).await));
}
