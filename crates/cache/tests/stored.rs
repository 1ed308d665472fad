//! Answers in memory and in a file; `state-proof` has the same on PostgreSQL.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_cache::{CachedClient, LlmCache, Question, StoreLlmCache, StoredLimits, conformance};
use atomr_agents_core::{CallCtx, Message, ModelRequest};
use atomr_agents_state::{MemoryStore, Scan, Store};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use atomr_agents_testkit::ScriptedModel;

fn request(text: &str) -> Arc<ModelRequest> {
    Arc::new(ModelRequest::new("m", vec![Message::user(text)]))
}

fn question(text: &str) -> Question {
    Question::new("", "", "scripted", request(text), CallCtx::new()).unwrap()
}

fn cache(store: &Arc<dyn Store>, limits: StoredLimits) -> StoreLlmCache {
    StoreLlmCache::new(Arc::clone(store), limits)
}

async fn ask(cache: &StoreLlmCache, model: &ScriptedModel, text: &str) -> String {
    let client = CachedClient::new(Arc::new(model.clone()), Arc::new(cache.clone()));
    atomr_agents_inference::run(&client, request(text), CallCtx::new()).await.unwrap().message.text()
}

async fn kept(store: &Arc<dyn Store>) -> usize {
    store.scan(&Scan::of("llm-cache")).await.unwrap().len()
}

/// Everything that a cache in a store must do, in this one.
async fn check(store: Arc<dyn Store>) {
    conformance::check(&cache(&store, StoredLimits::default())).await.unwrap();
    let model = ScriptedModel::new().text("a").text("b").text("c");
    assert_eq!(ask(&cache(&store, StoredLimits::default()), &model, "hi").await, "a");
    // Another handle, as another process has it.
    let limits = StoredLimits { max_entries: 10, ..StoredLimits::default() };
    let other = cache(&store, limits);
    assert_eq!(ask(&other, &model, "hi").await, "a");
    for number in 0..40 {
        let turn = other.get(&question("hi")).await.unwrap().unwrap();
        other.put(&question(&format!("q{number}")), turn).await.unwrap();
    }
    // Written anew: its old entry in the log does not take it along.
    let turn = other.get(&question("hi")).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    other.put(&question("hi"), turn).await.unwrap();
    other.trim().await.unwrap();
    assert_eq!(kept(&store).await, 10);
    assert!(other.get(&question("hi")).await.unwrap().is_some());
    assert!(other.get(&question("q39")).await.unwrap().is_some());
    assert!(other.get(&question("q5")).await.unwrap().is_none());
    // Too old for who says so, and then gone for all.
    let strict = cache(&store, StoredLimits { ttl: Some(Duration::from_millis(1)), ..limits });
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(strict.get(&question("hi")).await.unwrap().is_none());
    strict.trim().await.unwrap();
    assert_eq!(kept(&store).await, 0);
}

#[tokio::test]
async fn in_memory() {
    check(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    check(Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap())).await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_kept_and_a_damaged_one_is_told() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let small = cache(&store, StoredLimits { max_turn_bytes: 300, ..StoredLimits::default() });
    let model = ScriptedModel::new().text("x".repeat(400)).text("b");
    assert_eq!(ask(&small, &model, "hi").await.len(), 400);
    assert_eq!(ask(&small, &model, "hi").await, "b");
    let key = atomr_agents_state::Key::new("llm-cache", &question("odd").key().to_string()).unwrap();
    store.commit(atomr_agents_state::Batch::new().put(&key, "{}", Default::default())).await.unwrap();
    let error = small.get(&question("odd")).await.unwrap_err();
    assert!(error.to_string().contains("damaged entry"), "{error}");
}
