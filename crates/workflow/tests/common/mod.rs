//! What several tests need.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use atomr_agents_core::Value;
use atomr_agents_state::{AppendList, LastWriteWins, MemoryStore, StateSchema, Store};
use atomr_agents_workflow::{Graph, NodeCall, NodeError, RunnerOptions, StatefulRunner, Update};
use serde_json::json;

/// Counts calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicU32>);

impl Count {
    pub(crate) fn up(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A counter that is set and a log that grows.
pub(crate) fn schema() -> StateSchema {
    StateSchema::builder()
        .add_with_default("count", LastWriteWins, json!(0))
        .add("log", AppendList)
        .add_lww("answer")
        .build()
        .unwrap()
}

/// A node that writes its own name to the log.
pub(crate) fn says(
    name: &'static str,
) -> impl Fn(NodeCall) -> std::future::Ready<Result<Update, NodeError>> + Send + Sync + 'static {
    move |_| std::future::ready(Ok(Update::new().write("log", json!([name]))))
}

/// The log of a state.
pub(crate) fn log(state: &atomr_agents_state::StateView) -> Vec<String> {
    state.get("log").unwrap()
}

pub(crate) fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// A runner over a store that outlives it: another one over the same store is another process.
pub(crate) fn over(graph: &Graph, store: &Arc<dyn Store>) -> StatefulRunner {
    StatefulRunner::with_store(graph.clone(), Arc::clone(store), RunnerOptions::default())
}

pub(crate) fn empty() -> Value {
    json!({})
}
