//! A commit whose answer is lost has happened once or not at all, and its caller learns which.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_state::{Batch, Expect, Key, Store};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use bytes::Bytes;
use support::proxy::{Loss, Proxy};
use support::{Schema, address, at, key, server};
use tokio::sync::oneshot;

struct Setting {
    schema: Schema,
    proxy: Proxy,
    store: PostgresStore,
    log: Key,
}

impl Setting {
    async fn new(dsn: &str, change: impl FnOnce(&mut PostgresOptions)) -> Self {
        let schema = Schema::new(dsn);
        let proxy = Proxy::to(address(dsn)).await;
        let mut options = PostgresOptions { connections: 2, ..schema.options() };
        change(&mut options);
        let store = PostgresStore::connect(&at(dsn, proxy.address()), options).await.unwrap();
        store.now_ms().await.unwrap();
        Self { schema, proxy, store, log: key("log", "1") }
    }

    async fn append(&self, text: &'static str) -> Result<(), atomr_agents_state::StoreError> {
        self.store.commit(Batch::new().append(&self.log, None, Bytes::from_static(text.as_bytes()))).await
    }

    async fn bodies(&self) -> Vec<Bytes> {
        self.store.read(&self.log, 0, 100).await.unwrap().into_iter().map(|entry| entry.body).collect()
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_looked_up() {
    let Some(server) = server() else { return };
    let setting = Setting::new(server.dsn(), |_| {}).await;
    for text in ["a", "b", "c"] {
        setting.proxy.lose(Loss::Answer);
        setting.append(text).await.unwrap();
        assert!(!setting.proxy.waits());
    }
    // Also where repeating it would have been refused.
    setting.proxy.lose(Loss::Answer);
    let record = key("r", "1");
    setting.store.commit(Batch::new().put(&record, "x", Expect::Absent)).await.unwrap();
    assert_eq!(setting.store.get(&record).await.unwrap().unwrap().version, 1);
    assert_eq!(setting.bodies().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_request_that_is_lost_is_made_again() {
    let Some(server) = server() else { return };
    let setting = Setting::new(server.dsn(), |_| {}).await;
    for text in ["a", "b", "c"] {
        setting.proxy.lose(Loss::Request);
        setting.append(text).await.unwrap();
        assert!(!setting.proxy.waits());
        setting.proxy.lose(Loss::Request);
        assert_eq!(setting.bodies().await.last().unwrap(), text);
        setting.proxy.lose(Loss::Answer);
        assert_eq!(setting.bodies().await.last().unwrap(), text, "a read is asked again");
    }
    assert_eq!(setting.bodies().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_request_that_arrives_after_it_was_made_again_does_nothing() {
    let Some(server) = server() else { return };
    let setting = Setting::new(server.dsn(), |_| {}).await;
    for (text, known) in [("first commit of its connection", false), ("a later one", true)] {
        if known {
            setting.append("between").await.unwrap();
        }
        let (arrive, arrives) = oneshot::channel();
        let (answers, answered) = oneshot::channel();
        setting.proxy.lose(Loss::Late(arrives, answers));
        setting.append(text).await.unwrap();
        arrive.send(()).unwrap();
        answered.await.unwrap();
    }
    assert_eq!(setting.bodies().await, ["first commit of its connection", "between", "a later one"]);
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_looked_up_and_its_connection_given_up() {
    let Some(server) = server() else { return };
    let setting = Setting::new(server.dsn(), |options| options.call_timeout = Duration::from_millis(300)).await;
    setting.proxy.lose(Loss::Silence);
    setting.append("a").await.unwrap();
    setting.proxy.lose(Loss::Silence);
    assert_eq!(setting.bodies().await, ["a"]);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_stopped_and_its_commit_did_not_happen() {
    let Some(server) = server() else { return };
    let setting = Setting::new(server.dsn(), |options| {
        options.call_timeout = Duration::from_millis(300);
        options.outage = Duration::from_millis(900);
    })
    .await;
    setting.append("a").await.unwrap();
    // Somebody holds the head of the log.
    let mut client = setting.schema.client().await;
    let held = client.transaction().await.unwrap();
    held.batch_execute(&format!("SELECT * FROM {}.logs FOR UPDATE", setting.schema.name)).await.unwrap();
    let error = setting.append("b").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Storage, "{error}");
    held.rollback().await.unwrap();
    assert_eq!(setting.bodies().await, ["a"]);
    setting.append("c").await.unwrap();
    assert_eq!(setting.bodies().await, ["a", "c"]);
}

#[tokio::test]
async fn a_fence_holds_for_a_commit_that_is_made_again() {
    let Some(server) = server() else { return };
    let setting = Setting::new(server.dsn(), |_| {}).await;
    let lease = setting.store.acquire(&setting.log, "a", Duration::from_secs(60)).await.unwrap();
    let write =
        || setting.store.commit(Batch::new().fenced(lease.fence()).append(&setting.log, None, Bytes::from("e")));
    setting.proxy.lose(Loss::Answer);
    write().await.unwrap();
    setting.proxy.lose(Loss::Answer);
    let newer = setting.store.acquire(&setting.log, "a", Duration::from_secs(60)).await.unwrap();
    assert!(newer.token > lease.token + 1, "asked again, it was taken twice");
    setting.proxy.lose(Loss::Request);
    assert_eq!(write().await.unwrap_err().kind(), Kind::Fenced);
    assert_eq!(setting.bodies().await.len(), 1);
}
