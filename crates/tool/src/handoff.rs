//! A tool that hands the conversation to another agent.

use std::sync::Arc;

use atomr_agents_core::{ToolControl, ToolReturn, ToolSpec};
use serde_json::json;

use crate::{Invocation, Tool, ToolFuture};

/// A tool whose call hands the conversation to another agent. Only the agent's name is known here; the loop finds the
/// agent, which reads the whole conversation and goes on with it.
///
/// ```
/// use atomr_agents_tool::{HandoffTool, Tool};
///
/// let tool = HandoffTool::new("Billing", "Invoices and refunds.");
/// assert_eq!(tool.spec().name, "transfer_to_billing");
/// ```
#[derive(Clone, Debug)]
pub struct HandoffTool {
    target: Arc<str>,
    spec: Arc<ToolSpec>,
}

impl HandoffTool {
    /// A tool `transfer_to_<target>`; `description` says what that agent is for, or is empty.
    #[must_use]
    pub fn new(target: &str, description: &str) -> Self {
        let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
        let mut name: String = format!("transfer_to_{}", target.chars().map(letter).collect::<String>());
        name.truncate(64);
        let description = format!("Hands the conversation over to {target}. {description}").trim_end().to_owned();
        let note = json!({"type": "string", "description": "What they must know besides the conversation."});
        let parameters = json!({"type": "object", "properties": {"note": note}, "additionalProperties": false});
        let spec = ToolSpec { name, description, parameters, strict: false };
        Self { target: target.into(), spec: Arc::new(spec) }
    }

    /// The name of the agent.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl Tool for HandoffTool {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn invoke(&self, invocation: Invocation) -> ToolFuture<'_> {
        let payload = invocation.arguments.get("note").cloned().unwrap_or_default();
        let control = ToolControl::Handoff { target: self.target.to_string(), payload };
        Box::pin(async move { Ok(ToolReturn::Command(control)) })
    }
}
