//! What every long memory has to do alike, and what it finds beside the one on any store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Value};
use atomr_agents_embed::MockEmbedder;
use atomr_agents_memory::{By, LongOptions, LongStore, Namespace, NewItem, Search, StoreItem, StoredLong, conformance};
use atomr_agents_memory_postgres::PgVectorOptions;
use atomr_agents_retriever::Filter;
use atomr_agents_testkit::postgres::Pooler;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use support::{Schema, ns, server};

#[tokio::test]
async fn it_keeps_the_rules_of_the_seam() {
    let Some(server) = server() else { return };
    for (options, meaning) in [
        (PgVectorOptions::default(), false),
        (PgVectorOptions { exact_below: usize::MAX, ..Schema::new(server.dsn()).options(64) }, true),
        (PgVectorOptions { exact_below: 0, connections: 1, ..Schema::new(server.dsn()).options(64) }, true),
    ] {
        let schema = Schema::new(server.dsn());
        let store = schema.open(PgVectorOptions { schema: schema.name.clone(), ..options }).await;
        conformance::check_long(&store, meaning).await.unwrap();
    }
}

#[tokio::test]
async fn it_keeps_them_behind_a_transaction_pooler() {
    let Some(server) = server() else { return };
    let url = url::Url::parse(server.dsn()).unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap_or(5432));
    let address = std::net::ToSocketAddrs::to_socket_addrs(&address).unwrap().next().unwrap();
    let pooler = match Pooler::start(address, url.path().trim_start_matches('/'), 3) {
        Ok(pooler) => pooler,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    for exact_below in [usize::MAX, 0] {
        let schema = Schema::new(&pooler.dsn());
        let store = schema.open(PgVectorOptions { exact_below, connections: 8, ..schema.options(64) }).await;
        conformance::check_long(&store, true).await.unwrap();
    }
}

const WORDS: &[&str] = &["rain", "oslo", "wind", "bergen", "likes", "fish", "the", "a", "sun", "rome"];

fn text(random: &mut StdRng) -> String {
    let count = random.random_range(1..7);
    (0..count).map(|_| *WORDS.choose(random).unwrap()).collect::<Vec<_>>().join(" ")
}

fn scalar(random: &mut StdRng) -> Value {
    match random.random_range(0..12) {
        0 => json!(null),
        1 => json!(random.random_bool(0.5)),
        2 => json!(random.random_range(-2..3)),
        3 => json!(f64::from(random.random_range(-4..5)) / 2.0),
        4 => json!(9_007_199_254_740_993_i64 - random.random_range(0..3)),
        5 => json!(9_007_199_254_740_992.0),
        6 => Value::from(*[1_152_921_504_606_846_976.0, 1e300, -0.0].choose(random).unwrap()),
        7 => Value::from(*["a", "b\0", "b", "\u{1}", "B", "é", "🦀", ""].choose(random).unwrap()),
        8 => Value::from(*[1_152_921_504_606_846_976_i64, 1_152_921_504_606_847_000_i64].choose(random).unwrap()),
        9 => json!([1, "a", {"x": 1.0}, null]),
        10 => json!({"x": 1, "y": [2.0]}),
        _ => json!(u64::MAX),
    }
}

fn value(random: &mut StdRng) -> Value {
    match random.random_range(0..8) {
        0 => json!(text(random)),
        1 => scalar(random),
        2 => json!([text(random)]),
        _ => {
            let kind = ["fact", "taste"].choose(random).copied();
            let mut value = json!({"text": text(random), "kind": kind});
            for key in ["n", "x\0", "list"] {
                if random.random_bool(0.6) {
                    value[key] = if key == "list" { json!([scalar(random), scalar(random)]) } else { scalar(random) };
                }
            }
            value
        }
    }
}

fn filter(random: &mut StdRng, depth: usize) -> Filter {
    let key = *["n", "x\0", "list", "kind", "none"].choose(random).unwrap();
    let ordered = |random: &mut StdRng| loop {
        let value = scalar(random);
        if value.is_number() || value.is_string() {
            return value;
        }
    };
    match random.random_range(0..if depth == 0 { 9 } else { 12 }) {
        0 => Filter::eq(key, scalar(random)),
        1 => Filter::ne(key, scalar(random)),
        2 => Filter::lt(key, ordered(random)),
        3 => Filter::le(key, ordered(random)),
        4 => Filter::gt(key, ordered(random)),
        5 => Filter::ge(key, ordered(random)),
        6 => Filter::any_of(key, (0..random.random_range(0..4)).map(|_| scalar(random)).collect::<Vec<_>>()),
        7 => Filter::contains(key, scalar(random)),
        8 => Filter::exists(key),
        9 => !filter(random, depth - 1),
        10 => Filter::all((0..random.random_range(0..3)).map(|_| filter(random, depth - 1)).collect::<Vec<_>>()),
        _ => Filter::any((0..random.random_range(0..3)).map(|_| filter(random, depth - 1)).collect::<Vec<_>>()),
    }
}

fn without_times(item: StoreItem) -> (Namespace, String, Value, Option<f64>, bool) {
    (item.namespace, item.key, item.value, item.score, item.expires_ms.is_some())
}

/// Writes at random to both and compares what they give.
async fn compared(options: PgVectorOptions, dsn: &str, seed: u64, steps: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let (one, ctx) = (Schema::new(dsn), CallCtx::new());
    let embedder = options.embedder.clone();
    let ours = one.open(PgVectorOptions { schema: one.name.clone(), ..options }).await;
    let theirs = StoredLong::in_memory(LongOptions { embedder, ..LongOptions::default() });
    let namespaces = [ns(&["u"]), ns(&["u", "ada"]), ns(&["u", "ada", "-"]), ns(&["u", "ad/a"]), ns(&["u", "ada%"])];
    let above = [Namespace::root(), ns(&["u"]), ns(&["u", "ada"]), ns(&["v"])];
    for step in 0..steps {
        let namespace = namespaces.choose(&mut random).unwrap().clone();
        let key = format!("k{}", random.random_range(0..12));
        let mut item = NewItem::new(namespace.clone(), &key, value(&mut random));
        if random.random_bool(0.2) {
            item = item.ttl(Duration::from_secs(3_600));
        }
        if random.random_bool(0.1) {
            // Its own vector, also one of zeros.
            let scale = f32::from(random.random_range(0..3_u8));
            item = item.embedding((0..32).map(|at| scale * (at as f32 - 7.0)).collect());
        }
        match random.random_range(0..10) {
            0..5 => {
                ours.put(item.clone(), &ctx).await.unwrap();
                theirs.put(item, &ctx).await.unwrap();
            }
            5 => {
                let (a, b) = (ours.update(item.clone(), &ctx).await.unwrap(), theirs.update(item, &ctx).await.unwrap());
                assert_eq!(a.map(without_times), b.map(without_times), "seed {seed} step {step}");
            }
            6 => {
                let deleted = ours.delete(&namespace, &key, &ctx).await.unwrap();
                assert_eq!(deleted, theirs.delete(&namespace, &key, &ctx).await.unwrap(), "seed {seed} step {step}");
            }
            7 => {
                let (a, b) = (ours.get(&namespace, &key, &ctx).await, theirs.get(&namespace, &key, &ctx).await);
                assert_eq!(a.unwrap().map(without_times), b.unwrap().map(without_times), "seed {seed} step {step}");
            }
            _ => {
                let prefix = above.choose(&mut random).unwrap();
                let limit = random.random_range(0..7);
                let (a, b) = (
                    ours.list_namespaces(prefix, limit, &ctx).await,
                    theirs.list_namespaces(prefix, limit, &ctx).await,
                );
                assert_eq!(a.unwrap(), b.unwrap(), "seed {seed} step {step}");
                let mut search = Search::below(prefix.clone()).top_k(random.random_range(0..8));
                search.by = *[By::Best, By::Meaning, By::Words, By::Both].choose(&mut random).unwrap();
                if random.random_bool(0.9) {
                    search.query = Some(text(&mut random));
                }
                if random.random_bool(0.6) {
                    search.filter = Some(filter(&mut random, 3));
                }
                let (a, b) = (ours.search(&search, &ctx).await, theirs.search(&search, &ctx).await);
                let of = |found: Vec<StoreItem>| found.into_iter().map(without_times).collect::<Vec<_>>();
                match (a, b) {
                    (Ok(a), Ok(b)) => assert_eq!(of(a), of(b), "seed {seed} step {step}: {search:?}"),
                    (a, b) => assert_eq!(a.unwrap_err().to_string(), b.unwrap_err().to_string(), "{search:?}"),
                }
            }
        }
        // What was written last is told apart by its time.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_gives_what_the_memory_on_any_store_gives() {
    let Some(server) = server() else { return };
    let options = |exact_below| PgVectorOptions {
        embedder: Some(Arc::new(MockEmbedder::new(32).unwrap())),
        exact_below,
        ..PgVectorOptions::default()
    };
    for seed in 0..3 {
        compared(options(usize::MAX), server.dsn(), seed, 400).await;
        // So few are all found by the index, too.
        compared(options(0), server.dsn(), 100 + seed, 200).await;
        compared(PgVectorOptions::default(), server.dsn(), 200 + seed, 200).await;
    }
}
