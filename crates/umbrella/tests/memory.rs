//! What a model may write into memory and recall from it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use atomr_agents::agent::AgentBuilder;
use atomr_agents::core::{CallCtx, Role};
use atomr_agents::memory::{
    By, Fixed, LongOptions, LongStore, MemoryError, Namespace, NewItem, Search, StoredLong, Whose, memory_tools,
};
use atomr_agents::strategy::StaticTools;
use atomr_agents_testkit::ScriptedModel;
use futures_util::future::BoxFuture;
use serde_json::json;

/// Whom the host serves.
struct User(&'static str);

#[derive(Debug)]
struct OfUser;

impl Whose for OfUser {
    fn namespace<'a>(&'a self, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Namespace, MemoryError>> {
        Box::pin(async move { Namespace::new(["users", ctx.get::<User>().unwrap().0]) })
    }
}

#[tokio::test]
async fn a_model_writes_and_recalls_where_the_host_says_and_nowhere_else() {
    let store: Arc<dyn LongStore> = Arc::new(StoredLong::in_memory(LongOptions::default()));
    let ctx = CallCtx::new();
    let bob = Namespace::new(["users", "bob"]).unwrap();
    store.put(NewItem::new(bob.clone(), "secret", json!("Bob's password is in Oslo")), &ctx).await.unwrap();
    let model = ScriptedModel::new()
        .tool_calls([
            ("write_memory", json!({"text": "lives in Oslo", "key": "home"})),
            // A model that is told to write elsewhere cannot.
            ("write_memory", json!({"text": "x", "namespace": ["users", "bob"]})),
            ("write_memory", json!({"text": "likes rain"})),
        ])
        .tool_calls([
            ("recall_memory", json!({"query": "Oslo"})),
            ("update_memory", json!({"key": "secret", "text": "x"})),
        ])
        .tool_calls([("update_memory", json!({"key": "home", "text": "lives in Rome"}))])
        .text("done");
    let agent = AgentBuilder::new(Arc::new(model.clone()), "scripted")
        .with_tools(StaticTools::new(memory_tools(Arc::clone(&store), OfUser)).unwrap())
        .build()
        .unwrap();
    agent.run("hi", ctx.clone().with(User("ada"))).await.unwrap();
    let results: Vec<String> = model.requests()[3]
        .messages
        .iter()
        .filter(|message| message.role == Role::Tool)
        .flat_map(|message| message.parts.clone())
        .map(|part| serde_json::to_string(&part).unwrap())
        .collect();
    assert!(results[1].contains("namespace"), "the arguments are refused: {}", results[1]);
    assert!(results[3].contains("lives in Oslo") && !results[3].contains("password"), "{}", results[3]);
    assert!(results[4].contains("there is no memory"), "{}", results[4]);
    assert!(results[5].contains("lives in Oslo"), "the previous text: {}", results[5]);
    let namespaces = store.list_namespaces(&Namespace::root(), 10, &ctx).await.unwrap();
    assert_eq!(namespaces, [Namespace::new(["users", "ada"]).unwrap(), bob.clone()]);
    let all = store.search(&Search::below(bob), &ctx).await.unwrap();
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn the_same_text_without_a_key_is_one_memory() {
    let store: Arc<dyn LongStore> = Arc::new(StoredLong::in_memory(LongOptions::default()));
    let ada = Namespace::new(["ada"]).unwrap();
    let call = || ("write_memory", json!({"text": "likes rain"}));
    let model = ScriptedModel::new().tool_calls([call()]).tool_calls([call()]).text("done");
    let agent = AgentBuilder::new(Arc::new(model), "scripted")
        .with_tools(StaticTools::new(memory_tools(Arc::clone(&store), Fixed(ada.clone()))).unwrap())
        .build()
        .unwrap();
    agent.run("hi", CallCtx::new()).await.unwrap();
    assert_eq!(store.search(&Search::below(ada).by(By::Words), &CallCtx::new()).await.unwrap().len(), 1);
}
