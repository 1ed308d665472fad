//! What a step answers: what it writes and where the run goes.

use std::sync::Arc;

use atomr_agents_core::Value;
use serde::{Deserialize, Serialize};

use crate::END;

/// What a step answers: values for channels, and, where it decides that itself, where the run goes.
///
/// ```
/// use atomr_agents_workflow::{Target, Update};
/// use serde_json::json;
///
/// let update = Update::new().write("notes", json!(["seen"])).goto("review").send("worker", json!({"page": 3}));
/// assert_eq!(update.writes.len(), 1);
/// assert_eq!(update.goto[1], Target::send("worker", json!({"page": 3})));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Channels and what is written to them, in this order.
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<(Arc<str>, Value)>,
    /// Where the run goes, besides along the edges of the step. The step must have declared it
    /// ([`crate::NodeOptions::goes`]).
    #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
    pub goto: Vec<Target>,
}

impl Update {
    /// Nothing is written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `value` to a channel.
    #[must_use]
    pub fn write(mut self, channel: impl Into<Arc<str>>, value: impl Into<Value>) -> Self {
        self.writes.push((channel.into(), value.into()));
        self
    }

    /// Goes to a step (or to [`END`], which goes nowhere).
    #[must_use]
    pub fn goto(mut self, node: impl Into<Arc<str>>) -> Self {
        self.goto.push(Target::to(node));
        self
    }

    /// Sends a step a value of its own to work on.
    #[must_use]
    pub fn send(mut self, node: impl Into<Arc<str>>, input: impl Into<Value>) -> Self {
        self.goto.push(Target::send(node, input));
        self
    }
}

/// A place to go to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The step.
    #[serde(rename = "n")]
    pub node: Arc<str>,
    /// What it works on instead of the whole state. A step runs once for each of these, and once if it is only gone to.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Arc<Value>>,
}

impl Target {
    /// The step, with the state.
    #[must_use]
    pub fn to(node: impl Into<Arc<str>>) -> Self {
        Self { node: node.into(), input: None }
    }

    /// The step, with a value of its own.
    #[must_use]
    pub fn send(node: impl Into<Arc<str>>, input: impl Into<Value>) -> Self {
        Self { node: node.into(), input: Some(Arc::new(input.into())) }
    }

    /// Nowhere: this branch of the run ends.
    #[must_use]
    pub fn end() -> Self {
        Self::to(END)
    }
}

impl From<&str> for Target {
    fn from(node: &str) -> Self {
        Self::to(node)
    }
}

/// One visit of `node` for each of `items`, in their order: what a router answers, or a step with
/// [`Update::goto`], to have them worked on at the same time. The node's own edges lead on once all are done.
///
/// ```
/// use atomr_agents_workflow::dispatch_fan_out;
/// use serde_json::json;
///
/// let visits = dispatch_fan_out("worker", [json!(1), json!(2)]);
/// assert_eq!(visits.len(), 2);
/// ```
#[must_use]
pub fn dispatch_fan_out(node: &str, items: impl IntoIterator<Item = Value>) -> Vec<Target> {
    let node: Arc<str> = Arc::from(node);
    items.into_iter().map(|item| Target::send(Arc::clone(&node), item)).collect()
}
