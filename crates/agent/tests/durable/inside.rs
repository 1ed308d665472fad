//! Agents inside of a run that is kept, and conversations that are handed on, are recorded in its log.

use std::sync::Arc;

use atomr_agents_agent::{AgentBuilder, AgentOptions, BoxedAgent, EffectClass, Handoff};
use atomr_agents_core::CallCtx;
use atomr_agents_state::{Item, MemoryStore, RunLogError, RunReader, RunStatus};
use atomr_agents_strategy::StaticTools;
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::Tool;
use serde_json::json;

use crate::support::{Dying, World, agent, kept};

fn named(name: &str) -> AgentOptions {
    AgentOptions { name: name.into(), ..AgentOptions::default() }
}

/// An agent whose tool is an agent that puts twice and, if it shall, pays.
fn outer(world: &World, options: AgentOptions, pays: bool) -> BoxedAgent {
    let last = if pays { "pay" } else { "put" };
    let model = ScriptedModel::new()
        .tool_calls([("put", json!({"n": 1})), ("put", json!({"n": 2}))])
        .tool_calls([(last, json!({"n": 3}))])
        .text("It is done.")
        .by_conversation();
    let expert = agent(model, world.tools(), named("expert"));
    let model = ScriptedModel::new()
        .tool_calls([("expert", json!({"task": "Do it."})), ("look", json!({"n": 4}))])
        .text("Done.")
        .by_conversation();
    let tools: Vec<Arc<dyn Tool>> =
        vec![Arc::new(expert.as_tool("Does it.")), Arc::new(world.tool("look", EffectClass::None))];
    agent(model, tools, options)
}

#[tokio::test]
async fn an_agent_in_a_tool_is_killed_anywhere_and_goes_on_in_its_middle() {
    let world = World::default();
    let whole = outer(&world, kept(Arc::new(MemoryStore::new())), false);
    let whole = whole.begin_as("r", "go", CallCtx::new()).await.unwrap();
    let mut boundaries = 0;
    for commits in 1.. {
        let (store, world) = (Arc::new(MemoryStore::new()), World::default());
        let dying = Dying::after(&store, commits, false);
        if outer(&world, kept(dying), false).begin_as("r", "go", CallCtx::new()).await.is_ok() {
            break;
        }
        boundaries += 1;
        let before = world.attempts("put").len();
        let result = outer(&world, kept(store.clone()), false).resume_run("r", &[], CallCtx::new()).await.unwrap();
        assert_eq!(result.messages, whole.messages, "after {commits} commits");
        assert_eq!(world.effects("put"), 3);
        // What was recorded below is not done again: at most the calls of one answer are.
        assert!(world.attempts("put").len() <= 3 + before.min(2), "{:?}", world.attempts("put"));
    }
    assert!(boundaries >= 6, "{boundaries}");
}

#[tokio::test]
async fn what_nobody_knows_below_stops_the_whole_run_and_names_the_call() {
    let mut unknown = 0;
    for commits in 1.. {
        let (store, world) = (Arc::new(MemoryStore::new()), World::default());
        let dying = Dying::after(&store, commits, false);
        if outer(&world, kept(dying), true).begin_as("r", "go", CallCtx::new()).await.is_ok() {
            break;
        }
        let ended = outer(&world, kept(store.clone()), true).resume_run("r", &[], CallCtx::new()).await;
        if let Err(error) = ended {
            unknown += 1;
            let atomr_agents_agent::AgentError::Log(RunLogError::OutcomeUnknown { key, subject, .. }) = &error.error
            else {
                panic!("{error:?}")
            };
            assert_eq!((key.to_string().as_str(), subject.as_str()), ("1:agent/1.0/expert/2#0", "pay"));
            let status = RunReader::open(store, "r").await.unwrap().record().status;
            assert_eq!(status, RunStatus::OutcomeUnknown);
        }
        assert_eq!(world.attempts("pay").len(), 1);
    }
    assert!(unknown >= 1);
}

#[tokio::test]
async fn a_conversation_that_is_handed_on_goes_on_with_whoever_had_it() {
    let triage = |world: &World, store: Arc<dyn atomr_agents_state::Store>| {
        let model = ScriptedModel::new()
            .tool_calls([("put", json!({"n": 0}))]) // never asked: it gets the conversation after one answer
            .tool_calls([("put", json!({"n": 1}))])
            .text("Paid.")
            .by_conversation();
        let billing = agent(model, world.tools(), named("billing"));
        let handoffs = vec![Handoff::to(billing, "Invoices.")];
        let options = AgentOptions { handoffs, ..kept(store) };
        let model = ScriptedModel::new().tool_calls([("transfer_to_billing", json!({}))]).by_conversation();
        agent(model, vec![], AgentOptions { name: "triage".into(), ..options })
    };
    let world = World::default();
    let whole = triage(&world, Arc::new(MemoryStore::new())).begin_as("r", "go", CallCtx::new()).await.unwrap();
    assert_eq!((whole.agent.as_str(), whole.output.as_str()), ("billing", "Paid."));
    for commits in 1.. {
        let (store, world) = (Arc::new(MemoryStore::new()), World::default());
        let dying = Dying::after(&store, commits, false);
        if triage(&world, dying).begin_as("r", "go", CallCtx::new()).await.is_ok() {
            break;
        }
        let result = triage(&world, store).resume_run("r", &[], CallCtx::new()).await.unwrap();
        assert_eq!((result.agent.as_str(), result.messages), ("billing", whole.messages.clone()));
        assert_eq!(world.effects("put"), 1);
    }
}

#[tokio::test]
async fn one_log_tells_the_events_of_all_agents_of_a_run() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    outer(&world, kept(store.clone()), false).begin_as("r", "go", CallCtx::new()).await.unwrap();
    let reader = RunReader::open(store, "r").await.unwrap();
    let events = reader.events(0, 1_000).await.unwrap();
    assert!(events.iter().any(|event| &*event.path == "expert" && event.kind.name() == "tool_invoked"));
    assert!(events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
    let half = reader.events(events[5].seq, 1_000).await.unwrap();
    assert_eq!(half, events[5..], "read again from any number on");
    let frames = reader.frames().await.unwrap();
    let begun = frames.iter().flat_map(|placed| &placed.frame.items).filter(|item| matches!(item, Item::Begin(_)));
    assert_eq!(begun.count(), 1, "one run, not two");
}

#[tokio::test]
async fn an_agent_with_a_store_of_its_own_is_recorded_where_it_runs() {
    let (store, own, world) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()), World::default());
    let model = ScriptedModel::new().text("It is done.").by_conversation();
    let expert = AgentBuilder::new(Arc::new(model), "m")
        .with_tools(StaticTools::default())
        .with_options(AgentOptions { name: "expert".into(), ..kept(own.clone()) })
        .build()
        .unwrap();
    let model = ScriptedModel::new().tool_calls([("expert", json!({"task": "x"}))]).text("Done.").by_conversation();
    let tools: Vec<Arc<dyn Tool>> = vec![Arc::new(expert.as_tool(""))];
    agent(model, tools, kept(store)).begin_as("r", "go", CallCtx::new()).await.unwrap();
    let all = atomr_agents_state::Store::scan(&*own, &atomr_agents_state::Scan::of("run")).await.unwrap();
    assert!(all.is_empty() && world.attempts("look").is_empty());
}
