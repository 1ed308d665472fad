//! The cache on a real server. Where none answers, the tests say so and do nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_cache::{CacheError, CachedClient, LlmCache, Question, conformance};
use atomr_agents_cache_redis::{RedisLlmCache, RedisOptions};
use atomr_agents_core::{CallCtx, Kind, Message, ModelRequest};
use atomr_agents_testkit::ScriptedModel;

fn address() -> String {
    std::env::var("ATOMR_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned())
}

/// A cache of a test's own; `None` where there is no server.
async fn cache(name: &str, change: impl FnOnce(&mut RedisOptions)) -> Option<RedisLlmCache> {
    let prefix = format!("atomr-test:{}:{name}:", std::process::id());
    // The entries of a test go by themselves.
    let mut options = RedisOptions { prefix, ttl: Some(Duration::from_secs(60)), ..RedisOptions::default() };
    change(&mut options);
    let cache = RedisLlmCache::new(&address(), options).unwrap();
    match cache.get(&question("is anybody there?")).await {
        Ok(_) => Some(cache),
        Err(error) => {
            println!("skipped: no Redis at {}: {error}", address());
            None
        }
    }
}

fn question(text: &str) -> Question {
    let request = Arc::new(ModelRequest::new("m", vec![Message::user(text)]));
    Question::new("", "", "scripted", request, CallCtx::new()).unwrap()
}

async fn ask(cache: &RedisLlmCache, model: &ScriptedModel, text: &str) -> String {
    let client = CachedClient::new(Arc::new(model.clone()), Arc::new(cache.clone()));
    let request = Arc::new(ModelRequest::new("m", vec![Message::user(text)]));
    atomr_agents_inference::run(&client, request, CallCtx::new()).await.unwrap().message.text()
}

#[tokio::test]
async fn it_conforms() {
    let Some(cache) = cache("conforms", |_| {}).await else { return };
    conformance::check(&cache).await.unwrap();
}

#[tokio::test]
async fn another_client_finds_the_answer_and_another_prefix_does_not() {
    let Some(first) = cache("shared", |_| {}).await else { return };
    let model = ScriptedModel::new().text("a").text("b");
    assert_eq!(ask(&first, &model, "hi").await, "a");
    let second = cache("shared", |_| {}).await.unwrap();
    assert_eq!(ask(&second, &model, "hi").await, "a");
    let other = cache("other", |_| {}).await.unwrap();
    assert_eq!(ask(&other, &model, "hi").await, "b");
}

#[tokio::test]
async fn an_old_answer_is_gone_and_a_large_one_never_there() {
    let Some(cache) = cache("old", |options| options.ttl = Some(Duration::from_millis(150))).await else { return };
    let model = ScriptedModel::new().text("a").text("b").text("x".repeat(2 << 20)).text("d");
    assert_eq!(ask(&cache, &model, "hi").await, "a");
    assert_eq!(ask(&cache, &model, "hi").await, "a");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ask(&cache, &model, "hi").await, "b");
    assert_eq!(ask(&cache, &model, "long").await.len(), 2 << 20);
    assert_eq!(ask(&cache, &model, "long").await, "d");
}

#[tokio::test]
async fn an_entry_that_somebody_else_wrote_is_an_error_and_the_call_is_made() {
    let Some(cache) = cache("damaged", |_| {}).await else { return };
    let asked = question("hi");
    let place = format!("atomr-test:{}:damaged:{}", std::process::id(), asked.key());
    let mut connection = redis::Client::open(address()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("SET").arg(&place).arg("{}").arg("PX").arg(60_000).query_async(&mut connection).await.unwrap();
    assert!(matches!(cache.get(&asked).await, Err(CacheError::Damaged { .. })));
    assert_eq!(ask(&cache, &ScriptedModel::new().text("a"), "hi").await, "a");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_soon_and_a_password_is_not_printed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let options = RedisOptions { timeout: Duration::from_millis(300), ..RedisOptions::default() };
    let cache = RedisLlmCache::new(&format!("redis://ada:hunter2@127.0.0.1:{port}"), options).unwrap();
    let begun = std::time::Instant::now();
    let error = cache.get(&question("hi")).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(error.kind(), Kind::Internal);
    assert!(!format!("{error} {error:?} {cache:?}").contains("hunter2"));
    let error = RedisLlmCache::new("http://ada:hunter2@localhost", RedisOptions::default()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

/// A server that accepts and never answers is a miss after the time-out.
#[tokio::test]
async fn a_server_that_hangs_is_an_error_after_the_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = RedisOptions { timeout: Duration::from_millis(200), ..RedisOptions::default() };
    let address = format!("redis://{}", listener.local_addr().unwrap());
    let cache = RedisLlmCache::new(&address, options).unwrap();
    let begun = std::time::Instant::now();
    assert!(cache.get(&question("hi")).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(5));
}
