//! What is kept for good on PostgreSQL: memories, and answers of models. The store itself has its own checks; these are
//! the parts that stand on it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "support/place.rs"]
#[allow(dead_code)]
mod place;

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_cache::{StoreLlmCache, StoredLimits};
use atomr_agents_embed::MockEmbedder;
use atomr_agents_memory::{LongOptions, StoredLong, StoredMemory};
use atomr_agents_state::Scan;

use place::Home;

#[tokio::test]
async fn memories() {
    let Some(home) = Home::postgres() else { return };
    let store = home.store().await;
    atomr_agents_memory::conformance::check_short(&StoredMemory::new(Arc::clone(store))).await.unwrap();
    let embedder = Arc::new(MockEmbedder::new(256).unwrap());
    let options = LongOptions { embedder: Some(embedder), ..LongOptions::default() };
    atomr_agents_memory::conformance::check_long(&StoredLong::new(Arc::clone(store), options), true).await.unwrap();
    home.close().await;
}

#[tokio::test]
async fn answers() {
    let Some(home) = Home::postgres() else { return };
    let store = home.store().await;
    let limits = StoredLimits { max_entries: 1, ..StoredLimits::default() };
    let cache = StoreLlmCache::new(Arc::clone(store), limits);
    atomr_agents_cache::conformance::check(&cache).await.unwrap();
    cache.trim().await.unwrap();
    assert_eq!(store.scan(&Scan::of("llm-cache")).await.unwrap().len(), 1);
    let limits = StoredLimits { ttl: Some(Duration::from_millis(1)), ..limits };
    tokio::time::sleep(Duration::from_millis(5)).await;
    StoreLlmCache::new(Arc::clone(store), limits).trim().await.unwrap();
    assert_eq!(store.scan(&Scan::of("llm-cache")).await.unwrap().len(), 0);
    home.close().await;
}
