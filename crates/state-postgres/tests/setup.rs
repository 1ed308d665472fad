//! How it is set up, and what the database may say.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

/// Today's format.
const FORMAT: i64 = 2;

use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_state::{Batch, Change, Durability, Expect, Store, StoreError};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_testkit::postgres::Cluster;
use bytes::Bytes;
use support::{Schema, key, server, with};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_make_one_schema() {
    let Some(server) = server() else { return };
    for _ in 0..3 {
        let schema = Schema::new(server.dsn());
        let mut tasks = JoinSet::new();
        for _ in 0..6 {
            let (dsn, options) = (server.dsn().to_owned(), schema.options());
            tasks.spawn(async move { PostgresStore::connect(&dsn, options).await.unwrap() });
        }
        let record = key("r", "1");
        while let Some(store) = tasks.join_next().await {
            store.unwrap().commit(Batch::new().put(&record, "v", Expect::Any)).await.unwrap();
        }
        let client = schema.client().await;
        let row = client.query_one(&format!("SELECT count(*) FROM {}.format", schema.name), &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), FORMAT);
        assert_eq!(schema.store().await.get(&record).await.unwrap().unwrap().version, 6);
    }
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    drop(schema.store().await);
    let newer = format!("INSERT INTO {}.format VALUES (99, now())", schema.name);
    schema.client().await.batch_execute(&newer).await.unwrap();
    let error = PostgresStore::connect(server.dsn(), schema.options()).await.unwrap_err();
    assert!(matches!(&error, StoreError::UnsupportedFormat { found: 99, supported: 2, .. }), "{error}");
    assert!(error.to_string().contains(&schema.name), "{error}");
}

#[tokio::test]
async fn a_schema_of_format_1_goes_on_in_todays() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let first = include_str!("../src/schema/v1.sql").replace("SCHEMA", &schema.name);
    let name = &schema.name;
    let made = format!(
        "CREATE SCHEMA {name}; CREATE TABLE {name}.format (version int PRIMARY KEY, made timestamptz NOT NULL);
         INSERT INTO {name}.format VALUES (1, now()); {first}
         INSERT INTO {name}.leases VALUES ('run', 'r', 'before', 7, 0);
         INSERT INTO {name}.logs (space, name, next) VALUES ('run', 'r', 1);
         INSERT INTO {name}.entries SELECT id, 0, 'old', '' FROM {name}.logs"
    );
    schema.client().await.batch_execute(&made).await.unwrap();
    let (store, run) = (schema.store().await, key("run", "r"));
    let lease = store.acquire(&run, "me", Duration::from_secs(60)).await.unwrap();
    assert_eq!(lease.token, 8);
    for at in 1..4 {
        let batch = Batch::new().fenced(lease.fence()).append(&run, Some(at), Bytes::from("new"));
        store.commit(batch).await.unwrap();
    }
    let bodies: Vec<_> = store.read(&run, 0, 9).await.unwrap().into_iter().map(|entry| entry.body).collect();
    assert_eq!(bodies, ["old", "new", "new", "new"]);
}

#[tokio::test]
async fn who_was_let_through_before_is_fenced_by_whatever_makes_a_token() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let store = schema.store().await;
    let (run, other) = (key("run", "r"), key("run", "other"));
    let mut at = 0;
    for made in ["acquire", "release", "claim", "sql"] {
        let lease = store.acquire(&run, "me", Duration::from_millis(1)).await.unwrap();
        let write = |log, at| Batch::new().fenced(lease.fence()).append(log, Some(at), Bytes::from("e"));
        for _ in 0..3 {
            store.commit(write(&run, at)).await.unwrap();
            store.commit(write(&other, at)).await.unwrap();
            at += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        match made {
            "acquire" => drop(store.acquire(&run, "you", Duration::from_millis(1)).await.unwrap()),
            "release" => store.release(&lease).await.unwrap(),
            "claim" => {
                let due = Change::Put {
                    key: run.clone(),
                    value: Bytes::new(),
                    refs: Vec::new(),
                    due_ms: Some(1),
                    expect: Expect::Any,
                };
                store.commit(Batch::new().with(due)).await.unwrap();
                assert_eq!(store.claim("run", "you", Duration::from_millis(1), 9).await.unwrap().len(), 1);
            }
            _ => {
                let sql = format!("UPDATE {}.leases SET token = token + 1 WHERE name = 'r'", schema.name);
                schema.client().await.batch_execute(&sql).await.unwrap();
            }
        }
        for log in [&run, &other] {
            let error = store.commit(write(log, at)).await.unwrap_err();
            assert!(
                matches!(&error, StoreError::Fenced { token, newest, .. } if *newest == token + 1),
                "{made}: {error}"
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((store.end(&run).await.unwrap(), store.end(&other).await.unwrap()), (at, at));
}

#[tokio::test]
async fn without_migrate_nothing_is_created() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let options = PostgresOptions { migrate: false, ..schema.options() };
    let error = PostgresStore::connect(server.dsn(), options.clone()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Config { setting: "migrate", .. }), "{error}");
    schema.client().await.batch_execute(&format!("CREATE SCHEMA {}", schema.name)).await.unwrap();
    assert!(PostgresStore::connect(server.dsn(), options.clone()).await.is_err(), "a schema without tables is none");
    drop(schema.store().await);
    PostgresStore::connect(server.dsn(), options).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_is_told_before_anything_is_tried() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let told = async |dsn: &str, options: PostgresOptions| match PostgresStore::connect(dsn, options).await {
        Err(StoreError::Config { setting, .. }) => setting,
        other => panic!("{other:?}"),
    };
    let bad = PostgresOptions { schema: "a\"; DROP TABLE x; --".into(), ..schema.options() };
    assert_eq!(told(server.dsn(), bad).await, "schema");
    assert_eq!(told(server.dsn(), PostgresOptions { connections: 0, ..schema.options() }).await, "connections");
    assert_eq!(told("nonsense", schema.options()).await, "dsn");
    assert_eq!(told(&with(server.dsn(), "sslrootcert=nowhere.pem"), schema.options()).await, "sslrootcert");
    let mut url = url::Url::parse(server.dsn()).unwrap();
    url.set_path("no_such_database");
    assert_eq!(told(url.as_str(), schema.options()).await, "dsn");
}

#[tokio::test]
async fn nobody_there_is_told_within_the_time_to_connect() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let options = PostgresOptions { connect_timeout: Duration::from_millis(200), ..PostgresOptions::default() };
    let dsn = format!("postgres://ann:hunter2@{address}/main");
    let silent = PostgresStore::connect(&dsn, options.clone()).await.unwrap_err();
    drop(listener);
    let refused = PostgresStore::connect(&dsn, options).await.unwrap_err();
    for error in [silent, refused] {
        let text = format!("{error} {error:?}");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{text}");
        assert!(text.contains(&format!("{address}/main")) && !text.contains("hunter2"), "{text}");
    }
}

/// What a plain client says that appends under a fence, as the store would.
fn appends(schema: &Schema, token: u64, at: u64) -> String {
    let name = &schema.name;
    format!("SELECT {name}.append(false, 'run', 'r', {token}, 'run', 'r', {at}, 'plain', '', '{{}}', '{{}}', '{{}}')")
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", |code| code.code())
}

#[tokio::test]
async fn whoever_takes_a_lease_waits_for_a_commit_under_the_one_before() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let (store, run) = (schema.store().await, key("run", "r"));
    let lease = store.acquire(&run, "me", Duration::from_millis(1)).await.unwrap();
    for at in 0..2 {
        store.commit(Batch::new().fenced(lease.fence()).append(&run, Some(at), Bytes::from("e"))).await.unwrap();
    }
    let (first, again) = (schema.client().await, schema.client().await);
    first.batch_execute(&format!("BEGIN; {}", appends(&schema, lease.token, 2))).await.unwrap();
    // The same once more, as by who does not know whether the first one arrived; and somebody who takes the lease.
    let (mut tasks, sql) = (JoinSet::new(), appends(&schema, lease.token, 2));
    tasks.spawn(async move { again.batch_execute(&sql).await.map_err(|error| code(&error).to_owned()) });
    let (own, theirs) = (store.clone(), run.clone());
    let mut taking = JoinSet::new();
    taking.spawn(async move { own.acquire(&theirs, "you", Duration::from_secs(60)).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(tasks.try_join_next().is_none() && taking.try_join_next().is_none(), "both wait for the first one");
    first.batch_execute("COMMIT").await.unwrap();
    let taken = taking.join_next().await.unwrap().unwrap().unwrap();
    let told = tasks.join_next().await.unwrap().unwrap().unwrap_err();
    assert!(told == "AT001" || told == "AT002", "no deadlock: {told}");
    let late = store.commit(Batch::new().fenced(lease.fence()).append(&run, Some(3), Bytes::from("e"))).await;
    assert!(matches!(late.unwrap_err(), StoreError::Fenced { newest, .. } if newest == taken.token));
    store.commit(Batch::new().fenced(taken.fence()).append(&run, Some(3), Bytes::from("e"))).await.unwrap();
    assert_eq!(store.end(&run).await.unwrap(), 4);
}

#[tokio::test]
async fn a_lease_that_is_taken_by_who_sees_what_was_before_fences_all_the_same() {
    let Some(server) = server() else { return };
    for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let schema = Schema::new(server.dsn());
        let (store, run) = (schema.store().await, key("run", "r"));
        let lease = store.acquire(&run, "me", Duration::from_millis(1)).await.unwrap();
        let taker = schema.client().await;
        // It sees the database as it is now: without the log.
        let begin = format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM {}.leases", schema.name);
        taker.batch_execute(&begin).await.unwrap();
        for at in 0..2 {
            store.commit(Batch::new().fenced(lease.fence()).append(&run, Some(at), Bytes::from("e"))).await.unwrap();
        }
        let take = format!("SELECT * FROM {}.acquire('run', 'r', 'you', 60000)", schema.name);
        let taken = async {
            taker.batch_execute(&take).await?;
            taker.batch_execute("COMMIT").await
        };
        let next = Batch::new().fenced(lease.fence()).append(&run, Some(2), Bytes::from("e"));
        match (isolation, taken.await) {
            ("READ COMMITTED", Ok(())) => {
                assert!(matches!(store.commit(next).await.unwrap_err(), StoreError::Fenced { newest: 2, .. }));
            }
            // It is made again, and finds the log then.
            (_, Err(error)) if code(&error) == "40001" => store.commit(next).await.unwrap(),
            (_, other) => panic!("{isolation}: {other:?}"),
        }
    }
}

/// Makes every new entry of a log fail with `code` while the sequence is below `times`.
async fn fail(schema: &Schema, code: &str, times: u32) {
    let name = &schema.name;
    let sql = format!(
        "DROP TRIGGER IF EXISTS fail ON {name}.entries; DROP SEQUENCE IF EXISTS {name}.tries; CREATE SEQUENCE {name}.tries;
         CREATE OR REPLACE FUNCTION {name}.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('{name}.tries') <= {times} THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{code}'; END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER fail BEFORE INSERT ON {name}.entries FOR EACH ROW EXECUTE FUNCTION {name}.fail()"
    );
    schema.client().await.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn what_the_medium_says_becomes_an_error_of_its_kind_and_nothing_is_written() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let store = schema.store().await;
    let (log, record) = (key("log", "1"), key("r", "1"));
    let write = || store.commit(Batch::new().put(&record, "v", Expect::Any).append(&log, None, Bytes::from("e")));
    for (code, kind) in [
        ("53100", Kind::StorageFull),
        ("25006", Kind::Storage),
        ("XX001", Kind::Corrupt),
        ("XX002", Kind::Corrupt),
        ("58030", Kind::Storage),
        ("22000", Kind::Storage),
        ("57014", Kind::Storage),
    ] {
        fail(&schema, code, 1).await;
        let error = write().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(code), "{error}");
        assert_eq!((store.end(&log).await.unwrap(), store.get(&record).await.unwrap()), (0, None));
    }
    fail(&schema, "53100", 1).await;
    assert!(matches!(write().await, Err(StoreError::Full { .. })));
    write().await.unwrap();
    assert_eq!(store.end(&log).await.unwrap(), 1, "when there is room again it goes on");
}

#[tokio::test]
async fn a_deadlock_is_tried_again_a_few_times() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    let store = schema.store().await;
    let log = key("log", "1");
    for code in ["40P01", "40001"] {
        fail(&schema, code, 4).await;
        store.commit(Batch::new().append(&log, None, Bytes::from("e"))).await.unwrap();
    }
    fail(&schema, "40P01", 1_000).await;
    let error = store.commit(Batch::new().append(&log, None, Bytes::from("e"))).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert_eq!(store.end(&log).await.unwrap(), 2);
}

#[tokio::test]
async fn a_database_that_may_not_be_written_says_so() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    drop(schema.store().await);
    let dsn = with(server.dsn(), "options=-c%20default_transaction_read_only%3Don");
    let store = PostgresStore::connect(&dsn, schema.options()).await.unwrap();
    let error = store.commit(Batch::new().blob("x")).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert_eq!(store.end(&key("log", "1")).await.unwrap(), 0, "it can be read");
}

#[tokio::test]
async fn a_commit_survives_what_it_says_whatever_the_server_is_set_to() {
    let Some(server) = server() else { return };
    let schema = Schema::new(server.dsn());
    drop(schema.store().await);
    let name = &schema.name;
    let sql = format!(
        "CREATE TABLE {name}.seen (at bigint, setting text);
         CREATE FUNCTION {name}.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO {name}.seen VALUES (NEW.at, current_setting('synchronous_commit'));
             RETURN NEW;
         END $$;
         CREATE TRIGGER see BEFORE INSERT ON {name}.entries FOR EACH ROW EXECUTE FUNCTION {name}.see()"
    );
    let client = schema.client().await;
    client.batch_execute(&sql).await.unwrap();
    let log = key("log", "1");
    for setting in ["on", "off"] {
        let dsn = with(server.dsn(), &format!("options=-c%20synchronous_commit%3D{setting}"));
        let options = PostgresOptions { connections: 1, ..schema.options() };
        let store = PostgresStore::connect(&dsn, options).await.unwrap();
        for durability in [Durability::Relaxed, Durability::Full, Durability::Relaxed] {
            let batch = Batch::new().durability(durability).append(&log, None, Bytes::from("e"));
            store.commit(batch).await.unwrap();
        }
    }
    let rows = client.query(&format!("SELECT setting FROM {name}.seen ORDER BY at"), &[]).await.unwrap();
    let seen: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(seen, ["off", "on", "off", "off", "on", "off"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_the_servers_certificate_is_checked() {
    let mut cluster = match Cluster::start(&[]) {
        Ok(cluster) => cluster,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let trusted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(trusted.path(), made.cert.pem()).unwrap();
    cluster.write("server.crt", &made.cert.pem()).unwrap();
    cluster.write("server.key", &made.signing_key.serialize_pem()).unwrap();
    cluster.set("ssl=on");
    cluster.restart().unwrap();
    let by_name = cluster.dsn().replace("127.0.0.1", "localhost");
    let file = format!("sslrootcert={}", trusted.path().display());
    let options = PostgresOptions::default();
    for mode in ["sslmode=require", "sslmode=verify-full", "sslmode=prefer"] {
        let dsn = with(&with(&by_name, mode), &file);
        let store = PostgresStore::connect(&dsn, options.clone()).await.unwrap();
        store.commit(Batch::new().blob("x")).await.unwrap();
    }
    let client = support::client(&cluster.dsn()).await;
    let store =
        PostgresStore::connect(&with(&with(&by_name, "sslmode=require"), &file), options.clone()).await.unwrap();
    store.now_ms().await.unwrap();
    let row = client.query_one("SELECT count(*) FROM pg_stat_ssl WHERE ssl", &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) > 0);
    drop(store);
    let unknown = PostgresStore::connect(&with(&by_name, "sslmode=require"), options.clone()).await.unwrap_err();
    assert!(matches!(unknown, StoreError::Config { setting: "sslmode", .. }), "{unknown}");
    let other_name =
        PostgresStore::connect(&with(&with(&cluster.dsn(), "sslmode=require"), &file), options.clone()).await;
    assert!(matches!(other_name, Err(StoreError::Config { setting: "sslmode", .. })), "{other_name:?}");
    PostgresStore::connect(&with(&by_name, "sslmode=disable"), options).await.unwrap();
}
