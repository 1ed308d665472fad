//! How it is set up, what cannot be kept, and what happens when the database goes away or several write at once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_embed::{EmbedError, MockEmbedder};
use atomr_agents_memory::{LongStore, MemoryError, Namespace, NewItem, Search};
use atomr_agents_memory_postgres::{PgVectorLong, PgVectorOptions};
use atomr_agents_state::StoreError;
use atomr_agents_testkit::postgres::Cluster;
use serde_json::{Value, json};
use support::{Schema, ns, server};
use tokio::task::JoinSet;

async fn refused(dsn: &str, options: PgVectorOptions) -> (&'static str, String) {
    match PgVectorLong::connect(dsn, options).await {
        Err(MemoryError::Store(StoreError::Config { setting, message })) => (setting, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_is_told_before_anything_is_tried() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let setting = async |options| refused(server.dsn(), options).await.0;
    assert_eq!(setting(PgVectorOptions { schema: "a\"; --".into(), ..schema.bare() }).await, "schema");
    assert_eq!(setting(PgVectorOptions { connections: 0, ..schema.bare() }).await, "connections");
    assert_eq!(setting(PgVectorOptions { dim: Some(0), ..schema.bare() }).await, "dim");
    assert_eq!(setting(PgVectorOptions { dim: Some(16_001), ..schema.bare() }).await, "dim");
    assert_eq!(setting(PgVectorOptions { dim: Some(9), ..schema.options(8) }).await, "dim");
    assert_eq!(setting(PgVectorOptions { ef_search: 0, ..schema.bare() }).await, "ef_search");
    assert_eq!(refused("nonsense", schema.bare()).await.0, "dsn");
    // Another one makes the extension.
    let other = Schema::new(server.dsn());
    drop(other.open(other.bare()).await);
    assert_eq!(setting(PgVectorOptions { migrate: false, ..schema.bare() }).await, "migrate");
    drop(schema.open(schema.bare()).await);
    schema.open(PgVectorOptions { migrate: false, ..schema.bare() }).await;
    let newer = format!("INSERT INTO {}.format VALUES (99, now())", schema.name);
    schema.client().await.batch_execute(&newer).await.unwrap();
    let error = PgVectorLong::connect(server.dsn(), schema.bare()).await.unwrap_err();
    let format = matches!(&error, MemoryError::Store(StoreError::UnsupportedFormat { found: 99, supported: 1, .. }));
    assert!(format, "{error}");
}

#[tokio::test]
async fn a_server_or_a_database_without_the_extension_is_told_with_what_to_do() {
    // The one of the distribution seldom has it.
    match Cluster::start(&[]) {
        Ok(cluster) => {
            let client = support::client(&cluster.dsn()).await;
            let sql = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'";
            if client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
                let (setting, message) = refused(&cluster.dsn(), PgVectorOptions::default()).await;
                assert!(setting == "pgvector" && message.contains("install pgvector"), "{message}");
            }
        }
        Err(reason) => eprintln!("skipped: {reason}"),
    }
    let Some(server) = server() else { return };
    let client = support::client(server.dsn()).await;
    let name = Schema::new(server.dsn()).name.clone();
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    client.batch_execute(&format!("CREATE ROLE {name} LOGIN")).await.unwrap();
    let mut url = url::Url::parse(server.dsn()).unwrap();
    url.set_path(&name);
    let bare = PgVectorOptions { migrate: false, ..PgVectorOptions::default() };
    let (setting, message) = refused(url.as_str(), bare).await;
    assert!(setting == "pgvector" && message.contains("CREATE EXTENSION vector"), "{message}");
    let as_owner = url.to_string();
    url.set_username(&name).unwrap();
    let (setting, message) = refused(url.as_str(), PgVectorOptions::default()).await;
    assert!(setting == "pgvector" && message.contains("may not make the extension"), "{message}");
    // Wherever the extension is, and whoever uses it.
    let owner = support::client(&as_owner).await;
    let made = format!(
        "CREATE SCHEMA \"Else where\"; CREATE EXTENSION vector SCHEMA \"Else where\";
         GRANT USAGE ON SCHEMA \"Else where\" TO {name}; GRANT CREATE ON DATABASE {name} TO {name}"
    );
    owner.batch_execute(&made).await.unwrap();
    let options = PgVectorOptions {
        embedder: Some(Arc::new(MockEmbedder::new(8).unwrap())),
        exact_below: 0,
        ..PgVectorOptions::default()
    };
    let store = PgVectorLong::connect(url.as_str(), options).await.unwrap();
    atomr_agents_memory::conformance::check_long(&store, true).await.unwrap();
    drop((store, owner));
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    client.batch_execute(&format!("DROP ROLE {name}")).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_kept_or_compared_is_refused_and_nothing_is_changed() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let (ctx, store) = (CallCtx::new(), schema.open(schema.options(8)).await);
    let ada = ns(&["u", "ada"]);
    let item = |value: Value| NewItem::new(ada.clone(), "k", value);
    store.put(item(json!("rain")), &ctx).await.unwrap();
    let put = async |item: NewItem| store.put(item, &ctx).await.unwrap_err();
    let error = put(item(json!(1)).embedding(vec![1.0; 7])).await;
    assert!(matches!(error, MemoryError::Embed(EmbedError::Dimension { expected: 8, found: 7 })), "{error}");
    for bad in [f32::NAN, f32::INFINITY] {
        let error = put(item(json!(1)).embedding(vec![bad; 8])).await;
        assert!(matches!(error, MemoryError::Embed(EmbedError::NotFinite { .. })), "{error}");
        let search = Search::below(ada.clone()).embedding(vec![bad; 8]);
        assert!(matches!(store.search(&search, &ctx).await, Err(MemoryError::Embed(_))));
    }
    let zeros = Search::below(ada.clone()).embedding(vec![0.0; 8]);
    assert!(matches!(store.search(&zeros, &ctx).await, Err(MemoryError::Embed(EmbedError::Invalid { .. }))));
    let other = Search::below(ada.clone()).embedding(vec![1.0; 3]);
    let error = store.search(&other, &ctx).await.unwrap_err();
    assert!(matches!(error, MemoryError::Embed(EmbedError::Dimension { expected: 8, found: 3 })), "{error}");
    let deep = (0..200).fold(json!(1), |value, _| json!([value]));
    let error = put(item(deep)).await;
    assert!(matches!(error, MemoryError::Name { what: "value", .. }), "{error}");
    for name in ["", "a\nb", &"x".repeat(600)] {
        let error = put(NewItem::new(ada.clone(), name, json!(1))).await;
        assert!(matches!(error, MemoryError::Name { what: "key", .. }), "{error}");
    }
    assert_eq!(store.get(&ada, "k", &ctx).await.unwrap().unwrap().value, json!("rain"));
    let bare = schema.open(schema.bare()).await;
    let error = bare.put(item(json!(1)).embedding(vec![1.0; 16_001]), &ctx).await.unwrap_err();
    assert!(matches!(error, MemoryError::Name { what: "embedding", .. }), "{error}");
    assert!(store.get(&Namespace::root(), "k", &ctx).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_updates_at_once_each_sees_what_the_one_before_wrote() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let ctx = CallCtx::new();
    // As several processes would: each has connections of its own.
    let mut opening = JoinSet::new();
    for _ in 0..4 {
        let (dsn, options) = (server.dsn().to_owned(), schema.options(8));
        opening.spawn(async move { PgVectorLong::connect(&dsn, options).await.unwrap() });
    }
    let stores = opening.join_all().await;
    let item = |value: Value| NewItem::new(ns(&["u"]), "k", value);
    stores.first().unwrap().put(item(json!(0)), &ctx).await.unwrap();
    let mut tasks = JoinSet::new();
    for (at, store) in stores.iter().cloned().enumerate() {
        tasks.spawn(async move {
            let mut seen = Vec::new();
            for turn in 0..25 {
                let item = NewItem::new(ns(&["u"]), "k", json!(format!("{at} {turn}")));
                seen.push(store.update(item, &CallCtx::new()).await.unwrap().unwrap().value.to_string());
            }
            seen
        });
    }
    let mut seen: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
    let last = stores.first().unwrap().get(&ns(&["u"]), "k", &ctx).await.unwrap().unwrap();
    seen.push(last.value.to_string());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 101, "each value was replaced once, or is there still");
    // Many who put the same new items, and delete them: nothing is left of any.
    let mut tasks = JoinSet::new();
    for (at, store) in stores.iter().cloned().enumerate() {
        tasks.spawn(async move {
            for turn in 0..40 {
                let (ctx, key) = (CallCtx::new(), format!("n{}", (turn * 7 + at) % 5));
                store.put(NewItem::new(ns(&["v"]), &key, json!(format!("rain {turn} by {at}"))), &ctx).await.unwrap();
                store.delete(&ns(&["v"]), &key, &ctx).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let left = format!("SELECT count(*) FROM {0}.words WHERE place >= 'v/' AND place < 'v0'", schema.name);
    assert_eq!(schema.client().await.query_one(&left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed_lose_nothing_that_was_kept() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let ctx = CallCtx::new();
    let store = schema.open(schema.options(8)).await;
    let client = schema.client().await;
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%{}%' AND pid <> pg_backend_pid()",
        schema.name
    );
    let mut killing = JoinSet::new();
    killing.spawn(async move {
        for _ in 0..30 {
            client.execute(&kill, &[]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    let (mut kept, mut in_doubt) = (0, 0);
    for at in 0..400 {
        let key = format!("{at}");
        store.put(NewItem::new(ns(&["u"]), &key, json!({"text": "rain", "at": at})), &ctx).await.unwrap();
        kept += 1;
        let item = NewItem::new(ns(&["u"]), &key, json!({"text": "sun", "at": at}));
        match store.update(item, &ctx).await {
            Ok(old) => assert_eq!(old.unwrap().value["text"], "rain"),
            Err(error) => {
                assert!(error.kind() == Kind::Storage && error.to_string().contains("not known"), "{error}");
                in_doubt += 1;
            }
        }
        let found = store.get(&ns(&["u"]), &key, &ctx).await.unwrap().unwrap();
        assert!(found.value["text"] == "sun" || in_doubt > 0, "{found:?}");
    }
    killing.join_all().await;
    let search = Search::below(ns(&["u"])).query("sun").top_k(1_000);
    assert_eq!(store.search(&search, &ctx).await.unwrap().len(), kept, "{in_doubt} in doubt");
}

#[tokio::test]
async fn a_database_that_is_away_is_told_of_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let options = PgVectorOptions { connect_timeout: Duration::from_millis(200), ..PgVectorOptions::default() };
    let dsn = format!("postgres://ann:hunter2@{address}/main");
    let error = PgVectorLong::connect(&dsn, options).await.unwrap_err();
    assert!(matches!(error, MemoryError::Store(StoreError::Unavailable { .. })), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
