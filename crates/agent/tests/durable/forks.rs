//! Runs of other versions, replays and forks.

use std::sync::Arc;

use atomr_agents_agent::{AgentBuilder, AgentError, AgentOptions, BoxedAgent, Durable, Edits, OnChange, fork_run};
use atomr_agents_core::{CallCtx, Message};
use atomr_agents_state::{ForkAt, ForkOptions, MemoryStore, RunLogError, RunReader, Store};
use atomr_agents_strategy::StaticTools;
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::Tool;
use serde_json::json;

use crate::support::{Dying, World, agent, kept, script};

fn told(text: &str, model: &str, tools: Vec<Arc<dyn Tool>>, options: AgentOptions) -> BoxedAgent {
    AgentBuilder::new(Arc::new(script()), model)
        .instructions(text)
        .with_tools(StaticTools::new(tools).unwrap())
        .with_options(options)
        .build()
        .unwrap()
        .into()
}

#[tokio::test]
async fn another_version_of_the_agent_is_refused_by_name_of_what_changed_unless_it_shall_go_on() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    let dying = Dying::after(&store, 1, false);
    told("Do it.", "m", world.tools(), kept(dying)).begin_as("r", "go", CallCtx::new()).await.unwrap_err();
    let mut fewer = world.tools();
    fewer.remove(0);
    for (agent, what) in [
        (told("Do it well.", "m", world.tools(), kept(store.clone())), "instructions is another one"),
        (told("Do it.", "m2", world.tools(), kept(store.clone())), "model was m, is m2"),
        (told("Do it.", "m", fewer, kept(store.clone())), "tool look is gone"),
        (told("Do it.", "m", world.tools(), AgentOptions { name: "b".into(), ..kept(store.clone()) }), "\"agent\""),
    ] {
        match agent.resume_run("r", &[], CallCtx::new()).await.unwrap_err().error {
            AgentError::Log(error @ RunLogError::Changed { .. }) => {
                assert!(error.to_string().contains(what), "{error}");
                assert_eq!(error.kind().as_str(), "incompatible");
            }
            other => panic!("{other:?}"),
        }
    }
    let durable = Durable { on_change: OnChange::Accept, ..Durable::new(store) };
    let accepts = AgentOptions { durable: Some(durable), ..AgentOptions::default() };
    let result = told("Do it well.", "m", world.tools(), accepts).resume_run("r", &[], CallCtx::new()).await.unwrap();
    assert_eq!(result.output, "Done.");
}

#[tokio::test]
async fn a_replay_calls_nothing_and_names_the_first_thing_that_is_another_one() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    let seam: Arc<dyn Store> = store.clone();
    let result = agent(script(), world.tools(), kept(store.clone())).begin_as("r", "go", CallCtx::new()).await.unwrap();
    let before = (world.attempts("look").len(), world.attempts("put").len(), world.attempts("pay").len());
    // A model that would fail if it were asked.
    let offline = |text: &str, tools| {
        AgentBuilder::new(Arc::new(ScriptedModel::new()), "m")
            .instructions(text)
            .with_tools(StaticTools::new(tools).unwrap())
            .build()
            .unwrap()
    };
    let replay = offline("Do it.", world.tools()).replay(&seam, "r", &CallCtx::new()).await.unwrap();
    assert_eq!((replay.divergence, replay.model_calls, replay.tool_calls), (None, 4, 6));
    assert_eq!(replay.messages, result.messages);
    assert_eq!(before, (world.attempts("look").len(), world.attempts("put").len(), world.attempts("pay").len()));

    let divergence =
        offline("Do it now.", world.tools()).replay(&seam, "r", &CallCtx::new()).await.unwrap().divergence.unwrap();
    assert_eq!((divergence.at.to_string().as_str(), divergence.what.as_str()), ("1:agent#1", "instructions"));
    let mut fewer = world.tools();
    fewer.pop();
    let divergence = offline("Do it.", fewer).replay(&seam, "r", &CallCtx::new()).await.unwrap().divergence.unwrap();
    assert_eq!((divergence.at.to_string().as_str(), divergence.what.as_str()), ("1:agent#1", "tools"));
    assert_eq!(RunReader::open(store, "r").await.unwrap().frames().await.unwrap().len(), 8, "nothing was written");
}

#[tokio::test]
async fn a_run_that_has_not_ended_is_replayed_as_far_as_it_went() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    let seam: Arc<dyn Store> = store.clone();
    agent(script(), world.tools(), kept(Dying::after(&store, 4, false)))
        .begin_as("r", "go", CallCtx::new())
        .await
        .unwrap_err();
    let replay = agent(ScriptedModel::new(), world.tools(), AgentOptions::default())
        .replay(&seam, "r", &CallCtx::new())
        .await
        .unwrap();
    assert_eq!((replay.divergence, replay.model_calls, replay.tool_calls), (None, 2, 5));
}

#[tokio::test]
async fn a_fork_shares_what_was_done_and_goes_on_with_something_else_said() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    let seam: Arc<dyn Store> = store.clone();
    let result = agent(script(), world.tools(), kept(store.clone())).begin_as("r", "go", CallCtx::new()).await.unwrap();
    let events = RunReader::open(store.clone(), "r").await.unwrap().events(0, 1_000).await.unwrap();
    // After the first call and its result.
    let at = events.iter().find(|event| event.kind.name() == "tool_invoked").unwrap().seq;
    let options = ForkOptions { name: "r2".into(), ..ForkOptions::default() };
    let mut messages = result.messages[..3].to_vec();
    messages.push(Message::user("And pay nothing."));
    let edits = Edits { messages: Some(messages.clone()), instructions: Some("Do little.".into()) };
    assert_eq!(fork_run(&seam, "r", ForkAt::Seq(at), &options, &edits).await.unwrap(), "r2");

    let model = Arc::new(ScriptedModel::new().text("Nothing is paid."));
    let forked = AgentBuilder::new(model.clone(), "m")
        .instructions("Do it.")
        .with_tools(StaticTools::new(world.tools()).unwrap())
        .with_options(kept(store.clone()))
        .build()
        .unwrap();
    let before = world.attempts("look").len();
    let other = forked.resume_run("r2", &[], CallCtx::new()).await.unwrap();
    assert_eq!(
        (other.output.as_str(), other.iterations, world.attempts("look").len()),
        ("Nothing is paid.", 2, before)
    );
    assert_eq!(other.messages[..4], messages);
    let asked = &model.requests()[0].messages;
    assert_eq!((asked[0].text().as_str(), &asked[1..]), ("Do little.", &messages[..]));
    let replay = forked.replay(&seam, "r2", &CallCtx::new()).await.unwrap();
    assert_eq!((replay.divergence, replay.model_calls), (None, 2));
    // The run that it came from is what it was.
    assert_eq!(
        agent(script(), world.tools(), kept(store)).replay(&seam, "r", &CallCtx::new()).await.unwrap().messages,
        result.messages
    );
    let error = fork_run(&seam, "r", ForkAt::Seq(9_999), &ForkOptions::default(), &edits).await.unwrap_err();
    assert!(error.to_string().contains("the last one is"), "{error}");
}

#[tokio::test]
async fn a_fork_of_a_run_that_ended_asks_the_model_again_with_what_was_added() {
    let (store, world) = (Arc::new(MemoryStore::new()), World::default());
    let seam: Arc<dyn Store> = store.clone();
    let model = ScriptedModel::new().text("One.").text("Two.").by_conversation();
    let agent = agent(model, world.tools(), kept(store));
    let mut messages = agent.begin_as("r", "go", CallCtx::new()).await.unwrap().messages;
    messages.push(Message::user("And then?"));
    let edits = Edits { messages: Some(messages), ..Edits::default() };
    let name = fork_run(&seam, "r", ForkAt::End, &ForkOptions::default(), &edits).await.unwrap();
    let result = agent.resume_run(&name, &[], CallCtx::new()).await.unwrap();
    assert_eq!((result.output.as_str(), result.messages.len()), ("Two.", 4));
    assert_eq!(json!(result.kept), json!(name));
}
