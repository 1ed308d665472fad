//! The rules of the seam.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use atomr_agents_state::{EncryptedStore, EncryptionKey, Store, conformance};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};

#[tokio::test]
async fn it_keeps_the_rules_of_the_seam_on_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    check(&folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_rules_of_the_seam_on_several_threads() {
    let folder = tempfile::tempdir().unwrap();
    check(&folder).await;
}

#[tokio::test]
async fn it_keeps_them_under_encryption() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicU32::new(0);
    let (folder, count) = (&folder, &count);
    let make = || async move {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let store = SqliteStore::open(folder.path().join(format!("{number}.db")), SqliteOptions::default()).unwrap();
        Arc::new(EncryptedStore::open(Arc::new(store), &EncryptionKey::new([7; 32])).await.unwrap()) as Arc<dyn Store>
    };
    conformance::store(make).await;
}

async fn check(folder: &tempfile::TempDir) {
    let count = std::sync::atomic::AtomicU32::new(0);
    let (folder, count) = (&folder, &count);
    let make = || async move {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let store = SqliteStore::open(folder.path().join(format!("{number}.db")), SqliteOptions::default()).unwrap();
        Arc::new(store) as Arc<dyn Store>
    };
    conformance::store(make).await;
}
