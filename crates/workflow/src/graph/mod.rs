//! A graph of steps over the channels of a state.

mod builder;
mod check;
mod fault;
mod shape;
pub(crate) mod wiring;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use atomr_agents_state::StateSchema;

pub use builder::GraphBuilder;
pub use fault::{GraphError, GraphFault};
pub use shape::{EdgeKind, EdgeShape, GraphDifference, GraphShape, NodeShape};
pub use wiring::{END, START};

use crate::render::{mermaid, svg};
use crate::{Node, NodeOptions, Router};
use wiring::{FIRST, Place, Wiring};

/// A graph of steps over the channels of a state, checked and ready to be run by a [`crate::StatefulRunner`]. Cheap to
/// clone.
///
/// A run goes in super-steps: the steps that are due run at the same time, each on the state as it was before; what they
/// write is then applied in the order of their names (visits that were sent come after, in the order of sending), and the
/// edges of those that ran say what is due next. The run ends when nothing is.
///
/// ```
/// use atomr_agents_state::{AppendList, StateSchema};
/// use atomr_agents_workflow::{END, Graph, NodeCall, START, Update};
/// use serde_json::json;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let schema = StateSchema::builder().add("log", AppendList).build()?;
/// let graph = Graph::builder("greeting", schema)
///     .node("greet", |_call: NodeCall| async { Ok(Update::new().write("log", json!("hello"))) })
///     .edge(START, "greet")
///     .edge("greet", END)
///     .build()?;
/// assert!(graph.mermaid().contains("greet"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Graph(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) name: Arc<str>,
    pub(crate) schema: StateSchema,
    pub(crate) wiring: Wiring,
    /// By place, from the first that is a step.
    pub(crate) nodes: Vec<Definition>,
    /// By their position in [`Wiring::forks`].
    pub(crate) routers: Vec<Router>,
    pub(crate) shape: GraphShape,
    pub(crate) version: String,
}

/// A step and how it is run.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) node: Arc<dyn Node>,
    pub(crate) options: Arc<NodeOptions>,
}

impl Inner {
    /// The step at a place, which is neither START nor END.
    pub(crate) fn definition(&self, place: Place) -> &Definition {
        &self.nodes[place - FIRST]
    }
}

impl Graph {
    /// A graph to be put together.
    #[must_use]
    pub fn builder(name: &str, schema: StateSchema) -> GraphBuilder {
        GraphBuilder::new(name, schema)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The channels of its state.
    #[must_use]
    pub fn schema(&self) -> &StateSchema {
        &self.0.schema
    }

    /// What it looks like.
    #[must_use]
    pub fn shape(&self) -> &GraphShape {
        &self.0.shape
    }

    /// A hash of its shape: a run that was begun by a graph of another version is not gone on with unawares.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// What is different in `newer`.
    #[must_use]
    pub fn difference(&self, newer: &Self) -> GraphDifference {
        self.0.shape.difference(&newer.0.shape)
    }

    /// As a flowchart in the language of Mermaid.
    #[must_use]
    pub fn mermaid(&self) -> String {
        mermaid(&self.0.shape)
    }

    /// As a picture: an SVG document that needs nothing else.
    #[must_use]
    pub fn svg(&self) -> String {
        svg(&self.0.shape)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").field("name", &self.0.name).field("version", &self.0.version).finish_non_exhaustive()
    }
}
