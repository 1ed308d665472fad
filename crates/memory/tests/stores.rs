//! Memory in memory and in a file; `state-proof` has the same on PostgreSQL.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_embed::{Embedder, MockEmbedder};
use atomr_agents_memory::{
    By, LongOptions, LongStore, MemoryError, MemoryItem, MemoryStore, Namespace, NamespacedLong, NamespacedMemory,
    NewItem, Search, StoredLong, StoredMemory, conformance,
};
use atomr_agents_state::{MemoryStore as StateInMemory, Store};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use futures_util::future::join_all;
use serde_json::json;

fn namespace(parts: &[&str]) -> Namespace {
    Namespace::new(parts.iter().copied()).unwrap()
}

fn meaning(dim: usize) -> LongOptions {
    LongOptions { embedder: Some(Arc::new(MockEmbedder::new(dim).unwrap())), ..LongOptions::default() }
}

async fn check(make: impl Fn(&str) -> Arc<dyn Store>) {
    conformance::check_short(&StoredMemory::new(make("short"))).await.unwrap();
    conformance::check_long(&StoredLong::new(make("words"), LongOptions::default()), false).await.unwrap();
    conformance::check_long(&StoredLong::new(make("meaning"), meaning(256)), true).await.unwrap();
    let part = namespace(&["teams", "a/b%"]);
    let short = NamespacedMemory::new(Arc::new(StoredMemory::new(make("part-short"))), part.clone());
    conformance::check_short(&short).await.unwrap();
    let long = StoredLong::new(make("part-long"), meaning(256));
    let seen = NamespacedLong::new(Arc::new(long.clone()), part);
    conformance::check_long(&seen, true).await.unwrap();
    // Everything that was written lies below.
    let all = long.list_namespaces(&Namespace::root(), 10, &CallCtx::new()).await.unwrap();
    assert!(
        !all.is_empty() && all.iter().all(|namespace| namespace.parts().starts_with(&["teams".into(), "a/b%".into()]))
    );
}

#[tokio::test]
async fn in_memory() {
    check(|_| Arc::new(StateInMemory::new())).await;
}

#[tokio::test]
async fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    check(|name| Arc::new(SqliteStore::open(folder.path().join(name), SqliteOptions::default()).unwrap())).await;
}

#[tokio::test]
async fn what_was_written_is_there_after_the_store_was_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Arc::new(SqliteStore::open(folder.path().join("m.db"), SqliteOptions::default()).unwrap());
    let (ada, ctx) = (namespace(&["ada"]), CallCtx::new());
    let before = StoredLong::new(open(), meaning(64));
    before.put(NewItem::new(ada.clone(), "home", json!("lives in Oslo")), &ctx).await.unwrap();
    drop(before);
    let after = StoredLong::new(open(), meaning(64));
    let found = after.search(&Search::below(ada).query("lives in Oslo"), &ctx).await.unwrap();
    assert!((found[0].score.unwrap() - 1.0).abs() < 1e-5, "{found:?}");
}

#[tokio::test]
async fn of_many_updates_at_once_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("m.db"), SqliteOptions::default()).unwrap());
    let (store, ada, ctx) = (StoredLong::new(store, LongOptions::default()), namespace(&["ada"]), CallCtx::new());
    store.put(NewItem::new(ada.clone(), "n", json!(0)), &ctx).await.unwrap();
    let updates = (1..=8).map(|n| store.update(NewItem::new(ada.clone(), "n", json!(n)), &ctx));
    let mut seen: Vec<_> = join_all(updates).await.into_iter().map(|old| old.unwrap().unwrap().value).collect();
    seen.push(store.get(&ada, "n", &ctx).await.unwrap().unwrap().value);
    // Each value was replaced by exactly one other: all nine are told once.
    seen.sort_by_key(|value| value.as_u64());
    assert_eq!(seen, (0..=8).map(|n| json!(n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_over_is_purged_and_what_was_written_anew_stays() {
    let store: Arc<dyn Store> = Arc::new(StateInMemory::new());
    let (long, ada, ctx) = (StoredLong::new(Arc::clone(&store), meaning(16)), namespace(&["ada"]), CallCtx::new());
    for n in 0..5 {
        let item = NewItem::new(ada.clone(), format!("k{n}"), json!(n)).ttl(Duration::from_millis(1));
        long.put(item, &ctx).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    long.put(NewItem::new(ada.clone(), "k0", json!("new")), &ctx).await.unwrap();
    assert_eq!(long.purge(&ada).await.unwrap(), 4);
    assert_eq!(store.scan(&atomr_agents_state::Scan::of("memory-vector")).await.unwrap().len(), 1);
    assert_eq!(long.get(&ada, "k0", &ctx).await.unwrap().unwrap().value, "new");
}

#[tokio::test]
async fn vectors_of_another_model_are_told_and_made_anew() {
    let store: Arc<dyn Store> = Arc::new(StateInMemory::new());
    let (ada, ctx) = (namespace(&["ada"]), CallCtx::new());
    let search = Search::below(ada.clone()).query("Oslo");
    StoredLong::new(Arc::clone(&store), LongOptions::default())
        .put(NewItem::new(ada.clone(), "none", json!("no vector")), &ctx)
        .await
        .unwrap();
    let old = StoredLong::new(Arc::clone(&store), meaning(64));
    old.put(NewItem::new(ada.clone(), "home", json!("lives in Oslo")), &ctx).await.unwrap();
    let new = StoredLong::new(store, meaning(128));
    let error = new.search(&search, &ctx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Incompatible);
    assert_eq!(
        error.to_string(),
        "1 items below ada have vectors of mock:64, not of mock:128: embed them anew with reindex"
    );
    assert_eq!(new.reindex(&ada, &ctx).await.unwrap(), 2);
    assert_eq!(new.reindex(&ada, &ctx).await.unwrap(), 0);
    assert_eq!(new.search(&search.top_k(1), &ctx).await.unwrap()[0].key, "home");
}

#[tokio::test]
async fn bad_vectors_and_searches_are_refused_and_nothing_is_kept() {
    let (long, ada, ctx) = (StoredLong::in_memory(LongOptions::default()), namespace(&["ada"]), CallCtx::new());
    let put = |vector: Vec<f32>| long.put(NewItem::new(ada.clone(), "k", json!(1)).embedding(vector), &ctx);
    for bad in [vec![], vec![f32::NAN, 1.0]] {
        assert!(matches!(put(bad).await, Err(MemoryError::Embed(_))));
    }
    assert_eq!(long.get(&ada, "k", &ctx).await.unwrap(), None);
    put(vec![1.0, 0.0]).await.unwrap();
    let near = |vector: Vec<f32>| Search::below(ada.clone()).embedding(vector);
    assert_eq!(long.search(&near(vec![2.0, 0.0]), &ctx).await.unwrap()[0].score, Some(1.0));
    let error = long.search(&near(vec![1.0, 0.0, 0.0]), &ctx).await.unwrap_err();
    assert_eq!(error.to_string(), "a vector of dimension 2 was expected, not one of 3");
    assert!(long.search(&near(vec![0.0, 0.0]), &ctx).await.unwrap_err().to_string().contains("must have a length"));
    let words = Search::below(ada.clone()).query("x").by(By::Meaning);
    assert!(long.search(&words, &ctx).await.unwrap_err().to_string().contains("the embedder is missing"));
}

#[tokio::test]
async fn a_search_over_too_much_says_so() {
    let options = LongOptions { max_searched: 3, ..LongOptions::default() };
    let (long, ada, ctx) = (StoredLong::in_memory(options), namespace(&["ada"]), CallCtx::new());
    for n in 0..4 {
        long.put(NewItem::new(ada.clone(), format!("k{n}"), json!(n)), &ctx).await.unwrap();
    }
    let error = long.search(&Search::below(ada), &ctx).await.unwrap_err();
    assert_eq!(error.to_string(), "below ada lie more than 3 items: search in a narrower namespace");
}

#[tokio::test]
async fn a_damaged_item_is_an_error_that_names_it() {
    let store: Arc<dyn Store> = Arc::new(StateInMemory::new());
    let key = atomr_agents_state::Key::new("memory-long", "ada//k").unwrap();
    store.commit(atomr_agents_state::Batch::new().put(&key, "{", Default::default())).await.unwrap();
    let long = StoredLong::new(store, LongOptions::default());
    let error = long.get(&namespace(&["ada"]), "k", &CallCtx::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("the memory ada//k is damaged"), "{error}");
    assert_eq!(error.kind(), Kind::Corrupt);
}

/// An embedder that another part of the program forgot to start.
#[derive(Debug)]
struct Broken;

impl Embedder for Broken {
    fn model(&self) -> &str {
        "broken"
    }

    fn dim(&self) -> Option<usize> {
        None
    }

    fn embed<'a>(
        &'a self,
        _: &'a [&'a str],
        _: &'a CallCtx,
    ) -> futures_util::future::BoxFuture<'a, Result<atomr_agents_embed::Vectors, atomr_agents_embed::EmbedError>> {
        let error = atomr_agents_embed::EmbedError::Failed {
            what: "the embedder".into(),
            kind: Kind::Connect,
            message: "nobody there".into(),
            source: None,
        };
        Box::pin(async { Err(error) })
    }
}

#[tokio::test]
async fn an_item_that_cannot_be_embedded_is_not_kept() {
    let options = LongOptions { embedder: Some(Arc::new(Broken)), ..LongOptions::default() };
    let (long, ada, ctx) = (StoredLong::in_memory(options), namespace(&["ada"]), CallCtx::new());
    let error = long.put(NewItem::new(ada.clone(), "k", json!(1)), &ctx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
    assert_eq!(long.get(&ada, "k", &ctx).await.unwrap(), None);
}

#[tokio::test]
async fn items_made_in_a_row_stand_in_that_row() {
    let (memory, ada, ctx) = (StoredMemory::in_memory(), namespace(&["ada"]), CallCtx::new());
    for n in 0..300 {
        memory.put(&ada, &MemoryItem::new(json!(n)), &ctx).await.unwrap();
    }
    let all = memory.list(&ada, 1_000, None, &ctx).await.unwrap();
    assert_eq!(
        all.iter().map(|item| item.content.clone()).collect::<Vec<_>>(),
        (0..300).rev().map(|n| json!(n)).collect::<Vec<_>>()
    );
}
