//! A model that counts the words of a conversation, a tool that waits, and sessions in several places.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_agent::{
    AgentBuilder, AgentOptions, BoxedAgent, Durable, EffectClass, Policy, SessionOptions, Sessions,
};
use atomr_agents_core::{Message, Role};
use atomr_agents_state::{Key, MemoryStore, Store};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use atomr_agents_strategy::StaticTools;
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{FnTool, Tool, ToolDescriptor};
use serde_json::json;
use tokio::sync::Semaphore;

/// A tool that tells that it runs and waits until it may end.
#[derive(Clone)]
pub(crate) struct Gate {
    runs: Arc<Semaphore>,
    may_end: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { runs: Arc::new(Semaphore::new(0)), may_end: Arc::new(Semaphore::new(0)) }
    }

    pub(crate) fn tool(&self) -> Arc<dyn Tool> {
        self.tool_with(EffectClass::Idempotent)
    }

    pub(crate) fn tool_with(&self, effect: EffectClass) -> Arc<dyn Tool> {
        let gate = self.clone();
        let wait = move |_, _| {
            let gate = gate.clone();
            async move {
                gate.runs.add_permits(1);
                gate.may_end.acquire().await.unwrap().forget();
                Ok(json!("waited"))
            }
        };
        let described = ToolDescriptor::new("wait", "Waits.", json!({"type": "object"})).with_effect(effect);
        Arc::new(FnTool::described(described, wait))
    }

    /// Waits until a call runs.
    pub(crate) async fn runs(&self) {
        within(self.runs.acquire()).await.unwrap().forget();
    }

    pub(crate) fn open(&self) {
        self.may_end.add_permits(1);
    }
}

/// No test hangs.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap()
}

pub(crate) fn agent(model: ScriptedModel, tools: Vec<Arc<dyn Tool>>, store: Option<&Arc<dyn Store>>) -> BoxedAgent {
    let durable = store.map(|store| Durable::new(Arc::clone(store)));
    let options = AgentOptions { durable, ..AgentOptions::default() };
    let tools = StaticTools::new(tools).unwrap();
    AgentBuilder::new(Arc::new(model), "m").with_tools(tools).with_options(options).build().unwrap().into()
}

pub(crate) fn options(policy: Policy) -> SessionOptions {
    SessionOptions { policy, poll: Duration::from_millis(5), ..SessionOptions::default() }
}

/// Where sessions are: nowhere but in memory, in a store in memory, or in a file.
pub(crate) struct Place {
    pub(crate) store: Option<Arc<dyn Store>>,
    _folder: Option<tempfile::TempDir>,
}

pub(crate) fn places() -> Vec<Place> {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteStore::open(folder.path().join("app.db"), SqliteOptions::default()).unwrap();
    vec![
        Place { store: None, _folder: None },
        Place { store: Some(Arc::new(MemoryStore::new())), _folder: None },
        Place { store: Some(Arc::new(file)), _folder: Some(folder) },
    ]
}

/// Waits until so many inputs have come into the inbox of the session "u1", and their senders know it.
pub(crate) async fn arrived(store: Option<&Arc<dyn Store>>, inputs: u64) {
    if let Some(store) = store {
        let inbox = Key::new("inbox", "u1").unwrap();
        while store.end(&inbox).await.unwrap() < inputs {
            tokio::task::yield_now().await;
        }
    }
    // Without one nothing crosses a thread.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// In each turn the model calls the tool that waits, and then says a word.
pub(crate) fn waiting() -> ScriptedModel {
    (0..8).fold(ScriptedModel::new(), |model, n| model.tool_calls([("wait", json!({}))]).text(format!("Answer {n}.")))
}

/// Answers at once.
pub(crate) fn talking() -> ScriptedModel {
    (0..50).fold(ScriptedModel::new(), |model, n| model.text(format!("Answer {n}.")))
}

pub(crate) fn sessions(agent: &BoxedAgent, options: SessionOptions) -> Sessions {
    Sessions::new(agent.clone(), options).unwrap()
}

/// What users and the model said, in their order.
pub(crate) fn texts(messages: &[Message]) -> Vec<String> {
    let spoken = messages.iter().filter(|message| message.role != Role::Tool);
    spoken.map(Message::text).filter(|text| !text.is_empty()).collect()
}
