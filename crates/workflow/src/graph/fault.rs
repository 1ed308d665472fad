//! What can be wrong with a graph before it runs.

use std::fmt;

use atomr_agents_core::Kind;
use thiserror::Error;

/// A graph that cannot be run, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct GraphError {
    /// The graph.
    pub graph: String,
    /// What is wrong, at least one thing.
    pub faults: Vec<GraphFault>,
}

impl GraphError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Workflow
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "graph {:?} cannot be run: ", self.graph)?;
        for (at, fault) in self.faults.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with a graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraphFault {
    /// There is nothing to begin with.
    #[error("it has no entry: no edge leaves START")]
    NoEntry,
    /// A name is used twice.
    #[error("{name:?} is defined twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A name that has a meaning of its own.
    #[error("the name {name:?} is reserved: names that begin with two underscores are")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A name that cannot be part of a path.
    #[error("{name:?} cannot be a name: it is 1 to 128 characters without control characters and without / # : [ ]")]
    BadName {
        /// The name.
        name: String,
    },
    /// Something leads from or to a step that does not exist.
    #[error("{place} names {name:?}, which is no step of the graph")]
    Unknown {
        /// The name that is not there.
        name: String,
        /// Where it is named.
        place: String,
    },
    /// An edge that goes the wrong way through START or END.
    #[error("{place} cannot be: nothing leads to START, nothing leaves END")]
    WrongWay {
        /// The edge.
        place: String,
    },
    /// A step declares a channel that the state does not have.
    #[error("step {step:?} writes the channel {channel:?}, which the state does not have")]
    UnknownChannel {
        /// The step.
        step: String,
        /// The channel.
        channel: String,
    },
    /// Steps that nothing leads to.
    #[error("nothing leads to {}", Names(.steps))]
    Unreachable {
        /// The steps.
        steps: Vec<String>,
    },
    /// Steps from which the graph never ends.
    #[error("there is no way to END from {}", Names(.steps))]
    NoWayToEnd {
        /// The steps.
        steps: Vec<String>,
    },
    /// Steps that lead back to themselves where that is not allowed.
    #[error("a dag has no cycles: {}; use Step::Loop, or a Graph", .steps.join(" -> "))]
    Cycle {
        /// The steps along the cycle; the first is repeated at the end.
        steps: Vec<String>,
    },
    /// Two steps write a channel that takes one write per super-step.
    #[error(
        "{} run in one super-step and both write the channel {channel:?}, which keeps the last write only; give it a reducer \
         that joins them, or an order to the steps", Names(.steps)
    )]
    TwoWriters {
        /// The channel.
        channel: String,
        /// The steps.
        steps: Vec<String>,
    },
    /// A step that cannot stand where it stands.
    #[error("step {step:?} {message}")]
    BadStep {
        /// The step.
        step: String,
        /// What is wrong and what to do.
        message: String,
    },
}

/// Names in a sentence.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(if at + 1 == self.0.len() { " and " } else { ", " })?;
            }
            write!(f, "{name:?}")?;
        }
        Ok(())
    }
}
