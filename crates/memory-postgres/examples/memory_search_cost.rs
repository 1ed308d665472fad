//! What a search by meaning costs where the database makes it, beside a memory on the same database that reads the vectors.
//!
//! `cargo run --release -p atomr-agents-memory-postgres --example memory_search_cost [ITEMS] [DIM]`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that fails has nothing to say")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atomr_agents_core::CallCtx;
use atomr_agents_memory::{By, LongOptions, LongStore, Namespace, NewItem, Search, StoredLong};
use atomr_agents_memory_postgres::{PgVectorLong, PgVectorOptions};
use atomr_agents_retriever::Filter;
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

const SCHEMAS: [&str; 2] = ["search_cost_items", "search_cost_store"];
const WRITERS: usize = 4;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let (items, dim) = (numbers.next().unwrap_or(20_000), numbers.next().unwrap_or(384));
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/pgvector");
    let server = atomr_agents_testkit::postgres::vector_server(&unpacked).unwrap();
    let (client, connection) = tokio_postgres::connect(server.dsn(), NoTls).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    for schema in SCHEMAS {
        client.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await.unwrap();
    }
    let exact = PgVectorOptions {
        schema: SCHEMAS[0].into(),
        dim: Some(dim),
        exact_below: usize::MAX,
        ..PgVectorOptions::default()
    };
    let ours = PgVectorLong::connect(server.dsn(), exact.clone()).await.unwrap();
    let store = PostgresOptions { schema: SCHEMAS[1].into(), ..PostgresOptions::default() };
    let store = Arc::new(PostgresStore::connect(server.dsn(), store).await.unwrap());
    let stored = || StoredLong::new(store.clone(), LongOptions::default());
    let vectors = Arc::new(vectors(items, dim));
    println!("items {items}, dim {dim}");
    filled("database: put", Arc::new(ours.clone()), &vectors).await;
    filled("stored:   put", Arc::new(stored()), &vectors).await;
    client.batch_execute(&format!("VACUUM ANALYZE {}.items", SCHEMAS[0])).await.unwrap();
    let (warm, ctx) = (stored(), CallCtx::new());
    let cold: Vec<Duration> = {
        let mut all = Vec::new();
        for vector in vectors.iter().step_by(items / 5) {
            let new = stored();
            all.push(timed(&new, &search(vector, None, By::Meaning), &ctx).await);
        }
        all
    };
    shown("stored:   by meaning, first search of a process", cold);
    measured("stored:   by meaning", &warm, &vectors, None, By::Meaning).await;
    measured("database: by meaning, exact", &ours, &vectors, None, By::Meaning).await;
    let rare = || Some(Filter::lt("number", 100));
    measured("stored:   by meaning, filter for 1 in 100", &warm, &vectors, rare(), By::Meaning).await;
    measured("database: by meaning, exact, filter for 1 in 100", &ours, &vectors, rare(), By::Meaning).await;
    measured("stored:   by words", &warm, &vectors, None, By::Words).await;
    measured("database: by words", &ours, &vectors, None, By::Words).await;
    let begun = Instant::now();
    ours.build_index().await.unwrap();
    println!("{:60} {:10.1} s", "database: index built", begun.elapsed().as_secs_f64());
    let indexed = PgVectorLong::connect(server.dsn(), PgVectorOptions { exact_below: 1_000, ..exact }).await.unwrap();
    measured("database: by meaning, index", &indexed, &vectors, None, By::Meaning).await;
    measured("database: by meaning, index, filter for 1 in 100", &indexed, &vectors, rare(), By::Meaning).await;
    let (mut hits, mut wanted) = (0, 0);
    for vector in vectors.iter().step_by(items / 50) {
        let search = search(vector, None, By::Meaning);
        let near: Vec<String> = ours.search(&search, &ctx).await.unwrap().into_iter().map(|item| item.key).collect();
        let found = indexed.search(&search, &ctx).await.unwrap();
        hits += found.iter().filter(|item| near.contains(&item.key)).count();
        wanted += near.len();
    }
    println!("{:60} {:10.3}", "database: recall of the index at 10", f64::from(hits as u32) / f64::from(wanted as u32));
    for schema in SCHEMAS {
        client.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await.unwrap();
    }
}

/// In clusters, as those of texts are.
fn vectors(count: usize, dim: usize) -> Vec<Vec<f32>> {
    let mut random = StdRng::seed_from_u64(1);
    let centers: Vec<Vec<f32>> = (0..64).map(|_| (0..dim).map(|_| random.random_range(-1.0..1.0)).collect()).collect();
    let near = |center: &Vec<f32>, random: &mut StdRng| -> Vec<f32> {
        center.iter().map(|value| value + random.random_range(-1.0f32..1.0)).collect()
    };
    (0..count).map(|at| near(&centers[at % 64], &mut random)).collect()
}

async fn filled(what: &str, store: Arc<dyn LongStore>, vectors: &Arc<Vec<Vec<f32>>>) {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, vectors) = (Arc::clone(&store), Arc::clone(vectors));
        tasks.spawn(async move {
            let namespace = Namespace::new(["users", "ada"]).unwrap();
            for (at, vector) in vectors.iter().enumerate().filter(|(at, _)| at % WRITERS == writer) {
                let text = format!("item {at} of a memory with the word w{} and w{}", at % 97, at % 1_009);
                let value = json!({"text": text, "number": at % 10_000});
                let item = NewItem::new(namespace.clone(), format!("{at}"), value).embedding(vector.clone());
                store.put(item, &CallCtx::new()).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let each = begun.elapsed().as_secs_f64() * 1e6 / vectors.len() as f64;
    println!("{what:60} {each:10.0} µs each, {WRITERS} at once");
}

fn search(vector: &[f32], filter: Option<Filter>, by: By) -> Search {
    let search = Search { filter, by, ..Search::below(Namespace::new(["users", "ada"]).unwrap()).top_k(10) };
    if by == By::Words { search.query("the words w13 and w500") } else { search.embedding(vector.to_vec()) }
}

async fn timed(store: &dyn LongStore, search: &Search, ctx: &CallCtx) -> Duration {
    let begun = Instant::now();
    assert_eq!(store.search(search, ctx).await.unwrap().len(), 10);
    begun.elapsed()
}

async fn measured(what: &str, store: &dyn LongStore, vectors: &[Vec<f32>], filter: Option<Filter>, by: By) {
    let ctx = CallCtx::new();
    let mut all = Vec::new();
    for vector in vectors.iter().step_by((vectors.len() / 22).max(1)) {
        all.push(timed(store, &search(vector, filter.clone(), by), &ctx).await);
    }
    all.drain(..2);
    shown(what, all);
}

fn shown(what: &str, mut all: Vec<Duration>) {
    all.sort_unstable();
    let (middle, last) = (&all[all.len() / 2], all.last().unwrap());
    println!("{what:60} {:10.2} ms p50 {:10.2} ms at most", middle.as_secs_f64() * 1e3, last.as_secs_f64() * 1e3);
}
