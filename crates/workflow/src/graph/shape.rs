//! What a graph looks like, as data: for its version, for comparing two of them, and for drawing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a graph looks like: its steps, its edges and the channels of its state. Two graphs of one shape can go on with each
/// other's runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphShape {
    /// The graph's name.
    pub name: String,
    /// The steps, in the order in which they were added.
    pub nodes: Vec<NodeShape>,
    /// The edges, in the order in which they were added.
    pub edges: Vec<EdgeShape>,
    /// The channels, with the name of the reducer of each.
    #[serde(default)]
    pub channels: BTreeMap<String, String>,
}

/// A step in the shape of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeShape {
    /// Its name.
    pub name: String,
    /// What kind of step it is: `node`, `subgraph`, `invoke`, `branch`, `parallel`, `loop`, `map`, `human`.
    pub kind: String,
    /// What its author calls this version of it; empty if nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// An edge in the shape of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeShape {
    /// Where it begins: `__start__` or a step.
    pub from: String,
    /// Where it ends: `__end__`, a step, or `*` for anywhere.
    pub to: String,
    /// When it is taken.
    pub kind: EdgeKind,
    /// What stands beside it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
}

/// When an edge is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// Always.
    #[default]
    Always,
    /// When a condition, or the step itself, says so.
    Sometimes,
    /// When all that lead to the same step have been taken.
    Together,
    /// When the first of those that lead to the same step is taken.
    First,
}

impl GraphShape {
    /// A hash of the shape, in hex: the same for the same steps, edges and channels in whatever order they were added, in
    /// every process.
    #[must_use]
    pub fn version(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut feed = |parts: &[&str]| {
            for part in parts {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
            }
        };
        feed(&["graph 1", &self.name]);
        for node in self.nodes.iter().collect::<BTreeSet<_>>() {
            feed(&["node", &node.name, &node.kind, &node.version]);
        }
        for edge in self.edges.iter().collect::<BTreeSet<_>>() {
            feed(&["edge", &edge.from, &edge.to, &format!("{:?}", edge.kind), &edge.label]);
        }
        for (channel, reducer) in &self.channels {
            feed(&["channel", channel, reducer]);
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// What is different in `newer`.
    ///
    /// ```
    /// use atomr_agents_workflow::{GraphShape, NodeShape};
    ///
    /// let one = GraphShape { nodes: vec![NodeShape { name: "a".into(), ..Default::default() }], ..Default::default() };
    /// let mut two = one.clone();
    /// two.nodes[0].version = "2".into();
    /// two.nodes.push(NodeShape { name: "b".into(), ..Default::default() });
    /// assert_eq!(one.difference(&two).to_string(), "added: step b; changed: step a");
    /// ```
    #[must_use]
    pub fn difference(&self, newer: &Self) -> GraphDifference {
        let (old, new) = (self.facts(), newer.facts());
        let mut difference = GraphDifference::default();
        for (name, fact) in &new {
            match old.get(name) {
                None => difference.added.push(name.clone()),
                Some(before) if before != fact => difference.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        difference.removed.extend(old.into_keys().filter(|name| !new.contains_key(name)));
        difference
    }

    /// Everything the shape says, each under a name that people understand.
    fn facts(&self) -> BTreeMap<String, String> {
        let nodes =
            self.nodes.iter().map(|node| (format!("step {}", node.name), format!("{} {}", node.kind, node.version)));
        let edges = self
            .edges
            .iter()
            .map(|edge| (format!("edge {} -> {}", edge.from, edge.to), format!("{:?} {}", edge.kind, edge.label)));
        let channels = self.channels.iter().map(|(name, reducer)| (format!("channel {name}"), reducer.clone()));
        let mut facts = BTreeMap::<String, String>::new();
        // Several edges may lead from one step to another; together they are one fact.
        for (name, fact) in nodes.chain(edges).chain(channels) {
            let all = facts.entry(name).or_default();
            all.push_str(&fact);
            all.push('\n');
        }
        facts
    }
}

/// What is different between two graphs, in words such as `step plan`, `edge plan -> act`, `channel notes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphDifference {
    /// What only the newer one has.
    pub added: Vec<String>,
    /// What only the older one has.
    pub removed: Vec<String>,
    /// What both have, but not alike.
    pub changed: Vec<String>,
}

impl GraphDifference {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl fmt::Display for GraphDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("added", &self.added), ("removed", &self.removed), ("changed", &self.changed)];
        let mut said = false;
        for (word, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{}{word}: {}", if said { "; " } else { "" }, names.join(", "))?;
            said = true;
        }
        if said { Ok(()) } else { f.write_str("nothing that shows: not its steps, edges or channels") }
    }
}
