//! Who may take a conversation over.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use atomr_agents_tool::{HandoffTool, Tool};

use crate::engine::Engine;
use crate::{AgentError, BoxedAgent};

/// Somebody who may take a conversation over: an agent, or the name of one that the run knows already, so that two
/// agents can hand to each other.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_agent::{AgentBuilder, AgentOptions, Handoff};
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_testkit::ScriptedModel;
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let named = |name: &str| AgentOptions { name: name.into(), ..AgentOptions::default() };
/// let model = Arc::new(ScriptedModel::new().text("You owe nothing."));
/// let billing = AgentBuilder::new(model, "scripted").with_options(named("billing")).build().unwrap();
/// let model = Arc::new(ScriptedModel::new().tool_calls([("transfer_to_billing", json!({}))]));
/// let options = AgentOptions { handoffs: vec![Handoff::to(billing, "Invoices.")], ..named("triage") };
/// let triage = AgentBuilder::new(model, "scripted").with_options(options).build().unwrap();
/// let result = triage.run("What do I owe?", CallCtx::new()).await.unwrap();
/// assert_eq!((result.output.as_str(), result.agent.as_str()), ("You owe nothing.", "billing"));
/// # }
/// ```
#[derive(Clone)]
pub struct Handoff {
    tool: Arc<HandoffTool>,
    agent: Option<BoxedAgent>,
}

impl Handoff {
    /// To this agent; `description` tells the model what it is for.
    pub fn to(agent: impl Into<BoxedAgent>, description: &str) -> Self {
        let agent = agent.into();
        Self { tool: Arc::new(HandoffTool::new(agent.name(), description)), agent: Some(agent) }
    }

    /// To the agent of this name, which must be the one that began the run or be reachable from it by handoffs.
    #[must_use]
    pub fn to_name(name: &str, description: &str) -> Self {
        Self { tool: Arc::new(HandoffTool::new(name, description)), agent: None }
    }

    /// The name of the agent.
    #[must_use]
    pub fn target(&self) -> &str {
        self.tool.target()
    }

    pub(crate) fn tool(&self) -> Arc<dyn Tool> {
        self.tool.clone()
    }
}

impl fmt::Debug for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handoff({})", self.target())
    }
}

/// The agent of that name, seen from `here` in a run that `start` began: the nearest first.
pub(crate) fn find(start: &Arc<Engine>, here: &Arc<Engine>, name: &str) -> Option<Arc<Engine>> {
    reached(here, name).or_else(|| reached(start, name))
}

/// Whether every agent that can be reached has a name of its own: a handoff goes by name.
pub(crate) fn check(start: &Arc<Engine>) -> Result<(), AgentError> {
    let mut names: HashMap<String, Arc<Engine>> = HashMap::new();
    for engine in reachable(start) {
        let name = engine.options.name.clone();
        if names.insert(name.clone(), engine).is_some() {
            let message =
                format!("two of the agents that a run can be handed to are named {name:?}; give one another name");
            return Err(AgentError::Config { setting: "handoffs", message });
        }
    }
    Ok(())
}

fn reached(from: &Arc<Engine>, name: &str) -> Option<Arc<Engine>> {
    reachable(from).find(|engine| engine.options.name == name)
}

/// This agent and all that it can hand to, directly or not, the nearest first, each once.
fn reachable(from: &Arc<Engine>) -> impl Iterator<Item = Arc<Engine>> {
    let mut seen: HashSet<*const Engine> = HashSet::new();
    let mut open = VecDeque::from([Arc::clone(from)]);
    std::iter::from_fn(move || {
        loop {
            let engine = open.pop_front()?;
            if !seen.insert(Arc::as_ptr(&engine)) {
                continue;
            }
            let agents = engine.options.handoffs.iter().filter_map(|each| each.agent.as_ref());
            open.extend(agents.map(|agent| Arc::clone(&agent.engine)));
            return Some(engine);
        }
    })
}
