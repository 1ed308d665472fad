//! An agent as a tool of another one.

use std::sync::Arc;

use atomr_agents_core::{ToolReturn, ToolSpec, Value};
use atomr_agents_tool::{Invocation, Tool, ToolError, ToolFuture, ToolOptions};
use serde_json::json;

use crate::{BoxedAgent, RunInput};

/// An agent as a tool of another one: it gets a task in words, does it in a conversation of its own, and its answer is
/// the tool's result. It runs inside the run that calls it: on its budget, until its deadline, cancelled with it, and
/// with its events in the same stream.
#[derive(Clone, Debug)]
pub struct AgentTool {
    agent: BoxedAgent,
    spec: Arc<ToolSpec>,
    options: ToolOptions,
}

impl AgentTool {
    /// The agent under its own name; `description` tells the model what it is good for.
    pub fn new(agent: impl Into<BoxedAgent>, description: &str) -> Self {
        let agent = agent.into();
        let task = json!({"type": "string", "description": "What is to be done, with everything needed for it."});
        let parameters = json!({
            "type": "object", "properties": {"task": task}, "required": ["task"], "additionalProperties": false,
        });
        let (name, description) = (agent.name().to_owned(), description.to_owned());
        let spec = ToolSpec { name, description, parameters, strict: false };
        Self { agent, spec: Arc::new(spec), options: ToolOptions::default() }
    }

    /// The same tool under another name.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        Arc::make_mut(&mut self.spec).name = name.to_owned();
        self
    }

    /// The same tool, run another way.
    #[must_use]
    pub fn with_options(mut self, options: ToolOptions) -> Self {
        self.options = options;
        self
    }
}

impl BoxedAgent {
    /// The agent as a tool of another one.
    #[must_use]
    pub fn as_tool(&self, description: &str) -> AgentTool {
        AgentTool::new(self.clone(), description)
    }
}

impl Tool for AgentTool {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    fn invoke(&self, invocation: Invocation) -> ToolFuture<'_> {
        let task = invocation.arguments.get("task").and_then(Value::as_str).unwrap_or_default().to_owned();
        let run = self.agent.begin(RunInput::from(task), invocation.ctx);
        Box::pin(async move {
            let result = run.await.map_err(|error| {
                let message = format!("{} failed: {error}", self.agent.name());
                ToolError::Failed { message, source: Some(Arc::new(error)) }
            })?;
            if let Some(pending) = result.pending {
                let tools: Vec<&str> = pending.calls().iter().map(|call| call.name.as_str()).collect();
                let message = format!(
                    "{} asks for approval of {}, which can only be given to the agent that a person talks to: give it \
                     the tool, or hand the conversation over instead",
                    self.agent.name(),
                    tools.join(", ")
                );
                return Err(ToolError::failed(message));
            }
            Ok(match result.value {
                Some(value) => ToolReturn::json(value),
                None => ToolReturn::text(result.output),
            })
        })
    }
}
