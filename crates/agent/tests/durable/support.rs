//! A world that remembers what was done to it, and a store that can die.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use atomr_agents_agent::{AgentBuilder, AgentOptions, BoxedAgent, Durable, EffectClass};
use atomr_agents_core::Value;
use atomr_agents_state::{Around, Batch, MemoryStore, Store, StoreError};
use atomr_agents_strategy::StaticTools;
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{FnTool, IdempotencyKey, Tool, ToolDescriptor};
use serde_json::json;

/// What tools do: how often each was called, and by which keys.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl World {
    pub(crate) fn attempts(&self, tool: &str) -> Vec<String> {
        self.0.lock().unwrap().get(tool).cloned().unwrap_or_default()
    }

    /// As a service that knows its keys counts.
    pub(crate) fn effects(&self, tool: &str) -> usize {
        let mut keys = self.attempts(tool);
        keys.sort();
        keys.dedup();
        keys.len()
    }

    fn note(&self, tool: &str, key: &str) {
        self.0.lock().unwrap().entry(tool.to_owned()).or_default().push(key.to_owned());
    }

    /// A tool that says back what it was given.
    pub(crate) fn tool(&self, name: &str, effect: EffectClass) -> FnTool {
        let (world, own) = (self.clone(), name.to_owned());
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        FnTool::described(ToolDescriptor::new(name, "", schema).with_effect(effect), move |arguments, ctx| {
            world.note(&own, IdempotencyKey::of(&ctx).as_deref().unwrap_or_default());
            let own = own.clone();
            async move {
                tokio::task::yield_now().await;
                Ok(json!({"did": own, "with": arguments}))
            }
        })
    }

    /// `look` only looks, `put` can be done twice, `pay` must not.
    pub(crate) fn tools(&self) -> Vec<Arc<dyn Tool>> {
        vec![
            Arc::new(self.tool("look", EffectClass::None)),
            Arc::new(self.tool("put", EffectClass::Idempotent)),
            Arc::new(self.tool("pay", EffectClass::Once)),
        ]
    }
}

/// A store whose process dies after so many commits.
#[derive(Debug)]
pub(crate) struct Dying {
    pub(crate) inner: Arc<MemoryStore>,
    left: AtomicI64,
    /// The last commit happens, and nobody hears of it.
    unheard: bool,
    /// It has no room left instead.
    full: bool,
}

impl Dying {
    pub(crate) fn after(inner: &Arc<MemoryStore>, commits: i64, unheard: bool) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(inner), left: AtomicI64::new(commits), unheard, full: false })
    }

    /// A store with room for so many commits.
    pub(crate) fn full(inner: &Arc<MemoryStore>, commits: i64) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(inner), left: AtomicI64::new(commits), unheard: false, full: true })
    }

    pub(crate) fn left(&self) -> i64 {
        self.left.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Around for Dying {
    fn within(&self) -> &dyn Store {
        &*self.inner
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let gone = match self.full {
            true => StoreError::Full { store: "small".into(), message: "no room".into() },
            false => StoreError::Unavailable { store: "dying".into(), message: "its process is dead".into() },
        };
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if left > 0 {
            return self.inner.commit(batch).await;
        }
        if left == 0 && self.unheard {
            self.inner.commit(batch).await?;
        }
        Err(gone)
    }
}

pub(crate) fn kept(store: Arc<dyn Store>) -> AgentOptions {
    AgentOptions { durable: Some(Durable::new(store)), ..AgentOptions::default() }
}

pub(crate) fn agent(model: ScriptedModel, tools: Vec<Arc<dyn Tool>>, options: AgentOptions) -> BoxedAgent {
    AgentBuilder::new(Arc::new(model), "m")
        .instructions("Do it.")
        .with_tools(StaticTools::new(tools).unwrap())
        .with_options(options)
        .build()
        .unwrap()
        .into()
}

/// Two answers with calls, the second with parallel ones of every kind, and a last word.
pub(crate) fn script() -> ScriptedModel {
    let n = |n: u32| -> Value { json!({ "n": n }) };
    ScriptedModel::new()
        .tool_calls([("look", n(1))])
        .tool_calls([("put", n(2)), ("pay", n(3)), ("look", n(4)), ("put", n(5))])
        .tool_calls([("pay", n(6))])
        .text("Done.")
        .by_conversation()
}
