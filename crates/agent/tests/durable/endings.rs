//! How a run that is kept is stopped: cancelled, taken over, without room, with calls under way that must not happen twice.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atomr_agents_agent::{AgentError, AgentOptions, BoxedAgent, EffectClass};
use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_state::{Item, Journal, JournalOptions, MemoryStore, RunLogError, RunReader, RunStatus, StoreError};
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{FnTool, Tool, ToolDescriptor, ToolError};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::{World, agent, kept};

async fn status(store: &Arc<MemoryStore>) -> RunStatus {
    RunReader::open(store.clone(), "r").await.unwrap().record().status
}

/// The run goes on beside the test, and ends with it.
fn under_way<T: Send + 'static>(run: impl Future<Output = T> + Send + 'static) -> JoinSet<T> {
    let mut runs = JoinSet::new();
    runs.spawn(run);
    runs
}

async fn ended<T: 'static>(mut run: JoinSet<T>) -> T {
    run.join_next().await.unwrap().unwrap()
}

/// A tool that says when it has begun and ends when it may.
fn slow(name: &str, effect: EffectClass, begun: &Arc<Notify>, go: &Arc<Notify>, ended: &Arc<AtomicBool>) -> FnTool {
    let (begun, go, ended) = (Arc::clone(begun), Arc::clone(go), Arc::clone(ended));
    let descriptor = ToolDescriptor::new(name, "", json!({"type": "object"})).with_effect(effect);
    FnTool::described(descriptor, move |_, _| {
        let (begun, go, ended) = (Arc::clone(&begun), Arc::clone(&go), Arc::clone(&ended));
        async move {
            begun.notify_one();
            go.notified().await;
            ended.store(true, Ordering::SeqCst);
            Ok(json!("did it"))
        }
    })
}

struct Slow {
    begun: Arc<Notify>,
    go: Arc<Notify>,
    ended: Arc<AtomicBool>,
    sibling: Arc<AtomicBool>,
    tools: Vec<Arc<dyn Tool>>,
}

/// `pay`, which must not happen twice, and `wait`, which is stopped with the run.
fn slow_tools() -> Slow {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (ended, sibling) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let wait = slow("wait", EffectClass::Idempotent, &Arc::default(), &Arc::default(), &sibling);
    let tools: Vec<Arc<dyn Tool>> = vec![Arc::new(slow("pay", EffectClass::Once, &begun, &go, &ended)), Arc::new(wait)];
    Slow { begun, go, ended, sibling, tools }
}

fn calls() -> ScriptedModel {
    ScriptedModel::new().tool_calls([("pay", json!({})), ("wait", json!({}))]).text("Done.").by_conversation()
}

async fn recorded(store: &Arc<MemoryStore>) -> usize {
    let frames = RunReader::open(store.clone(), "r").await.unwrap().frames().await.unwrap();
    let items = frames.iter().flat_map(|placed| placed.frame.items.clone());
    items.filter(|item| matches!(item, Item::Outcome(outcome) if outcome.key.path == "agent/1")).count()
}

#[tokio::test]
async fn a_cancelled_run_waits_for_calls_that_must_not_happen_twice_and_records_them() {
    let (store, slow) = (Arc::new(MemoryStore::new()), slow_tools());
    let agent = agent(calls(), slow.tools.clone(), kept(store.clone()));
    let ctx = CallCtx::new();
    let cancel = ctx.cancel.clone();
    let run = under_way(async move { agent.begin_as("r", "go", ctx).await });
    slow.begun.notified().await;
    cancel.cancel();
    tokio::task::yield_now().await;
    slow.go.notify_one();
    let error = ended(run).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(slow.ended.load(Ordering::SeqCst) && !slow.sibling.load(Ordering::SeqCst));
    assert_eq!((status(&store).await, recorded(&store).await), (RunStatus::Cancelled, 1));
}

#[tokio::test]
async fn what_ends_the_run_stops_the_siblings_but_those_that_must_not_happen_twice() {
    let (store, slow) = (Arc::new(MemoryStore::new()), slow_tools());
    let go = Arc::clone(&slow.go);
    let begun = Arc::clone(&slow.begun);
    let fatal = FnTool::new("boom", "", json!({"type": "object"}), move |_, _| {
        let (go, begun) = (Arc::clone(&go), Arc::clone(&begun));
        async move {
            begun.notified().await;
            go.notify_one();
            let source = Arc::new(std::io::Error::other("boom"));
            Err(ToolError::Fatal { name: "boom".into(), message: "boom".into(), source })
        }
    });
    let mut tools = slow.tools.clone();
    tools.push(Arc::new(fatal));
    let calls = [("pay", json!({})), ("wait", json!({})), ("boom", json!({}))];
    let model = ScriptedModel::new().tool_calls(calls).text("Done.").by_conversation();
    let error = agent(model, tools, kept(store.clone())).begin_as("r", "go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tool);
    assert!(slow.ended.load(Ordering::SeqCst) && !slow.sibling.load(Ordering::SeqCst));
    assert_eq!((status(&store).await, recorded(&store).await), (RunStatus::Failed, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_is_not_waited_for_for_ever_and_nobody_knows_its_outcome() {
    let (store, slow) = (Arc::new(MemoryStore::new()), slow_tools());
    let first = agent(calls(), slow.tools.clone(), kept(store.clone()));
    let ctx = CallCtx::new();
    let cancel = ctx.cancel.clone();
    let run = under_way(async move { first.begin_as("r", "go", ctx).await });
    slow.begun.notified().await;
    cancel.cancel();
    assert_eq!(ended(run).await.unwrap_err().kind(), Kind::Cancelled);
    let error = agent(calls(), slow.tools, kept(store)).resume_run("r", &[], CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OutcomeUnknown);
}

#[tokio::test]
async fn a_run_without_a_store_waits_for_them_too() {
    let slow = slow_tools();
    let agent: BoxedAgent = agent(calls(), slow.tools.clone(), AgentOptions::default());
    let ctx = CallCtx::new();
    let cancel = ctx.cancel.clone();
    let run = under_way(async move { agent.run("go", ctx).await });
    slow.begun.notified().await;
    cancel.cancel();
    slow.go.notify_one();
    let error = ended(run).await.unwrap_err();
    let told = serde_json::to_string(&error.partial.messages).unwrap();
    assert!(error.kind() == Kind::Cancelled && told.contains("did it"), "{told}");
}

#[tokio::test]
async fn whoever_was_taken_over_stops_and_writes_nothing_more() {
    let (store, slow) = (Arc::new(MemoryStore::new()), slow_tools());
    let mut options = kept(store.clone());
    let owner = "worker 1".to_owned();
    if let Some(durable) = &mut options.durable {
        durable.journal.owner.clone_from(&owner);
        durable.journal.lease = std::time::Duration::from_millis(60);
    }
    let first = agent(calls(), slow.tools.clone(), options);
    let run = under_way(async move { first.begin_as("r", "go", CallCtx::new()).await });
    slow.begun.notified().await;
    // The same owner, in another process: it gets the lease at once.
    let journal = JournalOptions { owner, ..JournalOptions::default() };
    let journal = Journal::resume(store.clone(), "r", journal).await.unwrap();
    slow.go.notify_one();
    let error = ended(run).await.unwrap_err();
    let fenced = matches!(error.error, AgentError::Log(RunLogError::Store(StoreError::Fenced { .. })));
    assert!(fenced && error.kind() == Kind::Fenced, "{error:?}");
    assert_eq!((status(&store).await, recorded(&store).await), (RunStatus::Running, 0));
    journal.release().await.unwrap();
}

#[tokio::test]
async fn a_run_whose_store_is_full_goes_on_when_there_is_room() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    let full = crate::support::Dying::full(&store, 3);
    let first = agent(crate::support::script(), world.tools(), kept(full));
    let error = first.begin_as("r", "go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StorageFull);
    assert_eq!(status(&store).await, RunStatus::Running);
    let result = agent(crate::support::script(), world.tools(), kept(store.clone()));
    let result = result.resume_run("r", &[], CallCtx::new()).await.unwrap();
    assert_eq!((result.output.as_str(), status(&store).await), ("Done.", RunStatus::Finished));
}

#[tokio::test]
async fn the_end_is_told_to_listeners_once_it_is_written() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    let dying = crate::support::Dying::after(&store, 7, false);
    let run = agent(crate::support::script(), world.tools(), kept(dying)).begin_as("r", "go", CallCtx::new());
    let mut events = run.subscribe().unwrap();
    run.await.unwrap_err();
    let mut kinds = Vec::new();
    while let Ok(batch) = events.try_recv_batch(1_000) {
        kinds.extend(batch.events.iter().map(|event| event.kind.name()));
    }
    assert_eq!(kinds.iter().filter(|kind| kind.starts_with("run_f")).collect::<Vec<_>>(), [&"run_failed"]);
}
