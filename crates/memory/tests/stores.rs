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

/// A search through one handle sees what another one has written before it, of two stores on one file.
#[tokio::test]
async fn two_handles_on_one_namespace_see_each_others_changes() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let store = SqliteStore::open(folder.path().join("m.db"), SqliteOptions::default()).unwrap();
        StoredLong::new(Arc::new(store), meaning(64))
    };
    let (ours, theirs, ctx) = (open(), open(), CallCtx::new());
    let (ada, below) = (namespace(&["u", "ada"]), namespace(&["u", "ada", "x"]));
    let near = |words: &str| Search::below(ada.clone()).query(words).by(By::Meaning).top_k(1);
    let first = async |store: &StoredLong, words: &str| {
        let found = store.search(&near(words), &ctx).await.unwrap();
        found.into_iter().next().map(|item| (item.key, item.score.unwrap() > 0.999))
    };
    let put = async |store: &StoredLong, namespace: &Namespace, key: &str, text: &str| {
        store.put(NewItem::new(namespace.clone(), key, json!(text)), &ctx).await.unwrap();
    };
    assert_eq!(first(&ours, "rain").await, None);
    put(&theirs, &ada, "a", "rain in oslo").await;
    assert_eq!(first(&ours, "rain in oslo").await, Some(("a".to_owned(), true)));
    put(&ours, &below, "b", "wind in bergen").await;
    assert_eq!(first(&theirs, "wind in bergen").await, Some(("b".to_owned(), true)));
    // An update, a removal, and what no search has seen yet.
    put(&theirs, &ada, "a", "sun in rome").await;
    assert_eq!(first(&ours, "sun in rome").await, Some(("a".to_owned(), true)));
    assert!(ours.delete(&ada, "a", &ctx).await.unwrap());
    assert_eq!(first(&theirs, "sun in rome").await, Some(("b".to_owned(), false)));
    // More than is followed one by one, through both at once.
    for n in 0..80 {
        let (store, other) = if n % 2 == 0 { (&ours, &theirs) } else { (&theirs, &ours) };
        put(store, &ada, &format!("k{n}"), &format!("number n{n}")).await;
        if n % 7 == 0 {
            assert_eq!(first(other, &format!("number n{n}")).await, Some((format!("k{n}"), true)));
        }
    }
    for n in 0..300 {
        put(&theirs, &ada, &format!("k{}", n % 80), &format!("other n{n}")).await;
    }
    assert_eq!(first(&ours, "other n299").await, Some(("k59".to_owned(), true)));
    let soon = NewItem::new(ada.clone(), "soon", json!("gone in a moment")).ttl(Duration::from_millis(300));
    theirs.put(soon, &ctx).await.unwrap();
    let was = first(&ours, "gone in a moment").await;
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert_ne!(first(&ours, "gone in a moment").await, Some(("soon".to_owned(), true)), "it was {was:?}");
    assert_eq!(theirs.purge(&ada).await.unwrap(), 1);
    assert_ne!(first(&ours, "gone in a moment").await, Some(("soon".to_owned(), true)));
}

/// Whatever is held in memory, a search finds what a store that holds nothing finds.
#[tokio::test]
async fn what_is_held_is_what_is_kept() {
    let store: Arc<dyn Store> = Arc::new(StateInMemory::new());
    let held = StoredLong::new(Arc::clone(&store), meaning(32));
    let few = StoredLong::new(Arc::clone(&store), LongOptions { max_indexed: 30, ..meaning(32) });
    let ctx = CallCtx::new();
    let words = ["rain", "wind", "sun", "snow", "oslo", "bergen", "rome"];
    let mut chance = 7usize;
    let mut draw = |below: usize| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    for step in 0..400 {
        let of = namespace(&["u", ["ada", "bob"][draw(2)]]);
        let key = format!("k{}", draw(40));
        let writer = if draw(2) == 0 { &held } else { &few };
        if draw(4) == 0 {
            writer.delete(&of, &key, &ctx).await.unwrap();
        } else {
            let text = format!("{} {}", words[draw(7)], words[draw(7)]);
            writer.put(NewItem::new(of.clone(), key, json!({"text": text, "n": draw(3)})), &ctx).await.unwrap();
        }
        if step % 5 == 0 {
            let mut search = Search::below(namespace(&["u"])).query(words[draw(7)]).by(By::Meaning).top_k(1 + draw(8));
            if draw(2) == 0 {
                search = search.filter(atomr_agents_retriever::Filter::eq("n", 1));
            }
            if draw(2) == 0 {
                search.namespace = of;
            }
            let fresh = StoredLong::new(Arc::clone(&store), meaning(32));
            let wanted = fresh.search(&search, &ctx).await.unwrap();
            assert_eq!(held.search(&search, &ctx).await.unwrap(), wanted, "at step {step}");
            assert_eq!(few.search(&search, &ctx).await.unwrap(), wanted, "at step {step}");
        }
    }
}
