//! What is written when a run goes on, before its first step is.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use atomr_agents_core::{EffectClass, Kind};
use atomr_agents_state::{Around, Batch, MemoryStore, RunStatus, Store, StoreError};
use atomr_agents_workflow::{
    Command, END, Graph, NodeCall, NodeError, RunOptions, START, StatefulRunner, Update, WorkflowError,
};
use common::{Count, empty, over, schema};
use serde_json::json;

/// Counts commits.
#[derive(Debug)]
struct Counted(MemoryStore, AtomicU32);

#[async_trait]
impl Around for Counted {
    fn within(&self) -> &dyn Store {
        &self.0
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.commit(batch).await
    }
}

/// Goes on with a run as soon as the lease of whoever was cut off is let go.
async fn go_on(runner: &StatefulRunner, command: Command) -> Result<(), WorkflowError> {
    loop {
        match runner.resume("r", [command.clone()], RunOptions::default()).await {
            Err(error) if error.kind() == Kind::Locked => tokio::task::yield_now().await,
            other => return other.map(drop),
        }
    }
}

#[tokio::test]
async fn of_a_run_that_was_killed_nothing_is_written_before_its_next_effect() {
    let counted = Arc::new(Counted(MemoryStore::new(), AtomicU32::new(0)));
    let (tries, before) = (Count::default(), Arc::new(AtomicU32::new(0)));
    let (at, tried, saw) = (Arc::clone(&counted), tries.clone(), Arc::clone(&before));
    let step = move |call: NodeCall| {
        let (at, tried, saw) = (Arc::clone(&at), tried.clone(), Arc::clone(&saw));
        async move {
            let effect = call.ctx.effect("pay", EffectClass::Idempotent, |_| async move {
                if tried.up() == 1 {
                    std::future::pending::<()>().await;
                }
                saw.store(at.1.load(Ordering::SeqCst), Ordering::SeqCst);
                Ok(json!("paid"))
            });
            Ok(Update::new().write("answer", effect.await?))
        }
    };
    let graph = Graph::builder("pays", schema()).node("a", step).edge(START, "a").edge("a", END).build().unwrap();
    let store: Arc<dyn Store> = counted.clone();
    let first = over(&graph, &store);
    let _ = tokio::time::timeout(Duration::from_millis(50), first.run(empty(), RunOptions::named("r"))).await;
    assert_eq!(first.get_state("r").await.unwrap().status, RunStatus::Running);
    counted.1.store(0, Ordering::SeqCst);
    go_on(&over(&graph, &store), Command::Continue).await.unwrap();
    assert_eq!((tries.get(), before.load(Ordering::SeqCst)), (2, 1), "the intent is the one commit before the effect");
}

#[tokio::test]
async fn of_a_run_that_failed_it_is_told_that_it_runs_while_it_does() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let tries = Count::default();
    let step = move |_: NodeCall| {
        let try_ = tries.up();
        async move {
            if try_ == 1 {
                return Err(NodeError::failed(Kind::Connect, "down"));
            }
            std::future::pending().await
        }
    };
    let graph = Graph::builder("fails", schema()).node("a", step).edge(START, "a").build().unwrap();
    let runner = over(&graph, &store);
    runner.run(empty(), RunOptions::named("r")).await.unwrap_err();
    assert_eq!(runner.get_state("r").await.unwrap().status, RunStatus::Failed);
    let running = async {
        while runner.get_state("r").await.unwrap().status != RunStatus::Running {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = go_on(&runner, Command::Continue) => panic!("the step hangs: {ended:?}"),
        told = tokio::time::timeout(Duration::from_secs(20), running) => told.unwrap(),
    }
}
