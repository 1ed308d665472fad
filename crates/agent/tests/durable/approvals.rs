//! A run that waits for people goes on by its name, in whatever process.

use std::sync::Arc;

use atomr_agents_agent::{AgentError, AgentOptions, ApprovalError, EffectClass, PendingRun, StoreLedger, conformance};
use atomr_agents_core::CallCtx;
use atomr_agents_state::{MemoryStore, RunReader, RunStatus, Store};
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{Tool, ToolOptions};
use serde_json::json;

use crate::support::{Dying, World, agent, kept};

fn tools(world: &World) -> Vec<Arc<dyn Tool>> {
    let asks = ToolOptions { requires_approval: true, ..ToolOptions::default() };
    let pay = world.tool("pay", EffectClass::Once).with_options(asks);
    vec![Arc::new(pay), Arc::new(world.tool("look", EffectClass::None))]
}

fn script() -> ScriptedModel {
    let calls = [("pay", json!({"n": 1})), ("look", json!({"n": 2})), ("pay", json!({"n": 3}))];
    ScriptedModel::new().tool_calls(calls).text("Done.").by_conversation()
}

#[tokio::test]
async fn another_process_finds_what_waits_and_decides_and_what_ran_is_not_run_again() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    let process = |world: &World| agent(script(), tools(world), kept(store.clone()));
    let first = process(&world).begin_as("r", "go", CallCtx::new()).await.unwrap();
    let waiting = first.pending.unwrap();
    assert_eq!(waiting.kept(), Some("r"));
    assert_eq!(RunReader::open(store.clone(), "r").await.unwrap().record().status, RunStatus::Suspended);

    let again = process(&world).resume_run("r", &[], CallCtx::new()).await.unwrap().pending.unwrap();
    assert_eq!(again.calls(), waiting.calls(), "the same calls, under the same digests");
    let yes = [again.calls()[0].approve()];
    let rest = process(&world).resume_run("r", &yes, CallCtx::new()).await.unwrap().pending.unwrap();
    assert_eq!((world.attempts("pay").len(), rest.calls().len()), (1, 1));
    // Said once, it is not said again.
    let error = process(&world).resume_run("r", &yes, CallCtx::new()).await.unwrap_err();
    assert!(matches!(error.error, AgentError::Approval(ApprovalError::NoSuchCall { .. })), "{error:?}");
    let stored: PendingRun = serde_json::from_str(&serde_json::to_string(&rest).unwrap()).unwrap();
    let no = [rest.calls()[0].deny("too dear")];
    let result = process(&world).resume(*Box::new(stored), &no, CallCtx::new()).await.unwrap();
    assert_eq!((result.output.as_str(), world.attempts("pay").len(), world.attempts("look").len()), ("Done.", 1, 1));
}

#[tokio::test]
async fn a_decision_outlives_a_process_that_dies_with_it_and_is_acted_on_once() {
    let whole = {
        let (store, world) = (Arc::new(MemoryStore::new()), World::default());
        let agent = agent(script(), tools(&world), kept(store));
        let waiting = agent.begin_as("r", "go", CallCtx::new()).await.unwrap().pending.unwrap();
        let all: Vec<_> = waiting.calls().iter().map(|call| call.approve()).collect();
        agent.resume_run("r", &all, CallCtx::new()).await.unwrap()
    };
    for commits in 0..5 {
        let (store, world) = (Arc::new(MemoryStore::new()), World::default());
        let first = agent(script(), tools(&world), kept(store.clone()));
        let waiting = first.begin_as("r", "go", CallCtx::new()).await.unwrap().pending.unwrap();
        let all: Vec<_> = waiting.calls().iter().map(|call| call.approve()).collect();
        let dying = Dying::after(&store, commits, false);
        let died = agent(script(), tools(&world), kept(dying)).resume_run("r", &all, CallCtx::new()).await;
        if let Ok(result) = died {
            assert_eq!(result.messages, whole.messages);
            continue;
        }
        let status =
            |store: Arc<MemoryStore>| async move { RunReader::open(store, "r").await.unwrap().record().status };
        assert_ne!(status(store.clone()).await, RunStatus::Finished);
        let next = agent(script(), tools(&world), kept(store.clone()));
        match next.resume_run("r", &[], CallCtx::new()).await {
            // The decisions were not recorded: they are asked for again.
            Ok(result) if result.pending.is_some() => assert!(world.attempts("pay").is_empty()),
            Ok(result) => assert_eq!((result.messages, world.attempts("pay").len()), (whole.messages.clone(), 2)),
            Err(error) => {
                assert_eq!(error.kind().as_str(), "outcome_unknown", "{error:?}");
                assert_eq!(world.attempts("pay").len(), 2);
            }
        }
    }
}

#[tokio::test]
async fn a_run_that_is_kept_is_not_taken_up_by_an_agent_without_its_store() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    let kept = agent(script(), tools(&world), kept(store));
    let waiting = kept.begin_as("r", "go", CallCtx::new()).await.unwrap().pending.unwrap();
    let yes = [waiting.calls()[0].approve()];
    let without = agent(script(), tools(&world), AgentOptions::default());
    let error = without.resume(*waiting, &yes, CallCtx::new()).await.unwrap_err();
    assert!(error.to_string().contains("store"), "{error}");
    assert!(world.attempts("pay").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_a_store_lets_a_decision_be_used_once_whoever_asks() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ledgers: Vec<StoreLedger> = (0..4).map(|_| StoreLedger::new(store.clone())).collect();
    tokio::task::spawn_blocking(move || {
        let all: Vec<&dyn atomr_agents_agent::ApprovalLedger> = ledgers.iter().map(|ledger| ledger as _).collect();
        conformance::check_ledger(&all).unwrap();
    })
    .await
    .unwrap();
}
