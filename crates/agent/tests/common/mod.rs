//! What the tests of runs share.
#![allow(clippy::unwrap_used, dead_code)] // helpers of tests fail as tests do; no test uses all of them

use std::sync::{Arc, Mutex};

use atomr_agents_agent::{Agent, AgentBuilder, AgentOptions};
use atomr_agents_core::{CallCtx, EventKind, EventSink};
use atomr_agents_strategy::StaticTools;
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{FnTool, Tool, ToolOptions};
use serde_json::{Value, json};

/// An agent and the model it talks to.
pub(crate) fn agent(
    model: ScriptedModel,
    tools: Vec<Arc<dyn Tool>>,
    options: AgentOptions,
) -> (Agent, Arc<ScriptedModel>) {
    let model = Arc::new(model);
    let agent = AgentBuilder::new(model.clone(), "m")
        .with_tools(StaticTools::new(tools).unwrap())
        .with_options(options)
        .build()
        .unwrap();
    (agent, model)
}

pub(crate) fn named(name: &str) -> AgentOptions {
    AgentOptions { name: name.into(), ..AgentOptions::default() }
}

/// A tool that writes down what it was called with and says it back.
pub(crate) fn noting(name: &str, options: ToolOptions) -> (Arc<dyn Tool>, Arc<Mutex<Vec<Value>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let parameters = json!({"type": "object", "properties": {"usd": {"type": "integer"}}});
    let tool = FnTool::new(name, "", parameters, move |arguments, _| {
        noted.lock().unwrap().push(arguments.clone());
        async move { Ok(arguments) }
    });
    (Arc::new(tool.with_options(options)), seen)
}

/// Keeps the events.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<(String, EventKind)>>);

impl Kept {
    pub(crate) fn ctx() -> (CallCtx, Arc<Self>) {
        let kept = Arc::new(Self::default());
        (CallCtx::new().with_sink(kept.clone()), kept)
    }

    pub(crate) fn all(&self) -> Vec<(String, EventKind)> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn named(&self, name: &str) -> Vec<EventKind> {
        self.all().into_iter().map(|(_, kind)| kind).filter(|kind| kind.name() == name).collect()
    }
}

impl EventSink for Kept {
    fn emit(&self, ctx: &CallCtx, kind: EventKind) {
        self.0.lock().unwrap().push((ctx.path().to_owned(), kind));
    }

    fn listening(&self) -> bool {
        true
    }
}
