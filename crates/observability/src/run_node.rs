//! What one agent, model call or tool call did, and what happened below it.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{Kind, Money, RunId, Usage};
use serde::{Deserialize, Serialize};

use crate::text::{count, duration, escape, shortened};

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeKind {
    /// A run of an agent, or of an agent inside another's run.
    Agent,
    /// A call of a model, with its retries.
    Model,
    /// A call of a tool.
    Tool,
    /// A run of a harness.
    Harness,
    /// A step of a graph.
    Step,
}

impl NodeKind {
    /// The name users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Harness => "harness",
            Self::Step => "step",
        }
    }
}

/// How far a node has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeStatus {
    /// It has begun.
    Running,
    /// It ended well.
    Ok,
    /// It ended in an error.
    Failed,
    /// It waits for somebody's word.
    Waiting,
    /// It is over, but its end was not seen: it was dropped, or the tree was too slow to be told.
    Unknown,
}

impl NodeStatus {
    /// The name users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
        }
    }
}

/// One agent, model call or tool call, as it was when it was asked for. Printed, it is a tree of lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunNode {
    /// The run it belongs to.
    #[serde(rename = "run_id")]
    pub run: RunId,
    /// The run that started this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// Where in the run it happened, e.g. `planner/researcher`; empty at the root.
    pub path: String,
    /// What it stands for.
    pub kind: NodeKind,
    /// The name of the agent, the tool, the harness or the step, or the model.
    pub name: String,
    /// How far it has come.
    pub status: NodeStatus,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// How long it took, in milliseconds of wall time; `None` until it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// Tokens: of a model call its own, of an agent those of its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What they cost, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Kind>,
    /// In words; of a model call that was tried again, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often a model call was made again, fallbacks to another model included.
    #[serde(default)]
    pub retries: u32,
    /// Whether a model call was answered from a cache.
    #[serde(default)]
    pub cached: bool,
    /// Why the model stopped, in the provider's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// The provider's id for a tool call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// What a tool was given, cut to the tree's limit and with what looks like a secret masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// What the model saw of a tool's result, cut and masked likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// How many events told about this node itself, deltas included.
    pub events: u64,
    /// How many events the tree missed here because it was too slow; what is below may then be incomplete.
    #[serde(default)]
    pub missed: u64,
    /// How many nodes right below were not kept because of the tree's limits.
    #[serde(default)]
    pub omitted: u64,
    /// What happened in it, in the order of the beginnings.
    pub children: Vec<Arc<RunNode>>,
}

impl RunNode {
    /// The node and all below it, each before its children.
    pub fn walk(&self) -> impl Iterator<Item = &RunNode> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(node.children.iter().rev().map(|child| &**child));
            Some(node)
        })
    }

    /// The nodes of one kind, here and below.
    pub fn of_kind(&self, kind: NodeKind) -> impl Iterator<Item = &RunNode> {
        self.walk().filter(move |node| node.kind == kind)
    }

    /// What failed, here and below.
    pub fn failures(&self) -> impl Iterator<Item = &RunNode> {
        self.walk().filter(|node| node.status == NodeStatus::Failed)
    }

    /// The tokens of all model calls, here and below.
    #[must_use]
    pub fn total_usage(&self) -> Usage {
        let mut total = Usage::default();
        for usage in self.of_kind(NodeKind::Model).filter_map(|node| node.usage.as_ref()) {
            total += usage;
        }
        total
    }

    fn line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = String::new();
        escape(&shortened(&self.name, 80), &mut name);
        write!(f, "{} {name} {}", self.kind.as_str(), self.status.as_str())?;
        if let Some(elapsed) = self.elapsed_ms {
            write!(f, " in {}", duration(elapsed))?;
        }
        if let Some(usage) = &self.usage {
            write!(f, ", {} + {} tokens", usage.input_tokens, usage.output_tokens)?;
        }
        if let Some(cost) = self.cost {
            write!(f, ", {cost}")?;
        }
        if self.retries > 0 {
            write!(f, ", tried {}", count(u64::from(self.retries) + 1, "time"))?;
        }
        if self.cached {
            f.write_str(", from a cache")?;
        }
        if let Some(error) = self.error {
            write!(f, ", {error}")?;
        }
        if let Some(message) = &self.message {
            let mut told = String::new();
            escape(&shortened(message, 120), &mut told);
            write!(f, ": {told}")?;
        }
        if self.missed + self.omitted > 0 {
            write!(
                f,
                " (incomplete: {} missed, {} left out)",
                count(self.missed, "event"),
                count(self.omitted, "node")
            )?;
        }
        f.write_str("\n")
    }

    fn lines(&self, indent: &mut String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line(f)?;
        for (at, child) in self.children.iter().enumerate() {
            let last = at + 1 == self.children.len();
            write!(f, "{indent}{}", if last { "└─ " } else { "├─ " })?;
            let length = indent.len();
            indent.push_str(if last { "   " } else { "│  " });
            child.lines(indent, f)?;
            indent.truncate(length);
        }
        Ok(())
    }
}

impl fmt::Display for RunNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(&mut String::new(), f)
    }
}
