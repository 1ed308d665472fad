//! What searches find: by the index, of several models, of words of any length.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use atomr_agents_core::CallCtx;
use atomr_agents_embed::EmbedError;
use atomr_agents_memory::{By, LongStore, MemoryError, Namespace, NewItem, Search, StoreItem};
use atomr_agents_memory_postgres::PgVectorOptions;
use atomr_agents_retriever::Filter;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use support::{Schema, ns, server};

fn keys(found: Vec<StoreItem>) -> Vec<String> {
    found.into_iter().map(|item| item.key).collect()
}

/// Some vectors in few clusters.
fn vectors(count: usize, dim: usize) -> Vec<Vec<f32>> {
    let mut random = StdRng::seed_from_u64(7);
    let mut vector = |spread: f32, about: Option<&Vec<f32>>| -> Vec<f32> {
        (0..dim).map(|at| random.random_range(-1.0f32..1.0) * spread + about.map_or(0.0, |about| about[at])).collect()
    };
    let centers: Vec<Vec<f32>> = (0..8).map(|_| vector(1.0, None)).collect();
    (0..count).map(|at| vector(0.5, centers.get(at % 8))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_finds_as_many_as_are_wanted_whatever_the_filter_is() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let (ctx, all) = (CallCtx::new(), vectors(1_500, 24));
    let indexed = PgVectorOptions { dim: Some(24), exact_below: 100, ..schema.bare() };
    let store = schema.open(indexed.clone()).await;
    let exact = schema.open(PgVectorOptions { exact_below: usize::MAX, ..indexed }).await;
    for (at, vector) in all.iter().enumerate() {
        let value = json!({"text": format!("item {at}"), "rare": at % 150 == 0, "half": at % 2 == 0});
        let namespace = ns(&["u", if at % 3 == 0 { "a" } else { "b" }]);
        store.put(NewItem::new(namespace, format!("{at:05}"), value).embedding(vector.clone()), &ctx).await.unwrap();
    }
    let client = schema.client().await;
    client.batch_execute(&format!("ANALYZE {}.items", schema.name)).await.unwrap();
    let explain = format!(
        "EXPLAIN SELECT place FROM {0}.items WHERE dim = 24 AND model = ANY (ARRAY[1])
         ORDER BY vec::vector(24) <#> '[{1}]'::vector(24) LIMIT 10",
        schema.name,
        ["1"; 24].join(",")
    );
    let plan: Vec<String> = client.query(&explain, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(plan.join("\n").contains("items_near_24"), "{plan:?}");
    let (mut hits, mut wanted) = (0, 0);
    for (at, query) in all.iter().step_by(75).enumerate() {
        let filter = match at % 3 {
            0 => None,
            1 => Some(Filter::eq("half", true)),
            _ => Some(Filter::eq("rare", true)),
        };
        let search = Search { filter, ..Search::below(ns(&["u"])).embedding(query.clone()).top_k(10) };
        let found = keys(store.search(&search, &ctx).await.unwrap());
        let nearest = keys(exact.search(&search, &ctx).await.unwrap());
        assert_eq!(found.len(), 10, "{search:?}");
        let (found, nearest) = (BTreeSet::from_iter(found), BTreeSet::from_iter(nearest));
        (hits, wanted) = (hits + found.intersection(&nearest).count(), wanted + nearest.len());
    }
    assert!(hits * 100 >= wanted * 95, "{hits} of {wanted}");
    let few = Search::below(ns(&["u"])).embedding(all[0].clone()).filter(Filter::eq("text", "item 9")).top_k(10);
    assert_eq!(keys(store.search(&few, &ctx).await.unwrap()), ["00009"], "fewer where there are no more");
}

#[tokio::test]
async fn vectors_of_many_numbers_are_found_too() {
    let Some(server) = server() else { return };
    let ctx = CallCtx::new();
    for (dim, index) in [(3_072, true), (5_000, false)] {
        let schema = Schema::new(server.dsn());
        let store = schema.open(PgVectorOptions { dim: Some(dim), exact_below: 0, ..schema.bare() }).await;
        for (at, vector) in vectors(30, dim).into_iter().enumerate() {
            store.put(NewItem::new(ns(&["u"]), format!("{at:02}"), json!(at)).embedding(vector), &ctx).await.unwrap();
        }
        let search = Search::below(ns(&["u"])).embedding(vectors(30, dim)[17].clone()).top_k(3);
        let found = store.search(&search, &ctx).await.unwrap();
        assert!(found.len() == 3 && found[0].key == "17" && (found[0].score.unwrap() - 1.0).abs() < 1e-5, "{found:?}");
        match store.build_index().await {
            Ok(()) => assert!(index),
            Err(MemoryError::Name { what: "dim", .. }) => assert!(!index),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn the_index_is_made_beside_what_is_there_when_it_is_asked_for() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let ctx = CallCtx::new();
    let store = schema.open(schema.bare()).await;
    for (at, vector) in vectors(40, 8).into_iter().enumerate() {
        store.put(NewItem::new(ns(&["u"]), format!("{at:02}"), json!(at)).embedding(vector), &ctx).await.unwrap();
    }
    assert!(matches!(store.build_index().await, Err(MemoryError::Name { what: "dim", .. })));
    let known = PgVectorOptions { dim: Some(8), exact_below: usize::MAX, ..schema.bare() };
    let store = schema.open(known.clone()).await;
    let client = schema.client().await;
    let count =
        format!("SELECT count(*) FROM pg_indexes WHERE schemaname = '{}' AND indexname = 'items_near_8'", schema.name);
    let indexes = async || client.query_one(&count, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(indexes().await, 0, "nothing asks it");
    store.build_index().await.unwrap();
    store.build_index().await.unwrap();
    assert_eq!(indexes().await, 1);
    let store = schema.open(PgVectorOptions { exact_below: 1, ..known }).await;
    let search = Search::below(ns(&["u"])).embedding(vectors(40, 8)[5].clone()).top_k(1);
    assert_eq!(keys(store.search(&search, &ctx).await.unwrap()), ["05"]);
}

#[tokio::test]
async fn vectors_of_another_model_are_not_compared_until_they_are_made_anew() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let ctx = CallCtx::new();
    let before = schema.open(schema.options(16)).await;
    for at in 0..300 {
        let namespace = ns(&["u", if at % 2 == 0 { "a" } else { "b" }]);
        before.put(NewItem::new(namespace, format!("{at:03}"), json!(format!("rain {at}"))), &ctx).await.unwrap();
    }
    let store = schema.open(schema.options(32)).await;
    let search = Search::below(ns(&["u", "a"])).query("rain 4").by(By::Meaning).top_k(1);
    match store.search(&search, &ctx).await {
        Err(MemoryError::OtherModel { count, found, wanted, .. }) => {
            assert_eq!((count, found.as_str(), wanted.as_str()), (150, "mock:16", "mock:32"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(keys(store.search(&search.clone().by(By::Words), &ctx).await.unwrap()), ["004"]);
    assert_eq!(store.reindex(&ns(&["u", "a"]), &ctx).await.unwrap(), 150);
    assert_eq!(keys(store.search(&search, &ctx).await.unwrap()), ["004"]);
    let other = Search { namespace: ns(&["u", "b"]), ..search.clone() };
    assert!(matches!(store.search(&other, &ctx).await, Err(MemoryError::OtherModel { count: 150, .. })));
    assert_eq!(store.reindex(&Namespace::root(), &ctx).await.unwrap(), 150);
    assert_eq!(store.reindex(&Namespace::root(), &ctx).await.unwrap(), 0);
    let all = Search::below(Namespace::root()).query("rain 5").by(By::Meaning).top_k(1);
    assert_eq!(keys(store.search(&all, &ctx).await.unwrap()), ["005"]);
    // A store without a model compares what has as many numbers.
    let bare = schema.open(schema.bare()).await;
    bare.put(NewItem::new(ns(&["w"]), "k", json!(1)).embedding(vec![1.0, 0.0]), &ctx).await.unwrap();
    let near = Search::below(ns(&["w"])).embedding(vec![2.0, 0.5]);
    assert_eq!(keys(bare.search(&near, &ctx).await.unwrap()), ["k"]);
    let error = bare.search(&Search::below(Namespace::root()).embedding(vec![1.0; 2]), &ctx).await.unwrap_err();
    assert!(matches!(error, MemoryError::Embed(EmbedError::Dimension { expected: 32, found: 2 })), "{error}");
    assert!(matches!(bare.reindex(&Namespace::root(), &ctx).await, Err(MemoryError::Name { what: "embedder", .. })));
}

#[tokio::test]
async fn words_of_any_length_and_texts_of_any_size_are_kept_and_found() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let (ctx, store) = (CallCtx::new(), schema.open(schema.options(16)).await);
    let word = "x".repeat(20_000);
    let text = (0..20_000).map(|at| format!("w{at} ")).collect::<String>();
    store.put(NewItem::new(ns(&["u"]), "long", json!(format!("{word} rain"))), &ctx).await.unwrap();
    store.put(NewItem::new(ns(&["u"]), "much", json!({"text": text, "nul": "a\0b"})), &ctx).await.unwrap();
    let words = |query: &str| Search::below(ns(&["u"])).query(query).by(By::Words);
    assert_eq!(keys(store.search(&words(&word), &ctx).await.unwrap()), ["long"]);
    assert_eq!(keys(store.search(&words("w19999"), &ctx).await.unwrap()), ["much"]);
    let found = store.search(&Search::below(ns(&["u"])).filter(Filter::eq("nul", "a\0b")), &ctx).await.unwrap();
    assert_eq!((found.len(), found[0].value["nul"].as_str()), (1, Some("a\0b")));
    store.put(NewItem::new(ns(&["u"]), "much", json!("short")), &ctx).await.unwrap();
    assert_eq!(keys(store.search(&words("w19999"), &ctx).await.unwrap()), [""; 0]);
    let left = format!("SELECT count(*) FROM {}.words", schema.name);
    assert_eq!(schema.client().await.query_one(&left, &[]).await.unwrap().get::<_, i64>(0), 3);
}

#[tokio::test]
async fn what_is_over_is_not_there_and_goes_with_a_purge() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let (ctx, store) = (CallCtx::new(), schema.open(schema.options(16)).await);
    for at in 0..2_500 {
        let ttl = Duration::from_millis(if at % 2 == 0 { 1 } else { 3_600_000 });
        let item = NewItem::new(ns(&["u", if at % 2 == 0 { "gone" } else { "here" }]), format!("{at}"), json!("rain"));
        store.put(item.embedding(vec![1.0; 16]).ttl(ttl), &ctx).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(store.list_namespaces(&Namespace::root(), 10, &ctx).await.unwrap(), [ns(&["u", "here"])]);
    for by in [By::Meaning, By::Words, By::Both] {
        let found = store.search(&Search::below(ns(&["u"])).query("rain").by(by).top_k(5_000), &ctx).await.unwrap();
        assert_eq!(found.len(), 1_250, "{by:?}");
    }
    assert_eq!(store.purge(&ns(&["u", "here"])).await.unwrap(), 0);
    assert_eq!(store.purge(&Namespace::root()).await.unwrap(), 1_250);
    let left = format!("SELECT (SELECT count(*) FROM {0}.words), (SELECT count(*) FROM {0}.items)", schema.name);
    let row = schema.client().await.query_one(&left, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1_250, 1_250));
}
