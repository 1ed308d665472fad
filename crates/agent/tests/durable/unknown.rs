//! Calls that must not happen twice, of which nobody saw the end.

use std::sync::{Arc, Mutex};

use atomr_agents_agent::{AgentError, EffectClass, Found, resolve};
use atomr_agents_core::{CallCtx, ToolReturn};
use atomr_agents_state::{EffectKey, MemoryStore, RunLogError, RunReader, RunStatus, Store};
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{Reconciled, Tool, ToolError};
use serde_json::json;

use crate::support::{Dying, World, agent, kept};

fn script() -> ScriptedModel {
    ScriptedModel::new().tool_calls([("pay", json!({"n": 3}))]).text("Done.").by_conversation()
}

/// A run that died after its call had happened, before that was written.
async fn died(world: &World) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let dying = Dying::after(&store, 2, false);
    agent(script(), world.tools(), kept(dying)).begin_as("r", "go", CallCtx::new()).await.unwrap_err();
    assert_eq!(world.attempts("pay").len(), 1);
    store
}

async fn key_of(store: &Arc<MemoryStore>, world: &World) -> EffectKey {
    let error = agent(script(), world.tools(), kept(store.clone())).resume_run("r", &[], CallCtx::new()).await;
    match error.unwrap_err().error {
        AgentError::Log(RunLogError::OutcomeUnknown { key, .. }) => key,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_person_says_what_happened_and_the_run_goes_on_with_that() {
    for (found, told, attempts) in [
        (Found::Happened(json!("receipt 7")), "receipt 7", 1),
        (Found::Failed("no money".into()), "no money", 1),
        (Found::DidNotHappen, r#"{"did":"pay","with":{"n":3}}"#, 2),
    ] {
        let world = World::default();
        let store = died(&world).await;
        let key = key_of(&store, &world).await;
        assert_eq!(key.to_string(), "1:agent/1#0");
        let seam: Arc<dyn Store> = store.clone();
        resolve(&seam, "r", &key, found).await.unwrap();
        assert_eq!(RunReader::open(seam, "r").await.unwrap().record().status, RunStatus::Paused);
        let result = agent(script(), world.tools(), kept(store)).resume_run("r", &[], CallCtx::new()).await.unwrap();
        let answer = serde_json::to_string(&result.messages[2]).unwrap();
        assert!(answer.contains(&serde_json::to_string(told).unwrap()), "{answer}");
        assert_eq!(world.attempts("pay").len(), attempts);
        assert_eq!(world.effects("pay"), 1, "the second attempt has the key of the first");
    }
}

#[tokio::test]
async fn only_what_is_asked_can_be_answered_and_once() {
    let world = World::default();
    let store: Arc<dyn Store> = died(&world).await;
    let key: EffectKey = "1:agent/1#0".parse().unwrap();
    let other: EffectKey = "1:agent/1#7".parse().unwrap();
    let error = resolve(&store, "r", &other, Found::DidNotHappen).await.unwrap_err();
    assert!(error.to_string().contains("what is open is: 1:agent/1#0 (pay)"), "{error}");
    resolve(&store, "r", &key, Found::Happened(json!(1))).await.unwrap();
    let error = resolve(&store, "r", &key, Found::Happened(json!(2))).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "conflict");
    assert!(matches!(resolve(&store, "no", &key, Found::DidNotHappen).await, Err(RunLogError::NoSuchRun { .. })));
}

#[tokio::test]
async fn a_tool_that_can_find_out_is_asked_by_the_key_that_the_call_had() {
    for (says, attempts) in [
        (Ok(Reconciled::Happened(ToolReturn::text("receipt 7"))), 1),
        (Ok(Reconciled::DidNotHappen), 2),
        (Ok(Reconciled::Unknown), 1),
        (Err(ToolError::failed("the bank does not answer")), 1),
    ] {
        let world = World::default();
        let store = died(&world).await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&asked), says.clone());
        let pay = world.tool("pay", EffectClass::Once).with_reconcile(move |key, arguments| {
            seen.lock().unwrap().push((key.to_string(), arguments));
            std::future::ready(answer.clone())
        });
        let mut tools = world.tools();
        tools[2] = Arc::new(pay) as Arc<dyn Tool>;
        let result = agent(script(), tools, kept(store)).resume_run("r", &[], CallCtx::new()).await;
        assert_eq!(*asked.lock().unwrap(), [(world.attempts("pay")[0].clone(), json!({"n": 3}))]);
        assert_eq!((world.attempts("pay").len(), world.effects("pay")), (attempts, 1));
        match says {
            Ok(Reconciled::Happened(_) | Reconciled::DidNotHappen) => assert_eq!(result.unwrap().output, "Done."),
            _ => assert_eq!(result.unwrap_err().kind().as_str(), "outcome_unknown"),
        }
    }
}
